"""Enrol many people from files, side by side, so that an interrupted run can be repeated."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from app.lifecycle import Service
from app.recognition import NotAnImage, UnusableImage
from app.storage import EmployeeChanged, EmployeeExists, Profile
from app.usecases.enrolment import Enrolment, EnrolmentRequest, Expected
from app.usecases.one_person import FaceEnrolled
from app.usecases.people_files import Person, Unclear
from app.usecases.records import stored_employee
from app.usecases.samples import NoUsablePhoto, Refused, from_photos
from app.usecases.transfer import Existing, Outcome

_AHEAD = 4  # people who wait for each thread, so that none is idle


@dataclass(frozen=True, slots=True)
class Refusal:
    """A photo that was not enrolled, or a person (photo is None). code: as over HTTP."""

    photo: Path | None
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one entry of the list.

    entry: the id, or what is given instead of one. examined: how many photos were recognised.
    """

    entry: str
    outcome: Outcome
    examined: int = 0
    refusals: tuple[Refusal, ...] = ()


class BulkEnrolment:
    """Enrols people as single enrolments do: same quality, same check for a second id.

    existing: what to do with people whose id is enrolled from other photos. most: photos that a
    person may have. dry: examine everything, and store nothing.
    """

    def __init__(
        self,
        service: Service,
        enrolment: Enrolment,
        existing: Existing,
        most: int,
        *,
        dry: bool = False,
    ) -> None:
        self._service = service
        self._enrolment = enrolment
        self._existing = existing
        self._most = most
        self._dry = dry

    def run(self, people: Iterable[Person | Unclear]) -> Iterator[Result]:
        """Yield a result for each, in order. A person is durable before the result is yielded.

        As many people are processed at once as the recogniser takes photos. Raises what enrolments
        raise if no further one can succeed, such as StoreUnavailable and AuditUnavailable.
        """
        threads = self._service.picture_slots.slots
        waiting: deque[Future[Result]] = deque()
        with ThreadPoolExecutor(threads, "enrol") as pool:
            try:
                for person in people:
                    waiting.append(pool.submit(self._result, person))
                    if len(waiting) >= _AHEAD * threads:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    def _result(self, person: Person | Unclear) -> Result:
        if isinstance(person, Unclear):
            return _refused(person.entry, "bad_entry", person.reason)
        entry = str(person.employee_id)
        try:
            photos = [photo.read_bytes() for photo in person.photos]
        except OSError as error:
            return _refused(entry, "not_readable", f"{error.filename}: {error.strerror}")
        if len(photos) > self._most:
            sentence = f"there are more than {self._most} photos (MAX_VECTORS_PER_EMPLOYEE)"
            return _refused(entry, "too_many_samples", sentence)
        return self._enrolled(person, photos)

    def _enrolled(self, person: Person, photos: list[bytes]) -> Result:
        entry, wanted = str(person.employee_id), self._enrolment_id(photos)
        stored = stored_employee(self._service.store, person.employee_id)
        if stored and stored.enrolment_id == wanted:
            return self._unchanged(person, photos, len(stored.vectors))
        if stored and self._existing is Existing.SKIP:
            return Result(entry, Outcome.SKIPPED)
        request = EnrolmentRequest(
            person.employee_id,
            person.name,
            person.surname,
            photos=photos,
            profile=Profile(groups=person.groups),
            partial=True,
            enrolment_id=wanted,
        )
        replaces = self._existing is Existing.REPLACE
        outcome = Outcome.REPLACED if stored else Outcome.CREATED
        try:
            if stored and not replaces:
                raise EmployeeExists
            if self._dry:
                refused = self._enrolment.examine(request)
            else:
                expected = Expected(may_exist=replaces)
                refused = self._enrolment.put(request, expected).refused
        except NoUsablePhoto as error:
            refusals = tuple(_refusal(each, person) for each in error.refused)
            return Result(entry, Outcome.REFUSED, len(photos), refusals)
        except (UnusableImage, NotAnImage) as error:
            only = person.photos[0] if len(photos) == 1 else None
            return _refused(entry, error.code, str(error), only, len(photos))
        except (EmployeeExists, EmployeeChanged):
            sentence = "the id is enrolled already, from other photos"
            return _refused(entry, "employee_exists", sentence)
        except FaceEnrolled:
            sentence = "that face is already enrolled under another id"
            return _refused(entry, "face_enrolled", sentence, examined=len(photos))
        refusals = tuple(_refusal(each, person) for each in refused)
        return Result(entry, outcome, len(photos), refusals)

    def _unchanged(self, person: Person, photos: list[bytes], used: int) -> Result:
        """Return the result of somebody enrolled already; say again which photos were left out.

        Only these are not stored, and the run that left them out may have been killed before it
        could say so. used: how many photos were not left out.
        """
        entry = str(person.employee_id)
        if used == len(photos):
            return Result(entry, Outcome.UNCHANGED)
        refused = from_photos(photos, self._service.recogniser, partial=True).refused
        refusals = tuple(_refusal(each, person) for each in refused)
        return Result(entry, Outcome.UNCHANGED, len(photos), refusals)

    def _enrolment_id(self, photos: Iterable[bytes]) -> str:
        """Return the id of an enrolment of these photos with the model that runs."""
        digest = blake2b(self._service.recogniser.model.name.encode(), digest_size=16)
        for photo in photos:
            digest.update(blake2b(photo).digest())
        return digest.hexdigest()


def _refusal(refused: Refused, person: Person) -> Refusal:
    reason = refused.reason
    return Refusal(person.photos[refused.photo - 1], reason.code, str(reason))


def _refused(
    entry: str, code: str, reason: str, photo: Path | None = None, examined: int = 0
) -> Result:
    return Result(entry, Outcome.REFUSED, examined, (Refusal(photo, code, reason),))
