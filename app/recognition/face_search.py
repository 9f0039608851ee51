"""Find the main face of a photo, whichever way up the photo is.

The main face is the largest; among faces of about that size, it is the most central.
"""

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from app.recognition import FaceTooSmall, NoFace
from app.recognition.detector import DetectedFace, FaceDetector, beside
from app.recognition.image import Photo, Picture
from app.recognition.picture_requirements import PictureRequirements
from app.recognition.pyramid import GREY, Pyramid

MOST_FACES = 10
"""Faces that are described of one photo: judging each takes four inferences."""


@dataclass(frozen=True, slots=True)
class View:
    """The faces found in a rotated photo."""

    pyramid: Pyramid
    faces: list[DetectedFace]  # the main face, then its rivals, which are nearly as large
    quarters: int  # quarter turns, counter-clockwise
    detail: float  # pixels of the view for each pixel of the photo along a side, in [0, 1]

    @property
    def score(self) -> float:
        return self.faces[0].score if self.faces else 0.0


class FaceSearch:
    """Searches photos for faces with one detector. Thread-safe."""

    def __init__(self, detector: FaceDetector, requirements: PictureRequirements) -> None:
        self._detector = detector
        self._requirements = requirements

    def best_view(self, photo: Photo) -> View:
        """Return the photo the way up in which its main face scores best.

        Raises UnusableImage.
        """
        picture = self._coarse(photo)
        upright = self._search_rotated(photo, picture, 0)
        if upright.score >= self._requirements.sure_score:
            return upright
        # A photo may be rotated without EXIF data that says so. MTCNN gives middling scores to
        # upside-down faces, and to patterns, so a rotated face counts only if its score is high.
        best = upright
        for quarters in (1, 2, 3):
            rotated = self._search_rotated(photo, picture, quarters)
            if rotated.score > max(best.score, self._requirements.sure_score):
                best = rotated
        if best.faces:
            return best
        close_up = self._close_up(photo, picture, 0)
        return close_up if close_up.faces else self._finer_view(photo)

    def every_face(self, photo: Photo) -> View:
        """Return the same view with all its faces, or one without any.

        The main face and its rivals come first, then the others, the largest first.
        Raises UnusableImage if the photo is too small.
        """
        try:
            view = self.best_view(photo)
        except NoFace:
            picture = photo.decode(self._requirements.search_side)
            return self._view(photo, _rotated(picture, 0), [], 0)
        found = self._detector.detect(view.pyramid, smallest_share=0)
        return replace(view, faces=[*view.faces, *beside(view.faces, found)][:MOST_FACES])

    def view(self, photo: Photo, quarters: int) -> View:
        """Return the photo rotated by so many quarter turns. Raises UnusableImage."""
        picture = self._coarse(photo)
        view = self._search_rotated(photo, picture, quarters)
        if not view.faces:
            view = self._close_up(photo, picture, quarters)
        if not view.faces:
            raise NoFace("no face was found in the picture")
        return view

    def _close_up(self, photo: Photo, picture: Picture, quarters: int) -> View:
        """Search for a face that fills the picture.

        MTCNN learned what surrounds a face. If that is cut off, black in its place is an edge that
        a face does not have. Grey, which its networks take as 0, is nothing.
        """
        pyramid = _rotated(picture, quarters, beyond=GREY)
        return self._view(photo, pyramid, self._detector.detect_close_up(pyramid), quarters)

    def _finer_view(self, photo: Photo) -> View:
        """Return the upright photo at a higher resolution, to find a small face.

        Only faces with a high score count: the finer the search, the more patterns look like faces.
        Raises UnusableImage.
        """
        elongation = photo.longer_side / photo.shorter_side
        shorter_side = math.sqrt(self._requirements.fine_megapixels * 1e6 / elongation)
        picture = photo.decode(shorter_side)
        if (share := shorter_side / min(picture.shape[:2])) < 1:
            picture = np.asarray(
                cv2.resize(picture, None, fx=share, fy=share, interpolation=cv2.INTER_AREA),
                np.uint8,
            )
        view = self._search_rotated(photo, picture, 0, smallest_share=0)
        if view.score >= self._requirements.sure_score:
            return view
        if view.detail * self._requirements.face_side < self._detector.smallest_face:
            raise NoFace("nobody was found in the picture, come closer to the camera")
        raise NoFace("no face was found in the picture")

    def _coarse(self, photo: Photo) -> Picture:
        """Return the photo with as many pixels as a search needs. Raises UnusableImage."""
        shorter, longer = photo.shorter_side, photo.longer_side
        if shorter < self._requirements.face_side:
            raise FaceTooSmall(f"the picture is too small ({longer}×{shorter} pixels)")
        if longer > self._requirements.elongation * shorter:
            raise NoFace("the picture is too long and narrow to show a face")
        return photo.decode(self._requirements.search_side)

    def _search_rotated(
        self, photo: Photo, picture: Picture, quarters: int, smallest_share: float | None = None
    ) -> View:
        """Search the photo, decoded as `picture`, after so many quarter turns."""
        pyramid = _rotated(picture, quarters)
        faces = self._detector.detect(pyramid, self._requirements.rival, smallest_share)
        return self._view(photo, pyramid, faces, quarters)

    def _view(
        self, photo: Photo, pyramid: Pyramid, faces: list[DetectedFace], quarters: int
    ) -> View:
        """Return a view of the photo with the main face and its rivals among `faces`."""
        centre = np.array(pyramid.picture.shape[1::-1]) / 2

        def rank(face: DetectedFace) -> tuple[bool, float]:
            off_centre = np.linalg.norm(face.box.reshape(2, 2).mean(axis=0) - centre)
            return face.side < self._requirements.tie * faces[0].side, float(off_centre)

        large = [face for face in faces if face.side > self._requirements.rival * faces[0].side]
        detail = min(pyramid.picture.shape[:2]) / photo.shorter_side
        return View(pyramid, sorted(large, key=rank), quarters, detail)


def _rotated(picture: Picture, quarters: int, beyond: int = 0) -> Pyramid:
    return Pyramid(np.ascontiguousarray(np.rot90(picture, quarters)), beyond)
