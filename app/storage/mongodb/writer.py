"""Write employees to MongoDB exactly once, and log each write before a reader returns it."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from pymongo import WriteConcern
from pymongo.collection import Collection
from pymongo.errors import AutoReconnect, DuplicateKeyError, PyMongoError

from app.storage import EmployeeChanged, ExternalIdTaken
from app.storage.mongodb.changes import ChangeLog
from app.storage.mongodb.documents import enrolment_query

Document = dict[str, Any]
T = TypeVar("T")

# Marks a document whose newest change may not be in the change log yet.
UNLOGGED: Document = {"unlogged": True}


class Undecided(PyMongoError):
    """The connection was lost, and the stored document does not tell whether the write was made."""


class Writer:
    """Writes an employee's document, then the change log.

    If the connection is lost, the write may or may not have been made. On replica sets and sharded
    clusters pymongo finds out by itself; on a standalone server the enrolment ids tell.

    A writer may also die between the document and the log, so that some processes know of the write
    and others do not. Therefore a document is marked until it is logged, and a reader of a marked
    document logs it first. A removal needs no mark, because a removed employee matches no login.

    The methods raise pymongo's errors and keep the deadline (`pymongo.timeout`) they run under.
    """

    def __init__(self, employees: Collection[Document], changes: ChangeLog) -> None:
        self._employees = employees
        self._changes = changes
        # Removing a mark need not survive a crash, so it does not wait for the journal.
        self._marks = employees.with_options(write_concern=WriteConcern("majority", j=False))

    def insert(self, document: Document) -> bool:
        """Add an employee; return False if another enrolment has the id.

        Raises ExternalIdTaken.
        """

        def insert(_: bool) -> bool:
            try:
                self._employees.insert_one(document | UNLOGGED)
            except DuplicateKeyError as error:
                if "external_id" in (error.details or {}).get("keyPattern", ()):
                    raise _external_id_taken() from None
                return _same_enrolment(document, self._stored(document["_id"]))
            return True

        added = _with_retries(insert)
        self.log(document)
        return added

    def exchange(
        self,
        employee_id: int,
        successor: Document | None,
        was: str | None = None,
        keep: str | None = None,
    ) -> bool:
        """Replace an employee's document, or delete it if there is no successor.

        Returns False if there is no such employee. Replaces only the enrolment that was read, so a
        write that arrives late or twice never undoes a later enrolment. Raises ExternalIdTaken, and
        EmployeeChanged if `was` is given, and the stored enrolment is neither that nor the
        successor. keep: a field that is kept if the document has it.
        """
        exchanged = False
        while not exchanged and (stored := self._stored(employee_id)):
            if was in (None, stored["enrolment_id"] or ""):
                exchanged = self._swap_with_retries(stored, successor, keep)
            elif _same_enrolment(successor, stored):
                exchanged = True
            else:
                raise EmployeeChanged(f"employee {employee_id} has changed meanwhile")
        self.log({"_id": employee_id} | (successor or {}))
        return exchanged

    def enrolment_id(self, employee_id: int) -> str | None:
        """Return the id of the stored enrolment, empty if it has none; None if nobody is stored."""
        stored = self._stored(employee_id)
        return None if stored is None else stored["enrolment_id"] or ""

    def amend(self, employee_id: int, enrolment_id: str, update: Document) -> bool:
        """Update the document of an enrolment; return False if that is not stored any more.

        The update has the same result if it is made twice.
        """
        enrolment = enrolment_query(employee_id, enrolment_id or None)
        marked = update | {"$set": update.get("$set", {}) | UNLOGGED}
        amended = _with_retries(lambda _: self._employees.update_one(enrolment, marked))
        if amended.matched_count:
            self.log({"_id": employee_id, "enrolment_id": enrolment_id or None})
        return bool(amended.matched_count)

    def log(self, document: Document) -> None:
        """Log that an employee's document changed."""
        _with_retries(lambda _: self._changes.append(document["_id"]))
        if "enrolment_id" in document:
            # If this fails, the next reader logs the document once more.
            with suppress(PyMongoError):
                enrolment = enrolment_query(document["_id"], document["enrolment_id"])
                self._marks.update_one(enrolment, {"$unset": UNLOGGED})

    def _swap_with_retries(
        self, stored: Document, successor: Document | None, keep: str | None
    ) -> bool:
        try:
            return _with_retries(lambda again: self._swap(stored, successor, keep, again))
        except DuplicateKeyError:
            raise _external_id_taken() from None

    def _swap(
        self, stored: Document, successor: Document | None, keep: str | None, again: bool
    ) -> bool:
        """Exchange once; return False if another writer was faster."""
        if successor is None:
            swapped = self._employees.delete_one(stored).deleted_count
        else:
            # The stored id stays: another client may have written a double.
            kept = {name: f"${name}" for name in ("_id", keep) if name}
            whole = {"$mergeObjects": [{"$literal": successor | UNLOGGED}, kept]}
            swapped = self._employees.update_one(stored, [{"$replaceWith": whole}]).matched_count
        if swapped or not again:
            return bool(swapped)
        if not _same_enrolment(successor, self._stored(stored["_id"])):
            raise Undecided
        return True

    def _stored(self, employee_id: int) -> Document | None:
        """Return the query for the enrolment that is stored; None if there is none."""
        document = self._employees.find_one({"_id": employee_id}, {"enrolment_id": True})
        return document and enrolment_query(employee_id, document.get("enrolment_id"))


def _external_id_taken() -> ExternalIdTaken:
    return ExternalIdTaken("another employee has that external id")


def _same_enrolment(document: Document | None, stored: Document | None) -> bool:
    """Return whether both documents are of the same enrolment, or both are None."""
    if document is None or stored is None:
        return document is stored
    return bool(document["enrolment_id"] == stored["enrolment_id"])


def _with_retries(write: Callable[[bool], T]) -> T:
    """Call `write` until it is answered or the deadline is over.

    Its argument is True from the second call on: the write may then have been made already.
    """
    again = False
    while True:
        try:
            return write(again)
        except AutoReconnect as error:
            if error.timeout:
                raise
            again = True
