"""What becomes of each of many enrolments."""

from dataclasses import dataclass

from image_registration.answers import Enrolled
from image_registration.calls import NewEmployee
from image_registration.errors import Conflict, FaceRefused, InvalidRequest, PreconditionFailed

ABOUT_ONE = (InvalidRequest, FaceRefused, Conflict, PreconditionFailed, OSError)
"""Errors of one enrolment that say nothing about the next."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one enrolment of many: `enrolled`, or `error` if that is None."""

    person: NewEmployee
    enrolled: Enrolled | None
    error: Exception | None


def ignore(_: int) -> None:
    """Take no notice of progress."""
