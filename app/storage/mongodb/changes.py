"""The change log in MongoDB: which employees changed, in an order that every reader can follow."""

import secrets
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from pymongo import DESCENDING
from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError, PyMongoError
from pymongo.read_concern import ReadConcern

from app.storage import Changes, ChangesForgotten

CHANGES_KEPT = 10_000
PRUNE_EVERY = 1_000

TAG_BITS = 20
NEWEST_FIRST = [("_id", DESCENDING)]
# Stands before the first change, so that position 0 is an entry's position like any other.
ORIGIN: Mapping[str, Any] = {"_id": 0, "tag": 0}


class ChangeLog:
    """Entries `{_id: number, employee_id, tag}`, numbered 1, 2, 3 … without gaps.

    They are appended by *dense optimistic insertion*: insert the number after the newest visible
    one and, where somebody was faster, start over. A number is only ever inserted where the one
    before it is visible already. So entries become visible in the order of their numbers, and
    whoever reads "everything after p" skips nobody, however slow that writer was. A counter that
    is incremented first cannot promise this: the writer of 7 may finish before the writer of 6.
    No transaction is needed, so it works on a standalone server too.

    A position is an entry's number together with its random tag. An entry that was pruned,
    dropped, or lost in a crash and numbered anew is thereby recognised as not the one its reader
    saw, who then reads everything again instead of missing something.

    Its methods raise pymongo's errors and keep the deadline (`pymongo.timeout`) they run under.
    """

    def __init__(self, entries: Collection[dict[str, Any]]) -> None:
        self._entries = entries
        # What a writer builds on may still be rolled back: what it appends then is as well.
        self._unconfirmed = entries.with_options(read_concern=ReadConcern("local"))

    def append(self, employee_id: int) -> None:
        """Log a change; once this returns, every reader finds it."""
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
            # The change is logged whether or not this succeeds; the next pruning makes up for it.
            with suppress(PyMongoError):
                self._entries.delete_many({"_id": {"$lte": number - CHANGES_KEPT}})

    def position(self) -> int:
        """The position of the newest entry."""
        return _position(self._entries.find_one(sort=NEWEST_FIRST) or ORIGIN)

    def remembered(self) -> Changes:
        """All changes that are in the log."""
        entries = list(self._entries.find().sort("_id"))
        return Changes(
            position=_position(entries[-1] if entries else ORIGIN),
            employee_ids=frozenset(entry["employee_id"] for entry in entries),
        )

    def since(self, position: int) -> Changes:
        """The changes after a position. Raises ChangesForgotten."""
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


def _position(entry: Mapping[str, Any]) -> int:
    return int(entry["_id"]) << TAG_BITS | int(entry["tag"])
