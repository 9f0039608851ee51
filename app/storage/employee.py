"""An enrolled person: name, vectors, samples and profile."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray


def new_enrolment_id() -> str:
    """Return a new unique id."""
    return uuid4().hex


def sample_id(vector: NDArray[np.float32]) -> str:
    """Return the id of an employee's sample: a hash of its feature vector, 16 hex digits."""
    return blake2b(vector.astype("<f4").tobytes(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Sample:
    """What one of an employee's feature vectors was made of.

    enrolled_at: seconds since 1970; None if it is not known.
    photo_hashes: how many of the employee's photo hashes are of this sample.
    quality: how good its photo was, a Grade; None if it is not known.
    """

    enrolled_at: int | None = None
    photo_hashes: int = 0
    quality: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """What probes of one model are compared with; the fields are as of `Employee`.

    of_logins: whether samples are of logins, and not all of photos that somebody enrolled.
    """

    model: str
    vectors: NDArray[np.float32]
    samples: tuple[Sample, ...]
    photo_hashes: tuple[bytes, ...]
    of_logins: bool = False


@dataclass(frozen=True, slots=True)
class Profile:
    """What clients keep about an employee beside name and face. Older records have an empty one.

    external_id: the person's id in another system; no two employees have the same.
    metadata: a JSON object of the client's. groups: names, ascending.
    enrolled_at, updated_at: seconds since 1970; None if they are not known.
    """

    external_id: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    enrolled_at: int | None = None
    updated_at: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Employee:
    """One enrolled person.

    vectors: (n, dimension) float32, n ≥ 1, unit length, all computed by the model named `model`.
    photo_hashes: perceptual hashes of the enrolled photos, which are not stored themselves. Empty
        for employees enrolled with vectors, or by an older release. Those of the samples come
        first, in order.
    samples: one for each vector, in order.
    second: what is stored of another model, while a company changes from one to the other.
    """

    employee_id: int
    name: str
    surname: str
    vectors: NDArray[np.float32]
    model: str
    # Identifies the write that made this record; a retried write keeps it. "" in old records.
    enrolment_id: str = field(default_factory=new_enrolment_id)
    photo_hashes: tuple[bytes, ...] = ()
    samples: tuple[Sample, ...] = ()
    profile: Profile = Profile()
    second: Reference | None = None

    def __post_init__(self) -> None:
        """Describe the samples of a record that does not say what they are.

        Every photo has equally many hashes, so they are shared out evenly.
        """
        count = len(self.vectors)
        if len(self.samples) != count:
            each = len(self.photo_hashes) // count if count else 0
            object.__setattr__(self, "samples", (Sample(photo_hashes=each),) * count)

    def named_samples(self) -> Iterator[tuple[str, Sample]]:
        """Yield the samples with their ids."""
        return zip(map(sample_id, self.vectors), self.samples, strict=True)

    @property
    def reference(self) -> Reference:
        """What is stored of `model`."""
        return Reference(self.model, self.vectors, self.samples, self.photo_hashes)

    @property
    def second_model(self) -> str | None:
        """The model of the second reference; None if there is none."""
        return self.second.model if self.second else None

    def second_of(self, model: str) -> Reference | None:
        """Return the second reference if it is of this model."""
        return self.second if self.second_model == model else None

    def under(self, model: str) -> "Employee | None":
        """Return the employee with this model's reference as the first; None if there is none."""
        if self.model == model:
            return self
        if second := self.second_of(model):
            return self.referred_by(second, self.reference)
        return None

    def referred_by(self, first: Reference, second: Reference | None) -> "Employee":
        """Return the employee with these references."""
        return replace(
            self,
            model=first.model,
            vectors=first.vectors,
            samples=first.samples,
            photo_hashes=first.photo_hashes,
            second=second,
        )

    @property
    def from_photos(self) -> bool:
        """Whether the vectors are known to be of photos that were checked to show one person."""
        return all(sample.photo_hashes for sample in self.samples)
