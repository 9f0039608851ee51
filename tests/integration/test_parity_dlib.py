"""The model dlib gives the feature vectors that dlib itself gives."""

from collections.abc import Callable

import dlib
import numpy as np
import pytest
from numpy.typing import NDArray

from app.recognition.detector import FaceDetector
from models.catalogue import FaceModel
from models.network import Runtime
from models.openvino import OpenVinoRuntime
from models.package_data import package_file
from models.pytorch import TorchRuntime
from testbed.photos import PORTRAITS
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


@pytest.mark.parametrize(
    "make_runtime", [lambda: OpenVinoRuntime(bfloat16=False), lambda: TorchRuntime("cpu")]
)
def test_the_vectors_are_those_of_the_face_and_the_mirrored_one(
    make_runtime: Callable[[], Runtime],
    faces: Chips,
    descriptors: Callable[[Chips], Vectors],
    dlib_model: FaceModel,
) -> None:
    expected = unit(descriptors(faces) + descriptors(faces[:, :, ::-1]))
    (vectors,) = make_runtime().compile(dlib_model.network())(faces)
    difference = np.abs(vectors - expected).max()
    print(f"our vectors and dlib's differ by at most {difference:.2e}")
    assert vectors.shape == (len(faces), dlib_model.dimension)
    assert vectors.dtype == np.float32
    assert difference < 1e-5


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
