"""The change log in MongoDB: entries that become visible in the order of their numbers."""

import secrets
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from pymongo import DESCENDING
from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError, PyMongoError
from pymongo.read_concern import ReadConcern

from app.storage import Changes, ChangesForgotten

CHANGES_KEPT = 10_000  # a reader that is further behind must read the whole store again
PRUNE_EVERY = 1_000  # changes, so that few writes wait for the pruning

NO_EMPLOYEE = -1  # the id in entries that stand for no change
TAG_BITS = 20  # a reused number goes unnoticed once in a million times
NEWEST_FIRST = [("_id", DESCENDING)]
# A virtual entry before the first change, so that position 0 is the position of an entry, too.
ORIGIN: Mapping[str, Any] = {"_id": 0, "tag": 0}


class ChangeLog:
    """Entries `{_id: number, employee_id, tag}`, numbered 1, 2, 3 … without gaps.

    Entries are appended by *dense optimistic insertion*: insert the number after the newest visible
    one, and start over if another writer was faster. A number is inserted only after the number
    before it is visible. So entries become visible in the order of their numbers, and reading
    "everything after p" skips no entry, however slow its writer is. A counter that is incremented
    first cannot guarantee this, because the writer of 7 may finish before the writer of 6. No
    transaction is needed, so this works on a standalone server, too.

    A position is an entry's number together with its random tag. If the entry was pruned, dropped,
    or lost in a crash and its number reused, the reader notices, and reads the whole store again
    instead of missing a change.

    The methods raise pymongo's errors and keep the deadline (`pymongo.timeout`) they run under.
    """

    def __init__(self, entries: Collection[dict[str, Any]]) -> None:
        self._entries = entries
        # The entry after which a writer appends may still be rolled back, but then the appended
        # entry is rolled back with it.
        self._unconfirmed = entries.with_options(read_concern=ReadConcern("local"))

    def append(self, employee_id: int) -> None:
        """Log a change; every reader sees it once this returns."""
        number = 0
        while not number:
            newest = self._unconfirmed.find_one(sort=NEWEST_FIRST) or ORIGIN
            entry = {
                "_id": newest["_id"] + 1,
                "employee_id": employee_id,
                "tag": secrets.randbits(TAG_BITS),
            }
            with suppress(DuplicateKeyError):
                self._entries.insert_one(entry)
                number = entry["_id"]
        if number % PRUNE_EVERY == 0:
            # If this fails, the change is logged all the same, and the next pruning catches up.
            with suppress(PyMongoError):
                self._entries.delete_many({"_id": {"$lte": number - CHANGES_KEPT}})

    def position(self) -> int:
        """Return the position of the newest entry."""
        return _position(self._entries.find_one(sort=NEWEST_FIRST) or ORIGIN)

    def remembered(self) -> Changes:
        """Return all changes that are in the log."""
        entries = list(self._entries.find().sort("_id"))
        return Changes(
            position=_position(entries[-1] if entries else ORIGIN),
            employee_ids=frozenset(entry["employee_id"] for entry in entries),
        )

    def since(self, position: int) -> Changes:
        """Return the changes after a position. Raises ChangesForgotten."""
        entries: list[Mapping[str, Any]] = list(
            self._entries.find({"_id": {"$gte": position >> TAG_BITS}}).sort("_id")
        )
        if not position:
            entries.insert(0, ORIGIN)
        numbers = [entry["_id"] for entry in entries]
        if (
            not entries
            or _position(entries[0]) != position
            or numbers != list(range(numbers[0], numbers[0] + len(numbers)))
        ):
            raise ChangesForgotten("the change log does not reach back that far")
        return Changes(
            position=_position(entries[-1]),
            employee_ids=frozenset(entry["employee_id"] for entry in entries[1:]),
        )

    def forget_all(self) -> None:
        """Empty the log and skip numbers, so that every reader reads the whole store again.

        A writer that is under way may append an entry meanwhile: it starts the numbers anew, or
        comes before the one that is skipped. Readers notice both.
        """
        newest = self._entries.find_one(sort=NEWEST_FIRST) or ORIGIN
        self._entries.delete_many({})
        entry = {"employee_id": NO_EMPLOYEE, "tag": secrets.randbits(TAG_BITS)}
        self._entries.insert_one({"_id": newest["_id"] + 2} | entry)


def _position(entry: Mapping[str, Any]) -> int:
    return int(entry["_id"]) << TAG_BITS | int(entry["tag"])
