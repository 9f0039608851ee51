"""The model dlib gives the feature vectors that dlib itself gives."""

from collections.abc import Callable
from pathlib import Path

import dlib
import numpy as np
import pytest
from numpy.typing import NDArray

from app.recognition.detector import FaceDetector
from models.catalogue import FaceModel
from models.network import Runtime
from models.openvino import OpenVinoRuntime
from models.package_data import package_file
from models.weights import WeightsUnavailable
from testbed.photos import PORTRAITS
from testbed.serving import MODELS_DIR
from tests.support.chips import chips

WEIGHTS = package_file(
    "face_recognition_models", "models/dlib_face_recognition_resnet_model_v1.dat"
)

pytestmark = pytest.mark.usefixtures("calm_torch")

Chips = NDArray[np.uint8]
Vectors = NDArray[np.float32]


@pytest.fixture(scope="module")
def faces(detector: FaceDetector, dlib_model: FaceModel) -> Chips:
    return chips(detector, dlib_model, PORTRAITS)


@pytest.fixture(scope="module")
def descriptors() -> Callable[[Chips], Vectors]:
    """dlib's own descriptors of chips."""
    network = dlib.face_recognition_model_v1(str(WEIGHTS))

    def describe(faces: Chips) -> Vectors:
        rows = [network.compute_face_descriptor(np.ascontiguousarray(face)) for face in faces]
        return np.array(rows, np.float32)

    return describe


def unit(vectors: Vectors) -> Vectors:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_the_module_gives_dlibs_descriptors(
    faces: Chips, descriptors: Callable[[Chips], Vectors]
) -> None:
    import torch

    from models import dlib_resnet

    pixels = torch.from_numpy(faces).permute(0, 3, 1, 2).to(torch.float32)
    with torch.inference_mode():
        vectors = dlib_resnet.load(WEIGHTS)(pixels).numpy()
    difference = np.abs(vectors - descriptors(faces)).max()
    print(f"module and dlib differ by at most {difference:.2e}")
    assert difference < 1e-4


def test_the_compiled_network_adds_the_mirrored_face_and_normalises(
    faces: Chips, descriptors: Callable[[Chips], Vectors], dlib_model: FaceModel
) -> None:
    expected = unit(descriptors(faces) + descriptors(faces[:, :, ::-1]))
    runtime = OpenVinoRuntime(MODELS_DIR / "converted", bfloat16=False)
    (vectors,) = runtime.compile(dlib_model.network())(faces)
    difference = np.abs(vectors - expected).max()
    print(f"compiled network and dlib differ by at most {difference:.2e}")
    assert vectors.shape == (len(faces), dlib_model.dimension)
    assert vectors.dtype == np.float32
    assert difference < 1e-4


def test_whatever_precision_the_cpu_has_vectors_stay_the_same(
    faces: Chips,
    descriptors: Callable[[Chips], Vectors],
    dlib_model: FaceModel,
    runtime: Runtime,
) -> None:
    expected = unit(descriptors(faces) + descriptors(faces[:, :, ::-1]))
    (vectors,) = runtime.compile(dlib_model.network())(faces)
    cosines = (vectors * expected).sum(axis=1)
    print(f"least cosine in the runtime's precision: {cosines.min():.6f}")
    assert cosines.min() > 0.999


def altered(data: bytes, tag: bytes, new: bytes) -> bytes:
    assert tag in data
    return data.replace(tag, new, 1)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1000],
        lambda data: data[::-1],
        lambda data: bytes(len(data)),
        lambda data: altered(data, b"con_4", b"con_9"),
        lambda data: altered(data, b"affine_", b"affine!"),
        lambda data: altered(data, b"fc_2", b"fc_9"),
        # control byte and version of a tensor
        lambda data: altered(data, b"con_4\x01\x02", b"con_4\x01\x07"),
        lambda data: altered(data, b"con_4\x01\x02", b"con_4\x8f\x02"),
        lambda data: altered(data, b"con_4\x01\x02\x02", b"con_4\x01\x02\x0f"),
        lambda data: altered(data, b"con_4\x01\x02\x02", b"con_4\x01\x02\x82"),
        lambda data: altered(data, b"fc_2\x01\x80", b"fc_2\x01\x40"),
    ],
    ids=[
        "empty",
        "half",
        "end missing",
        "backwards",
        "zeros",
        "no convolution",
        "no affine layer",
        "no last layer",
        "tensor version",
        "control byte",
        "huge tensor",
        "negative tensor",
        "fewer outputs",
    ],
)
def test_a_damaged_file_is_refused(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    from models import dlib_resnet

    path = tmp_path / "weights.dat"
    path.write_bytes(damage(WEIGHTS.read_bytes()))
    with pytest.raises(
        WeightsUnavailable, match=r"weights\.dat does not hold dlib's face descriptor"
    ):
        dlib_resnet.load(path)
