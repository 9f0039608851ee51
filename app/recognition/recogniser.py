"""The pipeline: encoded picture → decode → find the face → align → feature vector."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from app.recognition import FaceTooBlurred, FaceTooSmall, NoFace, SeveralFaces
from app.recognition.alignment import chip_to_picture, whole_to_picture
from app.recognition.detector import Face, FaceDetector
from app.recognition.image import Photo, Picture
from app.recognition.pyramid import Pyramid
from models.catalogue import FaceModel
from models.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Limits:
    """What pictures must be like.

    megapixels: the most that is decoded.
    face_side: least side of a face in pixels.
    sharpness: least sharpness of a face, see `sharpness`.
    second_face: a face of this share of the largest face's side counts as a second person.
    sure_score: the score below which a face is looked for in the turned picture, too.
    search_side: pixels of a picture's shorter side that suffice to find the face.
    """

    megapixels: float = 50
    face_side: float = 24
    sharpness: float = 0.0015
    second_face: float = 0.6
    sure_score: float = 0.99
    search_side: int = 480


@dataclass(frozen=True, slots=True)
class _View:
    """What is seen in a photo turned by so many quarters: faces, the largest first.

    detail: pixels of the view for each pixel of the photo, in [0, 1].
    """

    pyramid: Pyramid
    faces: list[Face]
    quarters: int
    detail: float

    @property
    def score(self) -> float:
        return self.faces[0].score if self.faces else 0.0


class Recogniser:
    """Turns pictures into feature vectors of one face model. Thread-safe."""

    def __init__(self, runtime: Runtime, model: FaceModel, limits: Limits) -> None:
        self.model = model
        self.device = runtime.device
        self._limits = limits
        self._detector = FaceDetector(runtime)
        self._embed = runtime.compile(model.network)

    def for_enrolment(self, data: bytes) -> NDArray[np.float32]:
        """The vector (dimension,) of the only large face. Raises NotAnImage, UnusableImage."""
        photo = Photo(data, self._limits.megapixels)
        view = self._look(photo)
        faces = [f for f in view.faces if f.side > self._limits.second_face * view.faces[0].side]
        if len(faces) > 1:
            raise SeveralFaces(f"the picture shows several faces ({len(faces)}), enrol one person")
        return self._vector(self._chip(photo, view))

    def for_login(self, data: bytes, crop: bool = True) -> NDArray[np.float32]:
        """The vector (dimension,) of the largest face, or without `crop` of the whole picture.

        Raises NotAnImage, UnusableImage.
        """
        photo = Photo(data, self._limits.megapixels)
        if crop:
            return self._vector(self._chip(photo, self._look(photo)))
        side = self.model.side
        pyramid = Pyramid(photo.decode(side))
        return self._vector(pyramid.warped(whole_to_picture(pyramid.picture, side), side))

    def _look(self, photo: Photo) -> _View:
        """The photo the way up in which its largest face is seen best. Raises UnusableImage."""
        picture = photo.decode(self._limits.search_side)
        rows, columns = picture.shape[:2]
        if min(rows, columns) < self._limits.face_side:
            raise FaceTooSmall(f"the picture is too small ({columns}×{rows} pixels)")
        detail = min(rows, columns) / photo.shorter_side
        upright = self._turned(picture, 0, detail)
        if upright.score >= self._limits.sure_score:
            return upright
        # Pixels may be turned without EXIF saying so, and MTCNN half believes in such faces.
        turned = [self._turned(picture, quarters, detail) for quarters in (1, 2, 3)]
        best = max([upright, *turned], key=lambda view: view.score)
        if not best.faces:
            raise NoFace("no face was found in the picture")
        return best

    def _turned(self, picture: Picture, quarters: int, detail: float) -> _View:
        pyramid = Pyramid(np.ascontiguousarray(np.rot90(picture, quarters)))
        faces = self._detector.detect(pyramid, rivals=self._limits.second_face)
        return _View(pyramid, faces, quarters, detail)

    def _chip(self, photo: Photo, view: _View) -> Picture:
        face = view.faces[0]
        if (side := face.side / view.detail) < self._limits.face_side:
            raise FaceTooSmall(
                f"the face is too small ({side:.0f} pixels), come closer to the camera"
            )
        pyramid, to_picture = view.pyramid, chip_to_picture(face, self.model)
        pixels_a_pixel = float(np.sqrt(abs(np.linalg.det(to_picture[:, :2]))))
        if pixels_a_pixel < 1 and view.detail < 1:
            # the view is too coarse for this face: take its pixels from a finer one
            coarse = min(pyramid.picture.shape[:2])
            picture = np.rot90(photo.decode(coarse / pixels_a_pixel), view.quarters)
            pyramid = Pyramid(np.ascontiguousarray(picture))
            to_picture = to_picture * (min(picture.shape[:2]) / coarse)
        chip = pyramid.warped(to_picture, self.model.side)
        if sharpness(chip) < self._limits.sharpness:
            raise FaceTooBlurred("the face is too blurred, hold the camera still")
        return chip

    def _vector(self, chip: Picture) -> NDArray[np.float32]:
        (vectors,) = self._embed(chip[None])
        vector: NDArray[np.float32] = vectors[0]
        return vector


def sharpness(chip: Picture) -> float:
    """How much of a face chip's contrast is fine detail: variance of the Laplacian over variance.

    Does not depend on brightness or contrast. Pech-Pacheco et al. 2000 use the variance alone.
    """
    grey = cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return float(cv2.Laplacian(grey, cv2.CV_32F).var() / max(grey.var(), 1.0))
