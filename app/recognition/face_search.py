"""Find the face that counts in a photo, whichever way up the photo is."""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from app.recognition import FaceTooSmall, NoFace
from app.recognition.detector import DetectedFace, FaceDetector
from app.recognition.image import Photo, Picture
from app.recognition.pyramid import Pyramid
from app.recognition.requirements import PictureRequirements


@dataclass(frozen=True, slots=True)
class View:
    """What was found in a photo turned by so many quarters.

    faces: the one that counts, then its rivals.
    detail: pixels of the view for each pixel of the photo, in [0, 1].
    """

    pyramid: Pyramid
    faces: list[DetectedFace]
    quarters: int
    detail: float

    @property
    def score(self) -> float:
        return self.faces[0].score if self.faces else 0.0


class FaceSearch:
    """Searches photos for faces with one detector. Thread-safe."""

    def __init__(self, detector: FaceDetector, requirements: PictureRequirements) -> None:
        self._detector = detector
        self._requirements = requirements

    def best_view(self, photo: Photo) -> View:
        """Return the photo the way up in which its largest face scores best.

        Raises UnusableImage.
        """
        picture = self._coarse(photo)
        detail = min(picture.shape[:2]) / photo.shorter_side
        upright = self._turned(picture, 0, detail)
        if upright.score >= self._requirements.sure_score:
            return upright
        # Pixels may be turned without EXIF saying so. MTCNN half believes in upside-down faces, and
        # in faces that are none, so a turned face counts only if its score is high.
        best = upright
        for quarters in (1, 2, 3):
            turned = self._turned(picture, quarters, detail)
            if turned.score > max(best.score, self._requirements.sure_score):
                best = turned
        return best if best.faces else self._finer_view(photo)

    def view(self, photo: Photo, quarters: int) -> View:
        """Return the photo turned by so many quarters. Raises UnusableImage."""
        picture = self._coarse(photo)
        view = self._turned(picture, quarters, min(picture.shape[:2]) / photo.shorter_side)
        if not view.faces:
            raise NoFace("no face was found in the picture")
        return view

    def _finer_view(self, photo: Photo) -> View:
        """Return the photo in more pixels, for a face that is small in it. Raises UnusableImage.

        Only faces with a high score count: the finer the search, the more patterns look like one.
        """
        elongation = photo.longer_side / photo.shorter_side
        shorter_side = math.sqrt(self._requirements.fine_megapixels * 1e6 / elongation)
        picture = photo.decode(shorter_side)
        if (share := shorter_side / min(picture.shape[:2])) < 1:
            picture = np.asarray(
                cv2.resize(picture, None, fx=share, fy=share, interpolation=cv2.INTER_AREA),
                np.uint8,
            )
        view = self._turned(picture, 0, min(picture.shape[:2]) / photo.shorter_side, 0)
        if view.score >= self._requirements.sure_score:
            return view
        if view.detail * self._requirements.face_side < self._detector.smallest_face:
            raise NoFace("nobody was found in the picture, come closer to the camera")
        raise NoFace("no face was found in the picture")

    def _coarse(self, photo: Photo) -> Picture:
        """Decode as many pixels as a search needs. Raises UnusableImage."""
        shorter, longer = photo.shorter_side, photo.longer_side
        if shorter < self._requirements.face_side:
            raise FaceTooSmall(f"the picture is too small ({longer}×{shorter} pixels)")
        if longer > self._requirements.elongation * shorter:
            raise NoFace("the picture is too long and narrow to show a face")
        return photo.decode(self._requirements.search_side)

    def _turned(
        self, picture: Picture, quarters: int, detail: float, smallest_share: float | None = None
    ) -> View:
        pyramid = Pyramid(np.ascontiguousarray(np.rot90(picture, quarters)))
        faces = self._detector.detect(pyramid, self._requirements.rival, smallest_share)
        centre = np.array(pyramid.picture.shape[1::-1]) / 2

        def rank(face: DetectedFace) -> tuple[bool, float]:
            off_centre = np.linalg.norm(face.box.reshape(2, 2).mean(axis=0) - centre)
            return face.side < self._requirements.tie * faces[0].side, float(off_centre)

        rivals = [face for face in faces if face.side > self._requirements.rival * faces[0].side]
        return View(pyramid, sorted(rivals, key=rank), quarters, detail)
