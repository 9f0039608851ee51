"""Weights of one's own give the feature vectors that facenet-pytorch's module gives."""

import hashlib
import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models import inception_resnet
from models.catalogue import BoxAlignment, Catalogue, FaceModel, ModelUnavailable
from models.openvino import OpenVinoRuntime
from models.pytorch import TorchRuntime
from models.weights import VGGFACE2, WeightsFile, WeightsUnavailable
from tests.support import facenet_weights


@dataclass
class Own:
    """Weights of one's own, and what facenet-pytorch's module makes of some pixels with them."""

    path: Path
    sha256: str
    pixels: NDArray[np.uint8]
    vectors: NDArray[np.float32]

    def model(self) -> FaceModel:
        return Catalogue(self.path.parent, (self.path, self.sha256)).get(
            f"facenet-{self.sha256[:12]}"
        )


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, calm_torch: None) -> Own:
    path = tmp_path_factory.mktemp("weights") / "own.pt"
    sha256 = facenet_weights.write(path)
    pixels = facenet_weights.pictures(6)
    import torch

    with torch.inference_mode():
        vectors = facenet_weights.module(path)(facenet_weights.normalised(pixels)).numpy()
    return Own(path, sha256, pixels, vectors)


def largest_difference(vectors: NDArray[np.float32], own: Own) -> float:
    assert vectors.shape == (6, 512)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    return float(np.abs(vectors - own.vectors).max())


def test_the_reference_tells_pictures_apart(own: Own) -> None:
    """Else any network would pass the comparison."""
    cosines = own.vectors @ own.vectors.T
    assert (cosines - np.eye(6)).max() < 0.9


def test_the_compiled_network_equals_facenet_pytorch(own: Own) -> None:
    runtime = OpenVinoRuntime(bfloat16=False)
    (vectors,) = runtime.compile(own.model().network())(own.pixels)
    difference = largest_difference(vectors, own)
    print(f"OpenVINO and facenet-pytorch differ by at most {difference:.2e}")
    assert difference < 1e-5


def test_whatever_precision_the_cpu_has_vectors_stay_the_same(own: Own) -> None:
    (vectors,) = OpenVinoRuntime().compile(own.model().network())(own.pixels)
    cosines = (vectors * own.vectors).sum(axis=1)
    print(f"least cosine in the runtime's precision: {cosines.min():.6f}")
    assert cosines.min() > 0.999


def test_the_torch_runtime_gives_the_same(own: Own) -> None:
    (vectors,) = TorchRuntime("cpu").compile(own.model().network())(own.pixels)
    difference = largest_difference(vectors, own)
    print(f"TorchRuntime and facenet-pytorch differ by at most {difference:.2e}")
    assert difference < 1e-5


def test_a_gpu_gives_the_same(own: Own) -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no NVIDIA GPU is here")
    (vectors,) = TorchRuntime("cuda").compile(own.model().network())(own.pixels)
    assert (vectors * own.vectors).sum(axis=1).min() > 0.999


def test_the_model_is_named_after_its_weights(own: Own, tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path, (own.path, own.sha256.upper()))
    assert catalogue.own_name == f"facenet-{own.sha256[:12]}"
    model = catalogue.get(catalogue.own_name)
    assert (model.name, model.side, model.dimension) == (catalogue.own_name, 160, 512)
    assert model.distance_scale == 1
    assert isinstance(model.alignment, BoxAlignment)


def test_the_published_weights_keep_their_name_wherever_they_lie(own: Own, tmp_path: Path) -> None:
    published = WeightsFile("vggface2.pt", "http://weights.invalid", own.sha256)
    catalogue = Catalogue(tmp_path, (own.path, own.sha256), vggface2=published)
    assert catalogue.own_name == "vggface2"
    assert catalogue.get("vggface2").name == "vggface2"
    assert Catalogue(tmp_path, (own.path, VGGFACE2.sha256)).own_name == "vggface2"


def test_weights_with_another_sha256_are_refused(own: Own, tmp_path: Path) -> None:
    other = hashlib.sha256(b"another file").hexdigest()
    catalogue = Catalogue(tmp_path, (own.path, other))
    message = f"wrong SHA-256: expected {other}, found {own.sha256}.*FACENET_WEIGHTS_SHA256"
    with pytest.raises(ModelUnavailable, match=message):
        catalogue.get(f"facenet-{other[:12]}").network()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path, (tmp_path / "gone.pt", "0" * 64))
    with pytest.raises(ModelUnavailable, match=r"gone\.pt is missing\. Check FACENET_WEIGHTS"):
        catalogue.get("facenet-000000000000").network()


class Exploit:
    """Runs `os.mkdir` when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.mark),)


def test_code_in_a_weights_file_does_not_run(tmp_path: Path) -> None:
    import torch

    mark = tmp_path / "mark"
    content = BytesIO()
    torch.save({"weight": Exploit(mark)}, content)
    for data in (content.getvalue(), pickle.dumps({"weight": Exploit(mark)}, protocol=2)):
        with pytest.raises(ValueError, match="not a state dict"):
            inception_resnet.tensors(data)
    assert not mark.exists()
    pickle.loads(data)
    assert mark.exists(), "the exploit works where it is allowed to"


@pytest.mark.parametrize("content", [b"", b"no pickle", [1.0], {}, {"last_bn.weight": 1.0}])
def test_a_file_without_a_state_dict_is_refused(content: object) -> None:
    import torch

    file = BytesIO()
    if not isinstance(content, bytes):
        torch.save(content, file)
    data = content if isinstance(content, bytes) else file.getvalue()
    with pytest.raises(ValueError, match=r"not (a|the) state dict"):
        inception_resnet.tensors(data)


State = dict[str, Any]


def another_network(_: State) -> State:
    import torch

    return torch.nn.Linear(3, 2).state_dict()


@pytest.mark.parametrize(
    "change",
    [
        another_network,
        lambda state: {name: value for name, value in state.items() if name != "last_bn.weight"},
        lambda state: state | {"last_linear.weight": state["last_linear.weight"][:256]},
        lambda state: state | {"attention.weight": state["last_bn.weight"]},
    ],
    ids=["another network", "a layer missing", "a layer of another size", "a layer too many"],
)
def test_another_network_is_refused(
    change: Callable[[State], State], own: Own, tmp_path: Path
) -> None:
    import torch

    path = tmp_path / "other.pt"
    torch.save(change(torch.load(own.path, weights_only=True)), path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    model = Catalogue(tmp_path, (path, sha256)).get(f"facenet-{sha256[:12]}")
    message = r"other\.pt is not the state dict of an InceptionResnetV1"
    with pytest.raises(WeightsUnavailable, match=message):
        OpenVinoRuntime().compile(model.network())
