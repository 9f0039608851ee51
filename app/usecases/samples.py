"""Make the samples of an employee from photos or feature vectors."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.recognition import DifferentPeople, NotAnImage, UnusableImage
from app.recognition.perceptual_hash import photo_hashes
from app.recognition.recogniser import Recogniser
from app.stages import stage
from app.storage import Employee, Reference, Sample
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
    """Samples to store. refused: photos that they lack. second: the same under a second model."""

    reference: Reference
    refused: tuple[Refused, ...] = ()
    second: Reference | None = None


def from_vectors(vectors: Sequence[Sequence[float]], model: FaceModel) -> Samples:
    """Return the samples of vectors, which are finite and non-zero. Raises WrongDimension."""
    made = (Sample(int(time.time())),) * len(vectors)
    return Samples(Reference(model.name, unit(vectors, model.dimension), made, ()))


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
    reference = Reference(
        recogniser.model.name,
        np.stack([face.vector for face in faces]),
        tuple(Sample(now, len(each), face.grade) for each, face in zip(hashes, faces, strict=True)),
        tuple(each for of_face in hashes for each in of_face),
    )
    check_one_person(reference.vectors, reference.vectors, recogniser.model)
    return Samples(reference, tuple(refused))


def check_one_person(
    vectors: NDArray[np.float32], others: NDArray[np.float32], model: FaceModel
) -> None:
    """Raise DifferentPeople if a vector and another, (n, dimension), are not of one person."""
    farthest = np.sqrt(max(2 - 2 * float((vectors @ others.T).min()), 0))
    if farthest * model.distance_scale > _SAME_PERSON:
        raise DifferentPeople("the pictures show different people, enrol one person")


def joined(one: Reference | None, other: Reference) -> Reference:
    """Return the samples of both, which are of one model."""
    if one is None:
        return other
    of_samples = sum(sample.photo_hashes for sample in one.samples)
    hashes = one.photo_hashes
    return replace(
        one,
        vectors=np.concatenate((one.vectors, other.vectors)),
        samples=one.samples + other.samples,
        photo_hashes=hashes[:of_samples] + other.photo_hashes + hashes[of_samples:],
    )


def without(employee: Employee, removed: str) -> Employee:
    """Return the employee without the sample with this id, and all that is of its photo.

    Samples that logins gave to a second model go, too: the removed one may have let them in.
    Raises NoSuchSample, LastSample.
    """
    kept = [name != removed for name, _ in employee.named_samples()]
    if all(kept):
        raise NoSuchSample(f"there is no sample {removed}")
    if not any(kept):
        raise LastSample("this is the last sample")
    reference, second = employee.reference, employee.second
    gone = {each for hashes in _hashes(reference, [not each for each in kept]) for each in hashes}
    if second and second.of_logins:
        second = None
    if second:
        # A photo has the same hashes under both models.
        of_others = [not gone.intersection(each) for each in _hashes(second)]
        second = _only(second, of_others, gone) if any(of_others) else None
    return employee.referred_by(_only(reference, kept, gone), second)


def _only(reference: Reference, kept: Sequence[bool], gone: set[bytes]) -> Reference:
    """Return the samples that are kept, and the hashes that are not of others, nor gone."""
    of_samples = sum(sample.photo_hashes for sample in reference.samples)
    hashes = [each for of_sample in _hashes(reference, kept) for each in of_sample]
    others = (each for each in reference.photo_hashes[of_samples:] if each not in gone)
    return replace(
        reference,
        vectors=reference.vectors[np.array(kept)],
        samples=tuple(s for s, keep in zip(reference.samples, kept, strict=True) if keep),
        photo_hashes=(*hashes, *others),
    )


def _hashes(
    reference: Reference, chosen: Sequence[bool] | None = None
) -> Iterator[tuple[bytes, ...]]:
    """Yield the hashes of each sample that is chosen; of all by default."""
    start = 0
    for number, sample in enumerate(reference.samples):
        end = start + sample.photo_hashes
        if chosen is None or chosen[number]:
            yield reference.photo_hashes[start:end]
        start = end


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
