"""Refuse pictures that were used before: copies from the enrolment or an earlier login.

Each employee's used probes are kept for a while. Adding one deletes those that have expired.
"""

import time
from collections.abc import Sequence

from app.recognition.perceptual_hash import BYTES, difference
from app.storage import Employee, EmployeeStore, UsedProbe
from app.usecases.fraud_detection import FraudSuspected, Traces

MOST_OF_A_COPY = 64
"""Number of bits in which the hash of a copy may differ from the photo's; see docs/fraud.md."""

MOST_USED = 1_000
"""Number of used probes to keep for one person, so that a login has few to compare. Only successful
logins are kept, so only the person can reach this limit."""
ALWAYS_KEPT = 100
"""Number of the latest used probes to keep whatever the clock says, because it may jump."""


def use_once(
    store: EmployeeStore, login: Traces, employee: Employee, replay_window_s: float
) -> None:
    """Store the hashes of a login's pictures, or raise FraudSuspected if they were used before.

    replay_window_s: how long to keep them, at least. Raises NoSuchEmployee, StoreUnavailable.
    """
    check_not_enrolled(login, employee.photo_hashes)
    if employee.second:
        check_not_enrolled(login, employee.second.photo_hashes)
    now = time.time()
    store.use_probe(
        employee,
        UsedProbe(login.kept, now + replay_window_s),
        lambda used: check_unused(login, used, now, replay_window_s),
    )


def check_not_enrolled(login: Traces, enrolled: Sequence[bytes]) -> None:
    """Raise FraudSuspected if a picture is a copy of an enrolment photo.

    enrolled: the perceptual hashes of those photos.
    """
    if difference(login.all, enrolled) <= MOST_OF_A_COPY:
        raise FraudSuspected("the photo is a copy of one from the enrolment")


def check_unused(login: Traces, used: Sequence[UsedProbe], now: float, window_s: float) -> int:
    """Return how many of the oldest used probes may be deleted.

    used: oldest first. now: seconds since 1970. window_s: how long to keep them; a probe with a
    later expiry was stored while a clock was wrong, and has expired as well.
    Raises FraudSuspected if a picture is a copy of an earlier login's, or if no more can be kept.
    """
    if difference(login.all, hashes_of(used)) <= MOST_OF_A_COPY:
        raise FraudSuspected("the photo was used before, take a new one")
    expired = [not now < probe.until <= now + window_s for probe in used[: 1 - ALWAYS_KEPT]]
    deleted = expired.index(False) if False in expired else len(expired)
    if len(used) - deleted >= MOST_USED:
        raise FraudSuspected("you have logged in too often, try again later")
    return deleted


def hashes_of(used: Sequence[UsedProbe]) -> list[bytes]:
    """Return the perceptual hashes of used probes."""
    return [
        probe.photo_hash[start : start + BYTES]
        for probe in used
        for start in range(0, len(probe.photo_hash), BYTES)
    ]
