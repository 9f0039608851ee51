"""Employees in MongoDB: standalone, replica set or sharded cluster."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

import pymongo
import structlog
from bson.codec_options import CodecOptions
from bson.errors import BSONError
from pymongo import MongoClient, ReadPreference, WriteConcern
from pymongo.collection import Collection
from pymongo.common import MIN_HEARTBEAT_INTERVAL
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from app.settings import Settings, SettingsError
from app.storage import (
    Changes,
    Employee,
    EmployeeExists,
    NoSuchEmployee,
    Outline,
    ProbeCheck,
    StoreUnavailable,
    UsedProbe,
)
from app.storage.mongodb.changes import ChangeLog
from app.storage.mongodb.client import client_of, reason
from app.storage.mongodb.documents import (
    FIELDS,
    MODEL,
    PROBES,
    SEALED_WITH,
    UnreadableDocument,
    from_document,
    outline,
    same_probes,
    sealing,
    to_document,
    used_probes,
    using_probe,
)
from app.storage.mongodb.writer import Writer
from app.storage.sealing import PLAIN, VectorKeys

Document = dict[str, Any]

READ_BATCH = 256
COUNT_BATCH = 50_000
LARGEST_LIMIT = 2**31 - 1
LARGEST_SKIP = 2**62


class MongoStore:
    """An EmployeeStore in a MongoDB collection, with its change log in `<collection>_changes`.

    A write is acknowledged when a majority of the replica set has it on disk, and its change too.
    """

    def __init__(
        self,
        client: MongoClient[Document],
        database: str,
        collection: str,
        timeout_s: float,
        keys: VectorKeys,
        read_from_secondary: bool = False,
    ) -> None:
        self._client = client
        self._keys = keys
        self._timeout_s = timeout_s
        # pymongo gives up looking for a server up to one heartbeat later than it is told to.
        self._deadline_s = max(timeout_s / 2, timeout_s - MIN_HEARTBEAT_INTERVAL)
        self._database = client.get_database(
            database,
            # One broken character must not make a whole batch unreadable.
            codec_options=CodecOptions(unicode_decode_error_handler="replace"),
            read_preference=ReadPreference.PRIMARY,
            read_concern=ReadConcern("majority"),
            write_concern=WriteConcern("majority", j=True),
        )
        self._employees: Collection[Document] = self._database[collection]
        self._read_from_secondary = read_from_secondary
        self._lagging = self._employees.with_options(
            read_preference=ReadPreference.PRIMARY_PREFERRED if read_from_secondary else None
        )
        self._changes = ChangeLog(self._database[f"{collection}_changes"])
        self._writer = Writer(self._employees, self._changes)
        self._logger = structlog.get_logger()

    @classmethod
    def connect(
        cls, settings: Settings, keys: VectorKeys | None = None, *, create: bool = True
    ) -> Self:
        """A store that connects when it is first used, so a database that is away delays nothing.

        create: False connects at once, and raises StoreUnavailable if the collection is not there.
        Raises SettingsError when the settings make no connection string.
        """
        client, database = client_of(settings)
        try:
            store = cls(
                client,
                database,
                settings.mongo_db_collection,
                settings.mongo_db_timeout_s,
                keys or VectorKeys(),
                settings.mongo_db_read_from_secondary,
            )
        except PyMongoError as error:
            raise SettingsError(f"MONGO_DB_COLLECTION: {error}") from None
        if not create:
            store._must_exist()
        return store

    @property
    def address(self) -> str:
        return f"mongodb:{self._employees.full_name}"

    def add(self, employee: Employee) -> None:
        with self._answered():
            added = self._writer.insert(to_document(employee, self._keys))
        if not added:
            raise EmployeeExists(f"employee {employee.employee_id} is enrolled already")

    def replace(self, employee: Employee) -> None:
        document = to_document(employee, self._keys)
        document.pop("_id")  # as it is stored, where another client wrote it as a double
        with self._answered():
            replaced = self._writer.exchange(employee.employee_id, document)
        if not replaced:
            raise NoSuchEmployee(f"employee {employee.employee_id} is not enrolled")

    def remove(self, employee_id: int) -> None:
        with self._answered():
            removed = self._writer.exchange(employee_id, None)
        if not removed:
            raise NoSuchEmployee(f"employee {employee_id} is not enrolled")

    def get(self, employee_ids: Sequence[int], *, may_lag: bool = False) -> list[Employee]:
        found = self._find(_among(employee_ids), limit=0, may_lag=may_lag)
        return list(self._readable(found))

    def page(self, size: int, number: int) -> list[Employee]:
        limit = min(size, LARGEST_LIMIT)
        skip = min(limit * (number - 1), LARGEST_SKIP)
        return list(self._readable(self._find({}, limit=limit, skip=skip)))

    def use_probe(self, employee: Employee, probe: UsedProbe, check: ProbeCheck) -> None:
        # None finds documents without the field, too
        enrolment = {"_id": employee.employee_id, "enrolment_id": employee.enrolment_id or None}
        used = 0
        with self._answered():
            while not used:  # somebody else was faster, so there is one more to check
                document = self._employees.find_one(enrolment, [PROBES])
                if document is None:
                    raise NoSuchEmployee(f"employee {employee.employee_id} is not enrolled")
                others = used_probes(document)
                using = using_probe(probe, keep=len(others) - check(others))
                unchanged = enrolment | same_probes(document)
                used = self._employees.update_one(unchanged, using).matched_count

    def used_probes(self, employee_id: int) -> list[UsedProbe]:
        with self._answered():
            document = self._employees.find_one({"_id": employee_id}, [PROBES])
        return used_probes(document or {})

    # read_all and models read in batches, so that a deadline is for a batch, not for everything.

    def read_all(self) -> Iterator[Employee]:
        for batch in self._batches():
            yield from self._readable(batch)

    def outlines(self) -> Iterator[Outline]:
        for batch in self._batches():
            for document in batch:
                yield outline(document, self._keys)

    def count(self) -> int:
        with self._answered():
            return self._lagging.estimated_document_count()

    def models(self) -> dict[str, int]:
        return self._count_by(MODEL)

    def check_seals(self) -> None:
        self._keys.check(self._count_by(SEALED_WITH))

    def seal_anew(self) -> Iterator[tuple[int, int]]:
        self.check_seals()
        counts = self._count_by(SEALED_WITH)
        done, unread, total = 0, 0, sum(counts.values()) - counts.get(self._keys.first, 0)
        # None finds documents without the field: they are plain
        first = None if self._keys.first == PLAIN else self._keys.first
        after: float = -math.inf
        while batch := self._find(
            {"_id": {"$gt": after}, "sealed_with": {"$ne": first}}, limit=READ_BATCH
        ):
            if anew := [sealing(employee, self._keys) for employee in self._readable(batch)]:
                with self._answered():
                    self._employees.bulk_write(anew, ordered=False)
            done, unread = done + len(anew), unread + len(batch) - len(anew)
            after = batch[-1]["_id"]
            yield done, total
        self._keys.check_all_sealed(self._count_by(SEALED_WITH), unread)

    def _count_by(self, expression: Mapping[str, Any]) -> dict[str, int]:
        """How many documents there are for each text that the expression comes to."""
        employees: Counter[str] = Counter()
        after: float = -math.inf
        while groups := self._count_batch(expression, after):
            employees.update(
                {group["_id"]: group["count"] for group in groups if isinstance(group["_id"], str)}
            )
            after = max(group["last"] for group in groups)
        return dict(employees)

    def position(self) -> int:
        with self._answered():
            return self._changes.position()

    def changes_since(self, position: int) -> Changes:
        with self._answered():
            if not self._has_no_primary():
                return self._changes.since(position)
            # What a secondary knows of the log may be older than `position`.
            self._lagging.find_one({}, {"_id": True})
        return Changes(position, frozenset())

    def changes_remembered(self) -> Changes:
        with self._answered():
            return self._changes.remembered()

    def close(self) -> None:
        self._client.close()

    def _must_exist(self) -> None:
        name = self._employees.name
        with self._answered():
            found = self._database.list_collection_names(
                filter={"name": name}, authorizedCollections=True
            )
        if not found:
            raise StoreUnavailable(
                f"the database {self._database.name} (MONGO_DB_URL) has no collection {name} "
                "(MONGO_DB_COLLECTION)"
            )

    def _has_no_primary(self) -> bool:
        topology = self._client.topology_description.topology_type_name
        return self._read_from_secondary and topology == "ReplicaSetNoPrimary"

    def _find(
        self, query: Document, *, limit: int, skip: int = 0, may_lag: bool = False
    ) -> list[Document]:
        employees = self._lagging if may_lag else self._employees
        with self._answered():
            found = employees.find(query, FIELDS, skip=skip, limit=limit).sort("_id").to_list()
            for document in found:
                if "unlogged" in document and not self._has_no_primary():
                    self._writer.log(document)
            return found

    def _batches(self) -> Iterator[list[Document]]:
        """All documents whose ids are numbers, in ascending order of id."""
        after: float = -math.inf
        while batch := self._find({"_id": {"$gt": after}}, limit=READ_BATCH):
            yield batch
            after = batch[-1]["_id"]

    def _count_batch(self, expression: Mapping[str, Any], after: float) -> list[Document]:
        batch: list[Document] = [
            {"$match": {"_id": {"$gt": after}}},
            {"$sort": {"_id": pymongo.ASCENDING}},
            {"$limit": COUNT_BATCH},
            {"$group": {"_id": expression, "count": {"$sum": 1}, "last": {"$max": "$_id"}}},
        ]
        with self._answered():
            return list(self._employees.aggregate(batch))

    def _readable(self, documents: Iterable[Document]) -> Iterator[Employee]:
        """The employees of the documents that are one: a bad document must not lock others out."""
        for document in documents:
            try:
                yield from_document(document, self._keys)
            except UnreadableDocument as error:
                self._logger.warning(
                    "unreadable employee skipped", employee_id=document["_id"], reason=str(error)
                )

    @contextmanager
    def _answered(self) -> Iterator[None]:
        """One deadline for all that happens inside; pymongo's errors as StoreUnavailable."""
        try:
            with pymongo.timeout(self._deadline_s):
                yield
        except (PyMongoError, BSONError) as error:
            raise StoreUnavailable(reason(error, self._timeout_s, self._client)) from error


def _among(employee_ids: Sequence[int]) -> Document:
    return {"_id": {"$in": [int(employee_id) for employee_id in employee_ids]}}
