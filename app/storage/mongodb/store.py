"""The employees in MongoDB: standalone server, replica set or sharded cluster."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import pymongo
import structlog
from numpy.typing import NDArray
from pymongo import ReadPreference
from pymongo.collection import Collection
from pymongo.errors import PyMongoError

from app.settings import Settings, SettingsError
from app.storage import (
    Changes,
    Employee,
    EmployeeExists,
    LivenessSession,
    NoSuchEmployee,
    Outline,
    ProbeCheck,
    Selection,
    StoreUnavailable,
    UsedProbe,
)
from app.storage.mongodb import probes, search
from app.storage.mongodb.changes import ChangeLog
from app.storage.mongodb.client import open_database, operation
from app.storage.mongodb.documents import (
    FIELDS,
    MODEL,
    SEALED_WITH,
    UnreadableDocument,
    from_document,
    outline,
    reseal_update,
    second_update,
    to_document,
)
from app.storage.mongodb.sessions import Sessions
from app.storage.mongodb.writer import Writer
from app.storage.sealing import PLAIN, VectorKeys

log = structlog.get_logger()

Document = dict[str, Any]

# The deadline of an operation applies to one batch, not to the whole collection.
READ_BATCH = 256
COUNT_BATCH = 50_000
INDEX_TIMEOUT_S = 3_600.0  # MongoDB builds an index of millions of documents for minutes
# Caps on the size and start of a page, within MongoDB's range; no collection is as large.
LARGEST_LIMIT = 2**31 - 1
LARGEST_SKIP = 2**62


class MongoStore:
    """An EmployeeStore in a MongoDB collection, with its change log in `<collection>_changes`.

    A write is acknowledged once a majority of the replica set has it and its change on disk.
    """

    def __init__(
        self, settings: Settings, keys: VectorKeys | None = None, *, create: bool = True
    ) -> None:
        """Connect when the store is first used, so that a service can start without a database.

        Raises SettingsError if the settings do not form a connection string.

        create: if False, connect at once; raise StoreUnavailable if the collection does not exist.
        """
        self._client, self._database = open_database(settings)
        self._keys = keys or VectorKeys()
        self._operation = partial(operation, self._client, settings.mongo_db_timeout_s)
        self._read_from_secondary = settings.mongo_db_read_from_secondary
        try:
            self._employees: Collection[Document] = self._database[settings.mongo_db_collection]
            changes = self._database[f"{settings.mongo_db_collection}_changes"]
            sessions = self._database[f"{settings.mongo_db_collection}_sessions"]
        except PyMongoError as error:
            raise SettingsError(f"MONGO_DB_COLLECTION: {error}") from None
        self._lagging = self._employees.with_options(
            read_preference=ReadPreference.PRIMARY_PREFERRED if self._read_from_secondary else None
        )
        self._changes = ChangeLog(changes)
        self._writer = Writer(self._employees, self._changes)
        self._sessions = Sessions(sessions)
        if not create:
            self._check_exists()

    @property
    def address(self) -> str:
        return f"mongodb:{self._employees.full_name}"

    def add(self, employee: Employee) -> None:
        with self._operation():
            added = self._writer.insert(to_document(employee, self._keys))
        if not added:
            raise EmployeeExists(f"employee {employee.employee_id} is enrolled already")

    def replace(self, employee: Employee, was: str | None = None) -> None:
        self._exchange(employee, was, None)

    def update(self, employee: Employee, was: str) -> None:
        self._exchange(employee, was, probes.FIELD)

    def _exchange(self, employee: Employee, was: str | None, keep: str | None) -> None:
        document = to_document(employee, self._keys)
        with self._operation():
            replaced = self._writer.exchange(employee.employee_id, document, was, keep)
        if not replaced:
            raise NoSuchEmployee(f"employee {employee.employee_id} is not enrolled")

    def remove(self, employee_id: int, was: str | None = None) -> None:
        with self._operation():
            removed = self._writer.exchange(employee_id, None, was)
        if not removed:
            raise NoSuchEmployee(f"employee {employee_id} is not enrolled")

    def get(self, employee_ids: Sequence[int], *, may_lag: bool = False) -> list[Employee]:
        ids = [int(employee_id) for employee_id in employee_ids]
        return list(self._readable(self._find({"_id": {"$in": ids}}, limit=0, may_lag=may_lag)))

    def enrolment_id(self, employee_id: int) -> str | None:
        with self._operation():
            return self._writer.enrolment_id(employee_id)

    def page(self, size: int, number: int) -> list[Employee]:
        limit = min(size, LARGEST_LIMIT)
        skip = min(limit * (number - 1), LARGEST_SKIP)
        return list(self._readable(self._find({}, limit=limit, skip=skip)))

    def find(self, selection: Selection, limit: int, after: int | None = None) -> list[Employee]:
        self._index_names(selection)
        query = search.query(selection)
        return list(islice(self._selected(query, limit, after), limit))

    def _selected(self, query: Document, limit: int, after: float | None) -> Iterator[Employee]:
        """Yield the employees whose documents match the query and can be read."""
        for batch in self._batches(query, limit, after):
            yield from self._readable(batch)

    def count_selected(self, selection: Selection) -> int:
        self._index_names(selection)
        if not (query := search.query(selection)):
            return self.count()  # MongoDB would count millions of documents one by one
        with self._operation():
            return self._employees.count_documents(query)

    def members(self, groups: frozenset[str]) -> NDArray[np.int64]:
        with self._operation():
            found = self._employees.find(search.query(Selection(groups=groups)), ["_id"]).to_list()
        whole = [each["_id"] for each in found if isinstance(each["_id"], int | float)]
        return np.sort(np.array(whole, np.int64))

    def prepare_search(self) -> None:
        with operation(self._client, INDEX_TIMEOUT_S):
            search.make_indexes(self._employees)
        self._index_all_names()

    def _index_all_names(self) -> None:
        left = True
        while left:
            with self._operation():
                left = search.index_some(self._employees)

    def _index_names(self, selection: Selection) -> None:
        """Index what others have written meanwhile, if names are searched."""
        if selection.words:
            self._index_all_names()

    def use_probe(self, employee: Employee, probe: UsedProbe, check: ProbeCheck) -> None:
        with self._operation():
            probes.use(self._employees, employee, probe, check)

    def used_probes(self, employee_id: int) -> list[UsedProbe]:
        with self._operation():
            return probes.remembered(self._employees, employee_id)

    def open_session(self, session: LivenessSession, now: float, most: int) -> None:
        with self._operation():
            self._sessions.add(session, most)

    def take_session(self, session_id: str, owner: str, now: float) -> LivenessSession | None:
        with self._operation():
            return self._sessions.take(session_id, owner, now)

    def read_all(self) -> Iterator[Employee]:
        for batch in self._batches():
            yield from self._readable(batch)

    def outlines(self) -> Iterator[Outline]:
        for batch in self._batches():
            for document in batch:
                yield outline(document, self._keys)

    def count(self) -> int:
        with self._operation():
            return self._lagging.estimated_document_count()

    def models(self) -> dict[str, int]:
        return self._count_by(MODEL)

    def count_second(self, *models: str) -> int:
        with self._operation():
            return self._employees.count_documents({"second.model": {"$in": models}})

    def set_second(self, employee: Employee) -> None:
        update = second_update(employee, self._keys)
        with self._operation():
            written = self._writer.amend(employee.employee_id, employee.enrolment_id, update)
        if not written:
            raise NoSuchEmployee(f"employee {employee.employee_id} is not enrolled")

    def check_seals(self) -> None:
        self._keys.check_keys(self._count_by(SEALED_WITH))

    def reseal(self) -> Iterator[tuple[int, int]]:
        self.check_seals()
        counts = self._count_by(SEALED_WITH)
        done, unread, total = 0, 0, sum(counts.values()) - counts.get(self._keys.first, 0)
        # Plain documents lack the field, and None matches them.
        first = None if self._keys.first == PLAIN else self._keys.first
        for batch in self._batches({"sealed_with": {"$ne": first}}):
            updates = [reseal_update(employee, self._keys) for employee in self._readable(batch)]
            if updates:
                with self._operation():
                    self._employees.bulk_write(updates, ordered=False)
            done, unread = done + len(updates), unread + len(batch) - len(updates)
            yield done, total
        self._keys.check_resealed(self._count_by(SEALED_WITH), unread)

    def _count_by(self, expression: Mapping[str, Any]) -> dict[str, int]:
        """Return the number of documents for each string value of an aggregation expression."""
        counts: Counter[str] = Counter()
        after: float = -math.inf
        while True:
            batch: list[Document] = [
                {"$match": {"_id": {"$gt": after}}},
                {"$sort": {"_id": pymongo.ASCENDING}},
                {"$limit": COUNT_BATCH},
                {"$group": {"_id": expression, "count": {"$sum": 1}, "last": {"$max": "$_id"}}},
            ]
            with self._operation():
                groups = list(self._employees.aggregate(batch))
            if not groups:
                return dict(counts)
            counts.update({g["_id"]: g["count"] for g in groups if isinstance(g["_id"], str)})
            after = max(group["last"] for group in groups)

    def position(self) -> int:
        with self._operation():
            return self._changes.position()

    def changes_since(self, position: int) -> Changes:
        with self._operation():
            if not self._has_no_primary():
                return self._changes.since(position)
            # A secondary's log may end before `position`, so only check that it answers.
            self._lagging.find_one({}, {"_id": True})
        return Changes(position, frozenset())

    def changes_remembered(self) -> Changes:
        with self._operation():
            return self._changes.remembered()

    def close(self) -> None:
        self._client.close()

    def _check_exists(self) -> None:
        """Raise StoreUnavailable if there is no collection of employees."""
        name = self._employees.name
        with self._operation():
            found = self._database.list_collection_names(
                filter={"name": name}, authorizedCollections=True
            )
        if not found:
            raise StoreUnavailable(
                f"the database {self._database.name} (MONGO_DB_URL) has no collection {name} "
                "(MONGO_DB_COLLECTION)"
            )

    def _has_no_primary(self) -> bool:
        """Return whether only secondaries can be read, and the settings allow that."""
        topology = self._client.topology_description.topology_type_name
        return self._read_from_secondary and topology == "ReplicaSetNoPrimary"

    def _find(
        self, query: Document, *, limit: int, skip: int = 0, may_lag: bool = False
    ) -> list[Document]:
        """Return matching documents in ascending order of id; log those that are marked first."""
        employees = self._lagging if may_lag else self._employees
        with self._operation():
            found = employees.find(query, FIELDS, skip=skip, limit=limit).sort("_id").to_list()
            for document in found:
                if "unlogged" in document and not self._has_no_primary():
                    self._writer.log(document)
            return found

    def _batches(
        self, query: Document | None = None, size: int = READ_BATCH, after: float | None = None
    ) -> Iterator[list[Document]]:
        """Yield matching documents whose ids are numbers, in ascending order of id."""
        after = -math.inf if after is None else after
        while batch := self._find({"_id": {"$gt": after}} | (query or {}), limit=size):
            yield batch
            after = batch[-1]["_id"]

    def _readable(self, documents: Iterable[Document]) -> Iterator[Employee]:
        """Yield the readable employees; one bad document must not lock out everybody else."""
        for document in documents:
            try:
                yield from_document(document, self._keys)
            except UnreadableDocument as error:
                log.error(
                    "unreadable employee skipped", employee_id=document["_id"], reason=str(error)
                )
