"""The pipeline: encoded picture → decode → find the face → align → feature vector."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from app.recognition import (
    FaceTooBlurred,
    FaceTooSmall,
    NoFace,
    NotAnImage,
    SeveralFaces,
    UnusableImage,
    canonical,
    motion,
)
from app.recognition.alignment import affine, chip_to_picture, similarity
from app.recognition.detector import Face, FaceDetector
from app.recognition.film import BadFrame, Film, Seen
from app.recognition.image import FORMATS, Photo, Picture
from app.recognition.limiter import Limiter, PixelBudget
from app.recognition.pyramid import Pyramid, magnification
from models.catalogue import FaceModel
from models.network import Runtime


@dataclass(frozen=True, slots=True)
class Limits:
    """What pictures must be like.

    megapixels: the most that is decoded, of one picture and of all together that are being decoded.
    formats: those of FORMATS that are taken.
    elongation: the most that the longer side may be of the shorter one.
    face_side: least side of a face in pixels.
    sharpness: least sharpness of a face, see `sharpness`.
    rival: what share of the largest face's side makes a second face too large to enrol the first.
    tie: what share of it makes a face as large, so that the more central one counts.
    sure_score: below it, a face is looked for in the turned picture, too, and must reach it there.
    search_side: pixels of a picture's shorter side that suffice to find the face.
    fine_megapixels: of the picture that is searched once more if nothing is found.
    frame_megapixels: the most that is decoded of a frame of a film.
    """

    megapixels: float = 51
    formats: tuple[str, ...] = FORMATS
    elongation: float = 5
    face_side: float = 24
    sharpness: float = 0.00025
    rival: float = 0.6
    tie: float = 0.9
    sure_score: float = 0.99
    search_side: int = 480
    fine_megapixels: float = 3
    frame_megapixels: float = 4.2


@dataclass(frozen=True, slots=True)
class _View:
    """What is seen in a photo turned by so many quarters.

    faces: the one that counts, and then its rivals.
    detail: pixels of the view for each pixel of the photo, in [0, 1].
    """

    pyramid: Pyramid
    faces: list[Face]
    quarters: int
    detail: float

    @property
    def score(self) -> float:
        return self.faces[0].score if self.faces else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    """What is kept of a view.

    chip: the face as the model takes it. The rest is as `Seen` and `_View` have it.
    """

    chip: Picture
    alone: bool
    face: motion.Face
    plain: canonical.Plain
    laid: NDArray[np.float64]
    quarters: int


class Recogniser:
    """Turns pictures into feature vectors of one face model. Thread-safe.

    limiter: each picture is looked at in a turn of its own. Where turns stay taken, the methods
    raise Overloaded.
    """

    def __init__(
        self,
        runtime: Runtime,
        model: FaceModel,
        limits: Limits | None = None,
        limiter: Limiter | None = None,
    ) -> None:
        self.model = model
        self.device = runtime.device
        self._limits = limits or Limits()
        self._limiter = limiter or nullcontext()
        self._budget = PixelBudget(self._limits.megapixels * 1e6)
        self._embed = runtime.compile(model.network())
        self._detector = FaceDetector(runtime)

    def for_enrolment(self, data: bytes) -> Seen:
        """The only large face. Raises NotAnImage, UnusableImage."""
        with self._limiter:
            photo = self._photo(data)
            view = self._look(photo)
            if (count := len(view.faces)) > 1:
                raise SeveralFaces(f"the picture shows several faces ({count}), enrol one person")
            (seen,) = self._seen([self._cut(photo, view)])
            return seen

    def for_login(self, data: bytes) -> NDArray[np.float32]:
        """The vector (dimension,) of the largest face.

        Of faces as large, give or take a tenth, the most central one counts. Raises NotAnImage,
        UnusableImage.
        """
        with self._limiter:
            photo = self._photo(data)
            return self._vector(self._chip(photo, self._look(photo)))

    def for_film(self, data: bytes, frames: Sequence[bytes]) -> Film:
        """The face that counts in a photo, as in `for_login`, and in each of the frames.

        Raises BadFrame, before the photo is looked at; NotAnImage, UnusableImage.
        """
        with self._limiter:
            film = [self._frame(number, frame) for number, frame in enumerate(frames)]
            photo = self._photo(data)
            probe = self._cut(photo, self._look(photo))
        cuts, numbers = [probe], []
        for number, frame in enumerate(film):
            with self._limiter, suppress(UnusableImage), _of_frame(number):
                cuts.append(self._cut(frame, self._glance(frame, probe.quarters)))
                numbers.append(number)
        with self._limiter:
            seen = self._seen(cuts)
        by_number = dict(zip(numbers, seen[1:], strict=True))
        return Film(seen[0], [by_number.get(number) for number in range(len(film))])

    def _frame(self, number: int, data: bytes) -> Photo:
        with _of_frame(number):
            try:
                return self._photo(data, self._limits.frame_megapixels)
            except UnusableImage as error:
                raise BadFrame(number, str(error)) from error

    def _photo(self, data: bytes, most_megapixels: float = math.inf) -> Photo:
        most = min(most_megapixels, self._limits.megapixels)
        return Photo(data, most, self._limits.formats, self._budget)

    def _look(self, photo: Photo) -> _View:
        """The photo the way up in which its largest face is seen best. Raises UnusableImage."""
        picture = self._coarse(photo)
        detail = min(picture.shape[:2]) / photo.shorter_side
        upright = self._turned(picture, 0, detail)
        if upright.score >= self._limits.sure_score:
            return upright
        # Pixels may be turned without EXIF saying so. MTCNN half believes in upside-down faces,
        # and in faces where there are none: a turned one counts only where it is sure.
        best = upright
        for quarters in (1, 2, 3):
            turned = self._turned(picture, quarters, detail)
            if turned.score > max(best.score, self._limits.sure_score):
                best = turned
        return best if best.faces else self._look_finer(photo)

    def _look_finer(self, photo: Photo) -> _View:
        """The photo in more pixels, for a face that is small in it. Raises UnusableImage.

        Only faces that are sure count: the finer the search, the more patterns look like one.
        """
        shape = photo.longer_side / photo.shorter_side
        shorter_side = math.sqrt(self._limits.fine_megapixels * 1e6 / shape)
        picture = photo.decode(shorter_side)
        if (share := shorter_side / min(picture.shape[:2])) < 1:
            picture = np.asarray(
                cv2.resize(picture, None, fx=share, fy=share, interpolation=cv2.INTER_AREA),
                np.uint8,
            )
        view = self._turned(picture, 0, min(picture.shape[:2]) / photo.shorter_side, 0)
        if view.score >= self._limits.sure_score:
            return view
        if view.detail * self._limits.face_side < self._detector.smallest_face:
            raise NoFace("nobody was found in the picture, come closer to the camera")
        raise NoFace("no face was found in the picture")

    def _glance(self, photo: Photo, quarters: int) -> _View:
        """The photo turned by so many quarters. Raises UnusableImage."""
        picture = self._coarse(photo)
        view = self._turned(picture, quarters, min(picture.shape[:2]) / photo.shorter_side)
        if not view.faces:
            raise NoFace("no face was found in the picture")
        return view

    def _coarse(self, photo: Photo) -> Picture:
        """The photo in as many pixels as a search takes. Raises UnusableImage."""
        shorter, longer = photo.shorter_side, photo.longer_side
        if shorter < self._limits.face_side:
            raise FaceTooSmall(f"the picture is too small ({longer}×{shorter} pixels)")
        if longer > self._limits.elongation * shorter:
            raise NoFace("the picture is too long and narrow to show a face")
        return photo.decode(self._limits.search_side)

    def _turned(
        self, picture: Picture, quarters: int, detail: float, smallest_share: float | None = None
    ) -> _View:
        pyramid = Pyramid(np.ascontiguousarray(np.rot90(picture, quarters)))
        faces = self._detector.detect(pyramid, self._limits.rival, smallest_share)
        centre = np.array(pyramid.picture.shape[1::-1]) / 2

        def rank(face: Face) -> tuple[bool, float]:
            off_centre = np.linalg.norm(face.box.reshape(2, 2).mean(axis=0) - centre)
            return face.side < self._limits.tie * faces[0].side, float(off_centre)

        rivals = [face for face in faces if face.side > self._limits.rival * faces[0].side]
        return _View(pyramid, sorted(rivals, key=rank), quarters, detail)

    def _chip(self, photo: Photo, view: _View) -> Picture:
        face = view.faces[0]
        if (side := face.side / view.detail) < self._limits.face_side:
            raise FaceTooSmall(
                f"the face is too small ({side:.0f} pixels), come closer to the camera"
            )
        pyramid, to_picture = view.pyramid, chip_to_picture(face, self.model)
        pixels_a_pixel = magnification(to_picture)
        if pixels_a_pixel < 1 and view.detail < 1:
            # the view is too coarse for this face: take its pixels from a finer one
            coarse = min(pyramid.picture.shape[:2])
            with photo.decoded(coarse / pixels_a_pixel) as picture:
                turned = np.ascontiguousarray(np.rot90(picture, view.quarters))
                finer = to_picture * (min(turned.shape[:2]) / coarse)
                chip = Pyramid(turned).warped(finer, self.model.side)
        else:
            chip = pyramid.warped(to_picture, self.model.side)
        if sharpness(chip) < self._limits.sharpness:
            raise FaceTooBlurred("the face is too blurred, hold the camera still")
        return chip

    def _cut(self, photo: Photo, view: _View) -> _Cut:
        """The face that counts, so that the view takes no memory while others are looked at."""
        chip = self._chip(photo, view)
        landmarks = view.faces[0].landmarks
        to_picture = similarity(motion.POINTS, landmarks)
        face = view.pyramid.warped(to_picture, motion.SIDE)[..., 1].copy()
        laid = affine(canonical.POINTS, landmarks)
        plain = view.pyramid.warped(laid, canonical.SIDE)
        return _Cut(chip, len(view.faces) == 1, face, plain, laid, view.quarters)

    def _seen(self, cuts: Sequence[_Cut]) -> list[Seen]:
        vectors = self._vectors(np.stack([cut.chip for cut in cuts]))
        return [
            Seen(vector, sharpness(cut.chip), cut.alone, cut.face, cut.plain, cut.laid)
            for cut, vector in zip(cuts, vectors, strict=True)
        ]

    def _vector(self, chip: Picture) -> NDArray[np.float32]:
        vector: NDArray[np.float32] = self._vectors(chip[None])[0]
        return vector

    def _vectors(self, chips: Picture) -> NDArray[np.float32]:
        (vectors,) = self._embed(chips)
        if not np.isfinite(vectors).all():
            raise FloatingPointError(f"the network of {self.model.name} gave no finite vector")
        return vectors


@contextmanager
def _of_frame(number: int) -> Iterator[None]:
    try:
        yield
    except NotAnImage as error:
        raise BadFrame(number, str(error)) from error


def sharpness(chip: Picture) -> float:
    """How much of a face chip's contrast is fine detail: variance of the Laplacian over variance.

    Does not depend on brightness or contrast. Pech-Pacheco et al. 2000 use the variance alone, and
    without smoothing first, which measures noise and rounding rather than blur.
    """
    grey = cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY).astype(np.float32)
    smooth = cv2.GaussianBlur(grey, (0, 0), 2)
    return float(cv2.Laplacian(smooth, cv2.CV_32F).var() / max(grey.var(), 1.0))
