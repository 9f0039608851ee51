"""The pipeline: encoded picture → decode → find the face → align → feature vector."""

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
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
from app.recognition.alignment import affine, chip_to_picture, similarity
from app.recognition.detector import FaceDetector
from app.recognition.face_search import FaceSearch, View
from app.recognition.frame_sequence import BadFrame, FrameSequence, ObservedFace
from app.recognition.image import Photo, Picture
from app.recognition.picture_requirements import PictureRequirements
from app.recognition.pixel_budget import PixelBudget
from app.recognition.pyramid import Pyramid, magnification
from models.catalogue import FaceModel
from models.network import Runtime

# The model's input crop, and a function that makes an ObservedFace from the crop's vector.
# Nothing more of a picture is kept, so that the whole picture can be released.
_Crop = tuple[Picture, Callable[[NDArray[np.float32]], ObservedFace]]


class Recogniser:
    """Turns pictures into feature vectors of one face model. Thread-safe.

    slots: each picture takes one while it is processed. If none becomes free in time, the methods
    raise Overloaded.
    """

    def __init__(
        self,
        runtime: Runtime,
        model: FaceModel,
        requirements: PictureRequirements | None = None,
        slots: Limiter | None = None,
    ) -> None:
        self.model = model
        self.device = runtime.device
        self._requirements = requirements or PictureRequirements()
        self._slots = slots or nullcontext()
        self._budget = PixelBudget(self._requirements.megapixels * 1e6)
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
            chip, observed = self._crop(photo, view)
            return observed(self._good_vector(view, chip))

    def for_login(self, data: bytes) -> NDArray[np.float32]:
        """Return the vector (dimension,) of the main face. Raises NotAnImage, UnusableImage."""
        with self._slots:
            photo = self._photo(data)
            chip = self._chip(photo, self._search.best_view(photo))
            vector: NDArray[np.float32] = self._vectors(chip[None])[0]
            return vector

    def for_frames(self, data: bytes, frames: Sequence[bytes]) -> FrameSequence:
        """Return the main face of a photo and of each of the frames.

        Raises NotAnImage and UnusableImage for the photo, BadFrame for a frame. Frames are checked
        before the photo.
        """
        with self._slots:
            pictures = [self._frame(number, frame) for number, frame in enumerate(frames)]
            photo = self._photo(data)
            view = self._search.best_view(photo)
            crops, numbers, quarters = [self._crop(photo, view)], [], view.quarters
        del photo, view
        for number, frame in enumerate(pictures):
            try:
                with self._slots:
                    crops.append(self._crop(frame, self._search.view(frame, quarters)))
                numbers.append(number)
            except UnusableImage:
                continue  # the frame counts as one without a usable face
            except NotAnImage as error:
                raise BadFrame(number, str(error)) from error
        with self._slots:
            faces = self._observed(crops)
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

    def _chip(self, photo: Photo, view: View) -> Picture:
        """Return the face as the model takes it. Raises FaceTooSmall, FaceTooBlurred."""
        face = view.faces[0]
        if (side := face.side / view.detail) < self._requirements.face_side:
            raise FaceTooSmall(
                f"the face is too small ({side:.0f} pixels), come closer to the camera"
            )
        pyramid, to_picture = view.pyramid, chip_to_picture(face, self.model)
        view_pixels_per_pixel = magnification(to_picture)
        if view_pixels_per_pixel < 1 and view.detail < 1:
            # The view is too coarse for this face, so decode the photo with more pixels.
            coarse = min(pyramid.picture.shape[:2])
            with photo.decoded(coarse / view_pixels_per_pixel) as picture:
                rotated = np.ascontiguousarray(np.rot90(picture, view.quarters))
                finer = to_picture * (min(rotated.shape[:2]) / coarse)
                chip = Pyramid(rotated).warped(finer, self.model.side)
        else:
            chip = pyramid.warped(to_picture, self.model.side)
        if sharpness(chip) < self._requirements.sharpness:
            raise FaceTooBlurred("the face is too blurred, hold the camera still")
        return chip

    def _good_vector(self, view: View, chip: Picture) -> NDArray[np.float32]:
        """Return the vector of a chip. Raises UnusableImage if it is not good enough to enrol."""
        worst = quality.LIMITS[self._requirements.quality]
        if worst is None:
            return np.asarray(self._vectors(chip[None])[0])
        face = view.faces[0]
        to_chip = cv2.invertAffineTransform(chip_to_picture(face, self.model))
        landmarks = face.landmarks @ to_chip[:, :2].T + to_chip[:, 2]
        vectors = self._vectors(np.stack([chip, *quality.covered(chip, landmarks)]))
        side, picture = face.side / view.detail, view.pyramid.picture
        found = quality.measured(picture, face, side, chip, landmarks, vectors)
        if error := quality.flaw(found, worst):
            raise error
        return np.asarray(vectors[0])

    def _crop(self, photo: Photo, view: View) -> _Crop:
        chip = self._chip(photo, view)
        landmarks = view.faces[0].landmarks
        to_grey = similarity(motion.POINTS, landmarks)
        grey = view.pyramid.warped(to_grey, motion.SIDE)[..., 1].copy()
        to_picture = affine(canonical.POINTS, landmarks)
        aligned = view.pyramid.warped(to_picture, canonical.SIDE)
        return chip, partial(
            ObservedFace,
            quality=sharpness(chip),
            alone=len(view.faces) == 1,
            grey=grey,
            aligned=aligned,
            to_picture=to_picture,
        )

    def _observed(self, crops: Sequence[_Crop]) -> list[ObservedFace]:
        vectors = self._vectors(np.stack([chip for chip, _ in crops]))
        return [make(vector) for (_, make), vector in zip(crops, vectors, strict=True)]

    def _vectors(self, chips: Picture) -> NDArray[np.float32]:
        (vectors,) = self._embed(chips)
        if not np.isfinite(vectors).all():
            raise FloatingPointError(
                f"the network of {self.model.name} returned a vector that is not finite"
            )
        return vectors


def sharpness(chip: Picture) -> float:
    """Return the share of fine detail in a chip: variance of its Laplacian over its variance.

    This does not depend on brightness and contrast. Pech-Pacheco et al. 2000 use the variance of
    the Laplacian alone, without smoothing first, which measures noise and rounding, not blur.
    """
    grey = cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY).astype(np.float32)
    smooth = cv2.GaussianBlur(grey, (0, 0), 2)
    return float(cv2.Laplacian(smooth, cv2.CV_32F).var() / max(grey.var(), 1.0))
