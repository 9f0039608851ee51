"""One call: what is sent, and how its answer is read. It does no input or output."""

import json
from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from uuid import uuid4

import httpx

from image_registration.errors import ServiceError, error_of

T = TypeVar("T")
Body = Iterable[bytes] | AsyncIterable[bytes]


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request to be sent, as often as it takes.

    read: the result from the response of a success.
    members: of the body. photos: those that are pictures.
    is_login: a refusal counts against the person, so what may have been refused is not repeated.
    timeout_s: of each silence of the service, instead of the client's.
    """

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    members: Mapping[str, object] = field(default_factory=dict)
    photos: Mapping[str, Sequence[bytes]] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    is_login: bool = False
    timeout_s: float | None = None

    def request(self, http: httpx.Client | httpx.AsyncClient) -> httpx.Request:
        """Return the request, to be sent again for a retry.

        The service knows it by its Idempotency-Key and its bytes, so neither may change.
        """
        request = self.unread(http)
        request.read()  # encodes a form now, with the boundary that it keeps
        return request

    def unread(
        self, http: httpx.Client | httpx.AsyncClient, body: Body | None = None
    ) -> httpx.Request:
        """Return the request, to be sent once. body: pieces to be sent in place of members."""
        headers = dict(self.headers)
        if self.method != "GET":
            headers["Idempotency-Key"] = uuid4().hex
        files = [
            (name, ("photo", photo)) for name, photos in self.photos.items() for photo in photos
        ]
        return http.build_request(
            self.method,
            self.path,
            params=self.query or None,
            headers=headers,
            data={name: _part(value) for name, value in self.members.items()} if files else None,
            files=files or None,
            json=dict(self.members) if self.members and not files else None,
            content=body,
            timeout=http.timeout
            if self.timeout_s is None
            else httpx.Timeout(self.timeout_s, connect=http.timeout.connect),
        )

    def result(self, response: httpx.Response) -> T:
        """Return what the response says. Raises ServiceError."""
        try:
            if not response.is_success:
                raise error_of(response)
            return self.read(response)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            kind = response.headers.get("Content-Type", "no type")
            detail = f"the answer ({kind}) is none that this client knows: check the URL"
            raise ServiceError(
                response.status_code, "unreadable_answer", detail, "", None
            ) from error


def given(**members: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the members or parameters that are not None."""
    return {name: value for name, value in members.items() if value is not None}


def _part(value: object) -> str | list[str]:
    """Return a member as a form has it: text as it is, other values as JSON."""
    if isinstance(value, list):
        return [str(each) for each in value]
    return value if isinstance(value, str) else json.dumps(value)
