"""Why the service cannot answer yet, or any more."""

from typing import NamedTuple

from app.gallery import IndexUnavailable
from app.gallery.telling_apart import TakesAllForOne
from app.storage import StoreUnavailable, UnknownSeal
from models.catalogue import ModelUnavailable


class Reason(NamedTuple):
    """Why the service is not ready.

    sentence: for clients. cause: for operators, with the names of settings; None if nothing
    more is known. part: what fails, if anything does: `model`, `database`, `index` or `slots`.
    """

    sentence: str
    cause: str | None = None
    part: str | None = None


class NotReady(Exception):
    """The service cannot answer; the message says what it is waiting for.

    The arguments are those of Reason.
    """

    def __init__(self, sentence: str, cause: str | None = None, part: str | None = None) -> None:
        super().__init__(sentence)
        self.cause = cause or sentence
        self.part = part


_KNOWN: dict[type[Exception], tuple[str, str]] = {
    StoreUnavailable: ("the database is unavailable", "database"),
    IndexUnavailable: ("the index is unavailable", "index"),
    TakesAllForOne: ("the face model takes all people for one", "model"),
    ModelUnavailable: ("the face model is missing", "model"),
    UnknownSeal: ("the stored vectors cannot be read", "database"),
}


def reason(error: Exception) -> Reason:
    """Return what an error means for the service. The cause is None if nobody expected it."""
    for kind, (sentence, part) in _KNOWN.items():
        if isinstance(error, kind):
            return Reason(sentence, str(error), part)
    return Reason("something failed, see the log")
