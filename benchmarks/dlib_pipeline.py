"""Run dlib's own pipeline from a photo to a feature vector: HOG detector, landmarks, network."""

from io import BytesIO

import dlib
import numpy as np
from PIL import Image

from benchmarks.straightforward import Timed, untimed
from models.package_data import package_file


class Dlib:
    """upsample: how often to double the photo before detection (HOG finds faces from 80×80 px)."""

    def __init__(self, upsample: int) -> None:
        self._upsample = upsample
        self._detector = dlib.get_frontal_face_detector()
        self._landmarks = dlib.shape_predictor(_packaged("shape_predictor_5_face_landmarks.dat"))
        self._network = dlib.face_recognition_model_v1(
            _packaged("dlib_face_recognition_resnet_model_v1.dat")
        )

    def vector(self, photo: bytes, timed: Timed = untimed) -> np.ndarray | None:
        """Return the vector (128,) float64 of the largest face; None if no face is found."""
        picture = timed("decode", lambda: np.asarray(Image.open(BytesIO(photo)).convert("RGB")))
        faces = timed("detect", lambda: self._detector(picture, self._upsample))
        if not faces:
            return None
        face = max(faces, key=lambda box: box.area())
        shape = timed("align", lambda: self._landmarks(picture, face))
        return timed(
            "embed", lambda: np.array(self._network.compute_face_descriptor(picture, shape))
        )


def _packaged(name: str) -> str:
    return str(package_file("face_recognition_models", f"models/{name}"))
