"""The pipeline: encoded picture → decode → find the face → align → feature vector."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from app.limiter import Limiter
from app.recognition import (
    FaceTooBlurred,
    FaceTooSmall,
    NotAnImage,
    SeveralFaces,
    UnusableImage,
    canonical,
    motion,
    quality,
)
from app.recognition.alignment import affine, chip_to_picture, middle, similarity
from app.recognition.described import DescribedFace, DescribedPhoto, in_photo, size
from app.recognition.detector import DetectedFace, FaceDetector
from app.recognition.face_search import FaceSearch, View
from app.recognition.frame_sequence import BadFrame, FrameSequence, ObservedFace
from app.recognition.image import Photo, Picture
from app.recognition.picture_requirements import PictureRequirements
from app.recognition.pixel_budget import PixelBudget
from app.recognition.pyramid import GREY, Pyramid, magnification
from models.catalogue import FaceModel
from models.network import Runtime

# A pyramid of a view, or of the same picture with more pixels, and its scale relative to the view.
_Detail = tuple[Pyramid, float]
# A face's chips, (crops, side, side, 3), and a function that adds its vector to all else that is
# observed. Nothing more of a picture is kept, so that the whole picture can be released.
_Found = tuple[Picture, Callable[[NDArray[np.float32]], ObservedFace]]


class Recogniser:
    """Turns pictures into feature vectors of one face model. Thread-safe.

    slots: each picture takes one while it is processed. If none becomes free in time, the methods
    raise Overloaded. budget: of the pixels that are decoded at once. Two recognisers share both.
    """

    def __init__(
        self,
        runtime: Runtime,
        model: FaceModel,
        requirements: PictureRequirements | None = None,
        slots: Limiter | None = None,
        budget: PixelBudget | None = None,
    ) -> None:
        self.model = model
        self.device = runtime.device
        self._requirements = requirements or PictureRequirements()
        self._slots = slots or nullcontext()
        self._budget = budget or PixelBudget(self._requirements.megapixels * 1e6)
        self._search = FaceSearch(FaceDetector(runtime), self._requirements)
        self._embed = runtime.compile(model.network())

    def for_enrolment(self, data: bytes) -> ObservedFace:
        """Return the only large face. Raises NotAnImage, UnusableImage.

        The face meets the requirements on `quality`, which a login's need not.
        """
        with self._slots:
            photo = self._photo(data)
            view = self._search.best_view(photo)
            if (count := len(view.faces)) > 1:
                raise SeveralFaces(f"the picture shows several faces ({count}), enrol one person")
            with self._detailed(photo, view) as detail:
                chips, observed = self._aligned(view, detail, self.model.crops)
                vector, grade = self._good_vector(view, detail, chips)
                return replace(observed(vector), grade=grade)

    def for_login(self, data: bytes) -> NDArray[np.float32]:
        """Return the vector (dimension,) of the main face. Raises NotAnImage, UnusableImage."""
        return self.main_face(data)[1]

    def main_face(self, data: bytes) -> tuple[DetectedFace, NDArray[np.float32]]:
        """Return the main face, in pixels of the upright photo, and its vector (dimension,).

        Raises NotAnImage, UnusableImage.
        """
        with self._slots:
            photo = self._photo(data)
            view = self._search.best_view(photo)
            with self._detailed(photo, view) as detail:
                chips = self._chips(view, detail, self.model.crops)
            return in_photo(view, view.faces[0]), _mean(self._embedded(chips))

    def describe(self, data: bytes) -> DescribedPhoto:
        """Return every face and whether it can be enrolled, the one that a login takes first.

        Raises NotAnImage, and UnusableImage if the photo is too large or too small.
        """
        with self._slots:
            photo = self._photo(data)
            view = self._search.every_face(photo)
            each = [replace(view, faces=[face]) for face in view.faces]
            if not each:
                return DescribedPhoto(*size(view, photo), [])
            with self._fine(photo, min(each, key=self._magnification)) as detail:
                faces = [self._described(one, detail) for one in each]
            return DescribedPhoto(*size(view, photo), faces)

    def for_frames(self, data: bytes, frames: Sequence[bytes]) -> FrameSequence:
        """Return the main face of a photo and of each of the frames.

        Raises NotAnImage and UnusableImage for the photo, BadFrame for a frame. Frames are checked
        before the photo.
        """
        with self._slots:
            pictures = [self._frame(number, frame) for number, frame in enumerate(frames)]
            photo = self._photo(data)
            view = self._search.best_view(photo)
            crops = self.model.crops
            found, numbers, quarters = [self._found(photo, view, crops)], [], view.quarters
        del photo, view
        for number, frame in enumerate(pictures):
            try:
                with self._slots:
                    # Many frames say more of a face than many crops of each.
                    view = self._search.view(frame, quarters)
                    found.append(self._found(frame, view, crops[:1]))
                numbers.append(number)
            except UnusableImage:
                continue  # the frame counts as one without a usable face
            except NotAnImage as error:
                raise BadFrame(number, str(error)) from error
        with self._slots:
            faces = self._observed(found)
        by_number = dict(zip(numbers, faces[1:], strict=True))
        return FrameSequence(faces[0], [by_number.get(number) for number in range(len(pictures))])

    def _frame(self, number: int, data: bytes) -> Photo:
        try:
            return self._photo(data, self._requirements.frame_megapixels)
        except (UnusableImage, NotAnImage) as error:
            raise BadFrame(number, str(error)) from error

    def _photo(self, data: bytes, max_megapixels: float = math.inf) -> Photo:
        max_megapixels = min(max_megapixels, self._requirements.megapixels)
        return Photo(data, max_megapixels, self._requirements.formats, self._budget)

    def _chips(self, view: View, detail: _Detail, crops: Sequence[float]) -> Picture:
        """Return the face as the model takes it, (crops, side, side, 3). Raises FaceTooBlurred."""
        chips = self._cut(view, detail, crops)
        if error := self._too_blurred(chips):
            raise error
        return chips

    def _cut(self, view: View, detail: _Detail, crops: Sequence[float]) -> Picture:
        pyramid, scale = detail
        to_picture, side = chip_to_picture(view.faces[0], self.model) * scale, self.model.side
        return np.stack([pyramid.warped(middle(to_picture, crop, side), side) for crop in crops])

    def _too_blurred(self, chips: Picture) -> FaceTooBlurred | None:
        if sharpness(chips[0]) >= self._requirements.sharpness:
            return None
        return FaceTooBlurred("the face is too blurred, hold the camera still")

    def _too_small(self, view: View) -> FaceTooSmall | None:
        if (side := view.faces[0].side / view.detail) >= self._requirements.face_side:
            return None
        return FaceTooSmall(f"the face is too small ({side:.0f} pixels), come closer to the camera")

    @contextmanager
    def _detailed(self, photo: Photo, view: View) -> Iterator[_Detail]:
        """Yield what `_fine` does. Raises FaceTooSmall."""
        if error := self._too_small(view):
            raise error
        with self._fine(photo, view) as detail:
            yield detail

    @contextmanager
    def _fine(self, photo: Photo, view: View) -> Iterator[_Detail]:
        """Yield the view, or a finer one if the model takes more of the face's pixels.

        Also yield its scale relative to the view. Beyond the picture's edge it is grey: closely cut
        faces are more alike with black (docs/matching.md).
        """
        view_pixels_per_pixel = self._magnification(view)
        if view_pixels_per_pixel >= 1 or view.detail >= 1:
            yield Pyramid(view.pyramid.picture, GREY), 1.0
            return
        coarse = min(view.pyramid.picture.shape[:2])
        with photo.decoded(coarse / view_pixels_per_pixel) as picture:
            rotated = np.ascontiguousarray(np.rot90(picture, view.quarters))
            yield Pyramid(rotated, GREY), min(rotated.shape[:2]) / coarse

    def _good_vector(
        self, view: View, detail: _Detail, chips: Picture
    ) -> tuple[NDArray[np.float32], quality.Grade | None]:
        """Return the vector of a face and how good it is; None if that is not measured.

        Raises UnusableImage if it is not good enough to enrol.
        """
        worst = quality.LIMITS[self._requirements.quality]
        if worst is None:
            return _mean(self._embedded(chips)), None
        found, embedded = self._measured(view, detail, chips)
        if error := quality.flaw(found, worst):
            raise error
        return _mean(embedded), quality.grade(found)

    def _described(self, view: View, detail: _Detail) -> DescribedFace:
        chips = self._cut(view, detail, self.model.crops[:1])
        found, _ = self._measured(view, detail, chips)
        flaw: UnusableImage | None = self._too_small(view) or self._too_blurred(chips)
        if flaw is None and (worst := quality.LIMITS[self._requirements.quality]):
            flaw = quality.flaw(found, worst)
        return DescribedFace(in_photo(view, view.faces[0]), found, flaw)

    def _magnification(self, view: View) -> float:
        """Return how many pixels of the view the model takes for each of its own."""
        return magnification(chip_to_picture(view.faces[0], self.model))

    def _measured(
        self, view: View, detail: _Detail, chips: Picture
    ) -> tuple[quality.Quality, NDArray[np.float32]]:
        """Return the measures of a face, and the vectors of its chips."""
        face, chip = view.faces[0], chips[0]
        to_chip = cv2.invertAffineTransform(chip_to_picture(face, self.model))
        landmarks = face.landmarks @ to_chip[:, :2].T + to_chip[:, 2]
        crops = len(chips)
        embedded = self._embedded(np.stack([*chips, *quality.covered(chip, landmarks)]))
        pyramid, scale = detail
        found = quality.measured(
            pyramid.picture,
            face.landmarks * scale,
            face.box,
            face.side / view.detail,
            chip,
            landmarks,
            embedded[0],
            embedded[crops:],
        )
        return found, embedded[:crops]

    def _found(self, photo: Photo, view: View, crops: Sequence[float]) -> _Found:
        with self._detailed(photo, view) as detail:
            return self._aligned(view, detail, crops)

    def _aligned(self, view: View, detail: _Detail, crops: Sequence[float]) -> _Found:
        chips = self._chips(view, detail, crops)
        landmarks = view.faces[0].landmarks
        to_grey = similarity(motion.POINTS, landmarks)
        grey = view.pyramid.warped(to_grey, motion.SIDE)[..., 1].copy()
        to_picture = affine(canonical.POINTS, landmarks)
        aligned = view.pyramid.warped(to_picture, canonical.SIDE)
        return chips, partial(
            ObservedFace,
            quality=sharpness(chips[0]),
            alone=len(view.faces) == 1,
            grey=grey,
            aligned=aligned,
            to_picture=to_picture,
            landmarks=landmarks,
        )

    def _observed(self, found: Sequence[_Found]) -> list[ObservedFace]:
        embedded = self._embedded(np.concatenate([chips for chips, _ in found]))
        ends = np.cumsum([len(chips) for chips, _ in found])
        of_each = np.split(embedded, ends[:-1])
        return [make(_mean(vectors)) for (_, make), vectors in zip(found, of_each, strict=True)]

    def _embedded(self, chips: Picture) -> NDArray[np.float32]:
        """Return one vector for each chip. chips: (n, side, side, 3)."""
        (vectors,) = self._embed(chips)
        if not np.isfinite(vectors).all():
            raise FloatingPointError(
                f"the network of {self.model.name} returned a vector that is not finite"
            )
        return vectors


def _mean(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the direction (dimension,) of the mean of vectors (n, dimension)."""
    total = vectors.sum(axis=0)
    return np.asarray(total / np.linalg.norm(total), np.float32)


def sharpness(chip: Picture) -> float:
    """Return the share of fine detail in a chip: variance of its Laplacian over its variance.

    This does not depend on brightness and contrast. Pech-Pacheco et al. 2000 use the variance of
    the Laplacian alone, without smoothing first, which measures noise and rounding, not blur.
    """
    grey = cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY).astype(np.float32)
    smooth = cv2.GaussianBlur(grey, (0, 0), 2)
    return float(cv2.Laplacian(smooth, cv2.CV_32F).var() / max(grey.var(), 1.0))
