"""Make the samples of an employee from photos or feature vectors."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.recognition import DifferentPeople, NotAnImage, UnusableImage
from app.recognition.perceptual_hash import photo_hashes
from app.recognition.recogniser import Recogniser
from app.stages import stage
from app.storage import Employee, Sample, sample_id
from models.catalogue import FaceModel

# Distance up to which two photos count as one person's. Only 0.6 % of the pairs of one person are
# farther apart, half of them wrong labels. docs/quality.md says how often strangers pass.
_SAME_PERSON = 1.0


class WrongDimension(ValueError):
    """The feature vectors are not of the model's dimension."""


class LastSample(Exception):
    """The employee has only this sample, and nobody is recognised without one."""


class NoSuchSample(Exception):
    """The employee has no sample with that id."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A photo that was left out. photo: its number, from 1. reason: the error that says why."""

    photo: int
    reason: UnusableImage | NotAnImage


class NoUsablePhoto(UnusableImage):
    """None of several photos can be used. refused: why, for each.

    code: that of the photos, if they have the same.
    """

    def __init__(self, refused: Sequence[Refused]) -> None:
        super().__init__("; ".join(f"picture {each.photo}: {each.reason}" for each in refused))
        self.refused = tuple(refused)
        codes = {each.reason.code for each in refused}
        if len(codes) == 1:
            self.code = codes.pop()


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Samples to store. vectors: (n, dimension) float32, of unit length; one for each sample."""

    vectors: NDArray[np.float32]
    samples: tuple[Sample, ...]
    photo_hashes: tuple[bytes, ...] = ()
    refused: tuple[Refused, ...] = ()


def samples_of(employee: Employee) -> Samples:
    """Return the samples that are stored of an employee."""
    return Samples(employee.vectors, employee.samples, employee.photo_hashes)


def from_vectors(vectors: Sequence[Sequence[float]], model: FaceModel) -> Samples:
    """Return the samples of vectors, which are finite and non-zero. Raises WrongDimension."""
    made = (Sample(int(time.time())),) * len(vectors)
    return Samples(unit(vectors, model.dimension), made)


def from_photos(
    photos: Sequence[bytes], recogniser: Recogniser, *, partial: bool = False
) -> Samples:
    """Return the samples of photos. Raises DifferentPeople, UnusableImage, NotAnImage.

    If there are several photos, errors name the bad one.

    partial: leave out photos that cannot be used. If none of several can, raise NoUsablePhoto.
    """
    faces, refused = [], []
    with stage("recognition"):
        for number, photo in enumerate(photos, start=1):
            try:
                faces.append(recogniser.for_enrolment(photo))
            except (UnusableImage, NotAnImage) as error:
                if len(photos) == 1:
                    raise
                if not partial:
                    raise type(error)(f"picture {number}: {error}") from error
                refused.append(Refused(number, error))
    if not faces:
        raise NoUsablePhoto(refused)
    hashes = [photo_hashes(face.aligned) for face in faces]
    now = int(time.time())
    samples = Samples(
        np.stack([face.vector for face in faces]),
        tuple(Sample(now, len(each)) for each in hashes),
        tuple(each for of_face in hashes for each in of_face),
        tuple(refused),
    )
    check_one_person(samples.vectors, samples.vectors, recogniser.model)
    return samples


def check_one_person(
    vectors: NDArray[np.float32], others: NDArray[np.float32], model: FaceModel
) -> None:
    """Raise DifferentPeople if a vector and another, (n, dimension), are not of one person."""
    farthest = np.sqrt(max(2 - 2 * float((vectors @ others.T).min()), 0))
    if farthest * model.distance_scale > _SAME_PERSON:
        raise DifferentPeople("the pictures show different people, enrol one person")


def joined(one: Samples, other: Samples) -> Samples:
    """Return the samples of both."""
    return Samples(
        np.concatenate((one.vectors, other.vectors)),
        one.samples + other.samples,
        one.photo_hashes + other.photo_hashes,
    )


def without(samples: Samples, removed: str) -> Samples:
    """Return the samples but the one with this id, and the hashes that are not of it.

    Raises NoSuchSample, LastSample.
    """
    kept = [sample_id(vector) != removed for vector in samples.vectors]
    if all(kept):
        raise NoSuchSample(f"there is no sample {removed}")
    if not any(kept):
        raise LastSample("this is the last sample")
    hashes: list[bytes] = []
    start = 0
    for sample, keep in zip(samples.samples, kept, strict=True):
        end = start + sample.photo_hashes
        hashes += samples.photo_hashes[start:end] if keep else ()
        start = end
    chosen = tuple(sample for sample, keep in zip(samples.samples, kept, strict=True) if keep)
    return Samples(samples.vectors[kept], chosen, tuple(hashes))


def unit(vectors: Sequence[Sequence[float]], dimension: int) -> NDArray[np.float32]:
    """Return the vectors scaled to unit length. Raises WrongDimension."""
    for number, vector in enumerate(vectors, start=1):
        if len(vector) != dimension:
            raise WrongDimension(
                f"feature vector {number} has {len(vector)} numbers, this model's have {dimension}"
            )
    rows = np.array(vectors, np.float64)
    # Divide by the largest number first, so that squares neither overflow nor underflow.
    rows /= np.abs(rows).max(axis=1, keepdims=True)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32)
