"""Writing employees to MongoDB: exactly once, and never seen by anybody before it is logged."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from pymongo import WriteConcern
from pymongo.collection import Collection
from pymongo.errors import AutoReconnect, DuplicateKeyError, PyMongoError

from app.storage.mongodb.changes import ChangeLog

Document = dict[str, Any]
T = TypeVar("T")


UNLOGGED: Document = {"unlogged": True}


class Undecided(PyMongoError):
    """The connection was lost, and what is stored now does not tell whether the write was made."""


class Writer:
    """Writes an employee's document, and then the change log.

    Where the connection is lost, a write may have been made or not. pymongo finds that out itself
    on replica sets and sharded clusters; on a standalone server the enrolment ids tell.

    A writer may also end between the document and the log, so that some processes know of the
    write and others do not. Therefore a document is marked until it is logged, and whoever reads
    it meanwhile logs it first. A removal needs no mark: what is gone matches nowhere.

    Its methods raise pymongo's errors and keep the deadline (`pymongo.timeout`) they run under.
    """

    def __init__(self, employees: Collection[Document], changes: ChangeLog) -> None:
        self._employees = employees
        self._changes = changes
        # Seen by all readers, but lost in a crash without harm.
        self._marks = employees.with_options(write_concern=WriteConcern("majority", j=False))

    def insert(self, document: Document) -> bool:
        """Add an employee; False where another enrolment has the id."""

        def insert(_: bool) -> bool:
            try:
                self._employees.insert_one(document | UNLOGGED)
            except DuplicateKeyError:
                return _is(document, self._stored(document["_id"]))
            return True

        added = _persistently(insert)
        self.log(document)
        return added

    def exchange(self, employee_id: int, successor: Document | None) -> bool:
        """Put another document in an employee's place, or none.

        False where there is no such employee.

        Only the enrolment that was read is exchanged, so that a write which arrives late or twice
        never undoes what was enrolled after it.
        """
        exchanged = False
        while not exchanged and (stored := self._stored(employee_id)):
            exchanged = _persistently(lambda again: self._swap(stored, successor, again))
        self.log({"_id": employee_id} | (successor or {}))
        return exchanged

    def log(self, document: Document) -> None:
        """Log that an employee's document changed."""
        _persistently(lambda _: self._changes.append(document["_id"]))
        if "enrolment_id" in document:
            # Where this fails the document is logged once more by whoever reads it.
            with suppress(PyMongoError):
                self._marks.update_one(_which(document), {"$unset": UNLOGGED})

    def _swap(self, stored: Document, successor: Document | None, again: bool) -> bool:
        """False where somebody else was faster."""
        if successor is None:
            swapped = self._employees.delete_one(stored).deleted_count
        else:
            swapped = self._employees.replace_one(stored, successor | UNLOGGED).matched_count
        if swapped or not again:
            return bool(swapped)
        if not _is(successor, self._stored(stored["_id"])):
            raise Undecided
        return True

    def _stored(self, employee_id: int) -> Document | None:
        """Which enrolment is stored, as a query for it."""
        document = self._employees.find_one({"_id": employee_id}, {"enrolment_id": True})
        return document and _which(document)


def _which(document: Document) -> Document:
    """The query for one enrolment of one employee."""
    # None finds documents without the field, too
    return {name: document.get(name) for name in ("_id", "enrolment_id")}


def _is(document: Document | None, stored: Document | None) -> bool:
    """Whether a document, or none, is what is stored."""
    if document is None or stored is None:
        return document is stored
    return bool(document["enrolment_id"] == stored["enrolment_id"])


def _persistently(write: Callable[[bool], T]) -> T:
    """Make a write until it is answered; it is told whether it is made again."""
    again = False
    while True:
        try:
            return write(again)
        except AutoReconnect as error:
            if error.timeout:
                raise
            again = True
