"""Read the photos of a CompreFace service, by its documented REST API."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import requests
from pydantic import BaseModel, Field, NonNegativeInt, ValidationError

from models.weights import innermost

_PAGE_SIZE = 1_000
_PASSES = 3  # of all pages, until they do not shift
_TIMEOUT_S = 10.0, 60.0  # to connect, and for each next piece
_CHUNK = 1 << 16
_MOST_MB = 20  # CompreFace takes photos of up to 5 MB


class CompreFaceError(Exception):
    """CompreFace cannot be read. The message says why, and what to do."""


class AnswerUnusable(CompreFaceError):
    """One answer cannot be used; others may."""


class _Face(BaseModel):
    image_id: Annotated[UUID | str, Field(union_mode="left_to_right")]
    subject: str


class _Page(BaseModel):
    faces: list[_Face]
    total_pages: NonNegativeInt
    total_elements: NonNegativeInt


class CompreFace:
    """A recognition service of CompreFace.

    address: like http://localhost:8000. key: its API key, in printable ASCII. It is sent to that
    address alone, and is in no message: CompreFace's own are not shown, because they hold it.
    """

    def __init__(self, address: str, key: str) -> None:
        self.address = address.rstrip("/")
        self._session = requests.Session()
        self._session.headers.update({"x-api-key": key, "Accept-Encoding": "identity"})

    def subjects(self) -> dict[UUID | str, str]:
        """Return the subject of each photo, by the photo's id. An id that is no UUID is text.

        Raises CompreFaceError, also if photos come and go while all pages are read.
        """
        for _ in range(_PASSES):
            found: dict[UUID | str, str] = {}
            totals, number, pages = set(), 0, 1
            while number < pages:
                page = self._page(number)
                found |= {face.image_id: face.subject for face in page.faces}
                totals.add(page.total_elements)
                number, pages = number + 1, page.total_pages if page.faces else 0
            if totals == {len(found)}:  # no page shifted
                return found
        raise CompreFaceError(
            f"{self.address} listed {len(found)} photos and counts {page.total_elements}, because "
            "they change: run this again when nobody enrols there"
        )

    def photo(self, image_id: UUID) -> bytes:
        """Return a photo as it was sent to CompreFace. Raises AnswerUnusable, CompreFaceError."""
        status, content = self._get(f"/{image_id}/img")
        if status != HTTPStatus.OK:
            raise AnswerUnusable(f"CompreFace answered {status}")
        if not content:
            raise AnswerUnusable("CompreFace does not keep it: save_images_to_db was off")
        return content

    def _page(self, number: int) -> _Page:
        status, content = self._get(f"?page={number}&size={_PAGE_SIZE}")
        try:
            return _Page.model_validate_json(content)
        except ValidationError:
            raise CompreFaceError(  # for a wrong key, it answers 400 or 404; a proxy, 401 or 403
                f"{self.address} answered {status}, and no list of faces: name the address of "
                "CompreFace 0.6 or later, and the API key of one of its recognition services"
            ) from None

    def _get(self, path: str) -> tuple[int, bytes]:
        """Return status and content of an answer. Raises AnswerUnusable, CompreFaceError."""
        url = f"{self.address}/api/v1/recognition/faces{path}"
        content = bytearray()
        try:
            with self._session.get(
                url, timeout=_TIMEOUT_S, allow_redirects=False, stream=True
            ) as answer:
                for chunk in answer.iter_content(_CHUNK):
                    content += chunk
                    if len(content) > _MOST_MB * 10**6:
                        raise AnswerUnusable(f"its answer is larger than {_MOST_MB} MB")
        except (requests.ReadTimeout, requests.exceptions.ChunkedEncodingError) as error:
            raise AnswerUnusable(f"its answer broke off: {innermost(error)}") from None
        except requests.RequestException as error:
            raise CompreFaceError(
                f"{self.address} cannot be reached: {innermost(error)}. Name the address of "
                "CompreFace, like http://localhost:8000; if it was away, run this again"
            ) from None
        if answer.is_redirect:
            raise CompreFaceError(
                f"{self.address} redirects to {answer.headers['Location']}: name the address of "
                "CompreFace itself"
            )
        return answer.status_code, bytes(content)
