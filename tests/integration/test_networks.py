"""Networks give what facenet-pytorch gives, in each runtime; altered weights are refused."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from app.recognition.recogniser import Recogniser
from models import mtcnn
from models.catalogue import Catalogue, FaceModel
from models.network import NetworkSource, Runtime
from models.openvino import OpenVinoRuntime
from models.pytorch import TorchRuntime
from models.weights import WeightsUnavailable
from testbed.photos import PORTRAITS
from tests.support.facenet_weights import normalised

pytestmark = pytest.mark.usefixtures("calm_torch")


def pixels(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 255, (*shape, 3), np.uint8)


@pytest.mark.parametrize("make_runtime", [OpenVinoRuntime, lambda: TorchRuntime("cpu")])
@pytest.mark.parametrize(
    ("source", "module", "shape"),
    [
        (mtcnn.proposal, "PNet", (1, 57, 83)),
        (mtcnn.proposal, "PNet", (2, 64, 48)),
        (mtcnn.refinement, "RNet", (7, 24, 24)),
        (mtcnn.output, "ONet", (3, 48, 48)),
    ],
)
def test_mtcnn_gives_what_facenet_pytorch_gives(
    make_runtime: Callable[[], Runtime],
    source: Callable[[], NetworkSource],
    module: str,
    shape: tuple[int, ...],
) -> None:
    import torch
    from facenet_pytorch.models import mtcnn as theirs

    with torch.inference_mode():
        expected = getattr(theirs, module)(pretrained=True)(normalised(pixels(*shape)))
    outputs = make_runtime().compile(source())(pixels(*shape))
    assert [output.shape for output in outputs] == [tuple(each.shape) for each in expected]
    for output, wanted in zip(outputs, expected, strict=True):
        assert output.dtype == np.float32
        np.testing.assert_allclose(output, wanted.numpy(), atol=1e-5)


def test_many_threads_get_what_one_gets(recogniser: Recogniser, dlib_model: FaceModel) -> None:
    network = OpenVinoRuntime().compile(dlib_model.network())
    batches = np.random.default_rng(0).integers(0, 255, (24, 2, 150, 150, 3), np.uint8)
    alone = [network(batch)[0] for batch in batches]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda batch: network(batch)[0], batches))
    np.testing.assert_array_equal(together, alone)

    photos = [photo.read_bytes() for photo in PORTRAITS] * 6
    one_by_one = [recogniser.for_login(photo) for photo in photos]
    with ThreadPoolExecutor(8) as threads:
        at_once = list(threads.map(recogniser.for_login, photos))
    np.testing.assert_allclose(at_once, one_by_one, atol=1e-6)


@pytest.mark.parametrize("make_runtime", [OpenVinoRuntime, lambda: TorchRuntime("cpu")])
@pytest.mark.parametrize(
    "source", [mtcnn.refinement, lambda: Catalogue(Path("/nowhere")).get("dlib").network()]
)
@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: data[: len(data) * 9 // 10] + bytes(len(data) - len(data) * 9 // 10),
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    ],
    ids=["empty", "half", "wiped", "one bit"],
)
def test_altered_weights_of_a_package_are_refused(
    make_runtime: Callable[[], Runtime],
    source: Callable[[], NetworkSource],
    damage: Callable[[bytes], bytes],
    tmp_path: Path,
) -> None:
    altered = tmp_path / "weights"
    altered.write_bytes(damage(source().file.read_bytes()))
    with pytest.raises(WeightsUnavailable, match="weights has the wrong SHA-256"):
        make_runtime().compile(replace(source(), file=altered))
