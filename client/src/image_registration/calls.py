"""The calls of `/api/v2` for faces and employees, described once for both clients."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar
from urllib.parse import quote

from image_registration import reading
from image_registration.answers import (
    Candidates,
    Comparison,
    Employee,
    Enrolled,
    Faces,
    FeatureVectors,
    LivenessSession,
    Match,
    Me,
    Page,
    Sample,
    Verification,
)
from image_registration.call import Call, given
from image_registration.operators import AuditPage
from image_registration.photos import Photo, all_encoded, encoded

Check = Literal["liveness", "fraud"]
Vector = Sequence[float]
Paged = TypeVar("Paged", Page, AuditPage)


@dataclass(frozen=True, kw_only=True)
class NewEmployee:
    """Someone to enrol, by photos or feature vectors.

    groups: None means those of the API key. partial: leave out photos that cannot be used, unless
    none can. allow_similar: enrol a face that is enrolled under another id, as of twins.
    """

    employee_id: int
    name: str
    surname: str = ""
    photos: Sequence[Photo] = ()
    feature_vectors: Sequence[Vector] = ()
    external_id: str | None = None
    metadata: Mapping[str, Any] | None = None
    groups: Iterable[str] | None = None
    partial: bool = False
    allow_similar: bool = False


def identify(
    photo: Photo,
    *,
    frames: Sequence[Photo] = (),
    checks: Iterable[Check] = (),
    group: str | None = None,
    threshold: float | None = None,
    session_id: str | None = None,
) -> Call[Match]:
    """Log in: return whose face it is. Raises LoginRefused.

    frames: 15 photos, if there are checks or a session. threshold: a stricter α than the service's.
    session_id: a liveness session, whose moves the frames show.
    """
    return Call(
        "POST",
        "/identifications",
        reading.match,
        given(checks=list(checks), group=group, threshold=threshold, session_id=session_id),
        {"photo": [encoded(photo)], "frames": all_encoded(frames)},
        is_login=True,
    )


def verify(
    employee_id: int,
    photo: Photo,
    *,
    frames: Sequence[Photo] = (),
    checks: Iterable[Check] = (),
    group: str | None = None,
    threshold: float | None = None,
    session_id: str | None = None,
) -> Call[Verification]:
    """Log in: return if it is that employee. Raises LoginRefused. Arguments: as of `identify`."""
    return Call(
        "POST",
        "/verifications",
        reading.verification,
        given(
            employee_id=employee_id,
            checks=list(checks),
            group=group,
            threshold=threshold,
            session_id=session_id,
        ),
        {"photo": [encoded(photo)], "frames": all_encoded(frames)},
        is_login=True,
    )


def open_liveness_session() -> Call[LivenessSession]:
    """Return what a person must do to be let in. It is for one login, within two minutes.

    It counts as a failed login until one succeeds.
    """
    return Call("POST", "/liveness-sessions", reading.session, is_login=True)


def candidates(
    photo: Photo | None = None,
    *,
    feature_vector: Vector | None = None,
    limit: int = 10,
    group: str | None = None,
) -> Call[Candidates]:
    """Return the nearest employees, up to 20, to either a photo or a feature vector."""
    return Call(
        "POST",
        "/candidates",
        reading.candidates,
        given(feature_vector=_numbers(feature_vector), limit=limit, group=group),
        {"photo": [] if photo is None else [encoded(photo)]},
    )


def compare(one: Photo, other: Photo) -> Call[Comparison]:
    """Return whether two photos show the same person, and how near they are."""
    return Call(
        "POST",
        "/comparisons",
        reading.comparison,
        photos={"photos": all_encoded([one, other])},
    )


def faces(photo: Photo) -> Call[Faces]:
    """Return all faces of a photo, and whether they could be enrolled."""
    return Call("POST", "/faces", reading.faces, photos={"photo": [encoded(photo)]})


def feature_vectors(photos: Sequence[Photo]) -> Call[FeatureVectors]:
    """Return the feature vector of each photo, or why there is none."""
    files = {"photos": all_encoded(photos)}
    return Call("POST", "/feature-vectors", reading.vectors, photos=files)


def enrol(
    person: NewEmployee, *, if_match: str | None = None, only_new: bool = False
) -> Call[Enrolled]:
    """Enrol an employee, or replace everything stored about one. Raises FaceRefused, Conflict.

    if_match: replace only this version (`Employee.etag`). only_new: replace nobody. Raises
    PreconditionFailed if that is not how things are.
    """
    return Call(
        "PUT",
        f"/employees/{person.employee_id}",
        reading.enrolled,
        given(
            name=person.name,
            surname=person.surname,
            feature_vectors=[_numbers(each) for each in person.feature_vectors] or None,
            external_id=person.external_id,
            metadata=_object(person.metadata),
            groups=_texts(person.groups),
            partial=person.partial,
            allow_similar=person.allow_similar,
        ),
        {"photos": all_encoded(person.photos)},
        headers=_if_match(if_match) | ({"If-None-Match": "*"} if only_new else {}),
    )


def get_employee(employee_id: int) -> Call[Employee]:
    """Return what is stored of an employee. Raises NotFound."""
    return Call("GET", f"/employees/{employee_id}", reading.employee)


def change_employee(
    employee_id: int,
    *,
    name: str | None = None,
    surname: str | None = None,
    external_id: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    groups: Iterable[str] | None = None,
    if_match: str | None = None,
) -> Call[Employee]:
    """Change what is stored beside the face; None leaves it, and external_id "" removes that.

    Raises NotFound, Conflict; PreconditionFailed if `if_match` is not the `etag`.
    """
    changes = given(
        name=name,
        surname=surname,
        external_id=external_id,
        metadata=_object(metadata),
        groups=_texts(groups),
    )
    if external_id == "":
        changes["external_id"] = None
    path, headers = f"/employees/{employee_id}", _if_match(if_match)
    return Call("PATCH", path, reading.employee, changes, headers=headers)


def delete_employee(employee_id: int, *, if_match: str | None = None) -> Call[None]:
    """Remove everything stored about an employee, if there is anything.

    Raises PreconditionFailed if `if_match` is not the `etag`.
    """
    path, headers = f"/employees/{employee_id}", _if_match(if_match)
    return Call("DELETE", path, reading.nothing, headers=headers)


def page(
    q: str = "",
    *,
    group: str | None = None,
    external_id: str | None = None,
    second_model: Literal["missing"] | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> Call[Page]:
    """Return up to 1,000 employees, in ascending order of id.

    q: beginnings of words of the name. second_model: `missing` lists those who are not enrolled
    under the second model yet. cursor: `next_cursor` of the page before.
    """
    query = given(
        q=q,
        group=group,
        external_id=external_id,
        second_model=second_model,
        limit=limit,
        cursor=cursor,
    )
    return Call("GET", "/employees", reading.page, query=query)


def me() -> Call[Me]:
    """Return what the API key may do."""
    return Call("GET", "/me", reading.me)


def next_page(call: Call[Paged], page: Paged) -> Call[Paged] | None:
    """Return the call for the next page."""
    if page.next_cursor is None:
        return None
    return replace(call, query={**call.query, "cursor": page.next_cursor})


def add_sample(
    employee_id: int,
    photo: Photo | None = None,
    *,
    feature_vector: Vector | None = None,
    allow_similar: bool = False,
    if_match: str | None = None,
) -> Call[Sample]:
    """Add either a photo or a feature vector. Raises NotFound, FaceRefused, Conflict."""
    return Call(
        "POST",
        f"/employees/{employee_id}/samples",
        reading.sample,
        given(feature_vector=_numbers(feature_vector), allow_similar=allow_similar),
        {"photo": [] if photo is None else [encoded(photo)]},
        headers=_if_match(if_match),
    )


def delete_sample(employee_id: int, sample_id: str, *, if_match: str | None = None) -> Call[None]:
    """Remove a sample. Raises NotFound; Conflict if it is the last one."""
    path = f"/employees/{employee_id}/samples/{quote(sample_id, safe='')}"
    return Call("DELETE", path, reading.nothing, headers=_if_match(if_match))


def _if_match(etag: str | None) -> dict[str, str]:
    return {} if etag is None else {"If-Match": etag}


def _object(members: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if members is None else dict(members)


def _numbers(vector: Vector | None) -> list[float] | None:
    return None if vector is None else [float(number) for number in vector]


def _texts(texts: Iterable[str] | None) -> list[str] | None:
    return None if texts is None else list(texts)
