"""The shared index in Milvus, so that no process needs to hold vectors in memory."""

import json
import logging
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from app.gallery import IndexEntry, IndexUnavailable

if TYPE_CHECKING:
    from pymilvus import MilvusClient

MOST_FOUND = 16_384  # the maximum number of results that Milvus returns
NAME_BYTES = 96  # an id of up to 20 characters, 32 of an enrolment, and the number of the vector
HNSW = {"M": 32, "efConstruction": 256}  # links per entry, and candidates considered for them
EF = 128  # candidates of a search; must be at least the number of results
_ENTRIES_PER_WRITE = 1_000  # 2 MB of vectors at 512 dimensions


@dataclass(frozen=True, slots=True)
class Address:
    """How to reach Milvus."""

    uri: str  # http(s)://host:port, or a path that ends in .db (milvus-lite, in this process)
    token: str | None  # `user:password`, or an API key
    timeout_s: float  # the time limit of one operation


class MilvusIndex:
    """The index in the collection `<prefix>_<model>`, which `prepare` creates.

    All methods are thread-safe and may raise IndexUnavailable. Reads are strongly consistent: a
    search finds every entry that any process put before the search began. The index connects when
    it is first used, so that the service can start while Milvus is down.

    dimension: the length of the vectors.
    """

    def __init__(self, address: Address, prefix: str, model: str, dimension: int) -> None:
        self.dimension = dimension
        self.collection = re.sub(r"\W", "_", f"{prefix}_{model}", flags=re.ASCII)
        self._address = address
        self._timeout_s = address.timeout_s
        self._client: MilvusClient | None = None
        self._connecting = Lock()

    def prepare(self) -> None:
        """Create the collection if it does not exist."""
        from pymilvus import MilvusException

        with self._connection() as client:
            if not client.has_collection(self.collection, timeout=self._timeout_s):
                self._create(client)
                self._create_indexes(client)
            try:
                client.load_collection(self.collection, timeout=self._timeout_s)
            except MilvusException:  # its creator may have died before creating the indexes
                self._create_indexes(client)
                client.load_collection(self.collection, timeout=self._timeout_s)

    def is_complete(self) -> bool:
        """Return whether the index has been marked as complete; a new index is not."""
        with self._connection() as client:
            aliases = client.list_aliases(self.collection, timeout=self._timeout_s)
        return self._complete_alias in aliases["aliases"]

    def mark_complete(self) -> None:
        """Record that the index holds every employee in the store."""
        try:
            with self._connection() as client:
                client.create_alias(self.collection, self._complete_alias, timeout=self._timeout_s)
        except IndexUnavailable:
            if not self.is_complete():  # it was not marked before, either
                raise

    def put(self, entries: Sequence[IndexEntry]) -> None:
        """Add entries; overwrite the vectors of entries that exist."""
        for start in range(0, len(entries), _ENTRIES_PER_WRITE):
            data = [
                {"name": entry.name, "employee_id": entry.employee_id, "vector": entry.vector}
                for entry in entries[start : start + _ENTRIES_PER_WRITE]
            ]
            with self._connection() as client:
                # An insert would duplicate an entry that is put twice.
                client.upsert(self.collection, data, timeout=self._timeout_s)

    def remove(self, names: Sequence[str]) -> None:
        """Remove entries; ignore unknown names."""
        for start in range(0, len(names), _ENTRIES_PER_WRITE):
            # Use a filter: pymilvus fails to delete by name if a name contains quotation marks.
            some = json.dumps(names[start : start + _ENTRIES_PER_WRITE], ensure_ascii=False)
            with self._connection() as client:
                client.delete(self.collection, filter=f"name in {some}", timeout=self._timeout_s)

    def entries_of(self, employee_ids: Sequence[int]) -> list[IndexEntry]:
        """Return all entries of these employees."""
        entries = self._entries(f"employee_id in {[int(i) for i in employee_ids]}")
        if len(entries) < MOST_FOUND or len(employee_ids) < 2:
            return entries
        middle = len(employee_ids) // 2  # the answer may have been cut off, so ask for less
        return self.entries_of(employee_ids[:middle]) + self.entries_of(employee_ids[middle:])

    def entries_between(self, after: int, last: int) -> Iterator[IndexEntry]:
        """Yield the entries of employees with after < id ≤ last, in any order."""
        entries = self._entries(f"employee_id > {after} and employee_id <= {last}")
        if len(entries) < MOST_FOUND or last - after < 2:
            yield from entries
        else:
            middle = (after + last) // 2
            yield from self.entries_between(after, middle)
            yield from self.entries_between(middle, last)

    def nearest(
        self, probe: NDArray[np.float32], count: int, among: NDArray[np.int64] | None = None
    ) -> list[tuple[str, int]]:
        """Return the names and employee ids of the `count` nearest entries, nearest first.

        among: the employee ids to choose from; by default, all.
        """
        with self._connection() as client:
            (hits,) = client.search(
                self.collection,
                data=[probe.tolist()],
                anns_field="vector",
                limit=count,
                filter="" if among is None else f"employee_id in {among.tolist()}",
                output_fields=["employee_id"],
                search_params={"metric_type": "IP", "params": {"ef": max(EF, count)}},
                consistency_level="Strong",
                timeout=self._timeout_s,
            )
            return [(hit["name"], hit["entity"]["employee_id"]) for hit in hits]

    def flush(self) -> None:
        """Index the entries put so far now rather than later."""
        with self._connection() as client:
            client.flush(self.collection, timeout=self._timeout_s)

    def __len__(self) -> int:
        """Return the number of entries."""
        (counted,) = self._query("", ["count(*)"])
        return int(counted["count(*)"])

    @property
    def _complete_alias(self) -> str:
        # An alias is dropped with its collection, and all versions of Milvus have aliases.
        return f"{self.collection}_complete"

    def _entries(self, expression: str) -> list[IndexEntry]:
        return [
            IndexEntry(found["name"], found["employee_id"], np.array(found["vector"], np.float32))
            for found in self._query(expression, ["name", "employee_id", "vector"], MOST_FOUND)
        ]

    def _query(
        self, expression: str, fields: list[str], limit: int | None = None
    ) -> list[dict[str, Any]]:
        with self._connection() as client:
            return list(
                client.query(
                    self.collection,
                    filter=expression,
                    output_fields=fields,
                    limit=limit,
                    consistency_level="Strong",
                    timeout=self._timeout_s,
                )
            )

    def _create(self, client: "MilvusClient") -> None:
        from pymilvus import DataType, MilvusException

        schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("name", DataType.VARCHAR, max_length=NAME_BYTES, is_primary=True)
        schema.add_field("employee_id", DataType.INT64)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=self.dimension)
        try:
            client.create_collection(
                self.collection, schema=schema, consistency_level="Strong", timeout=self._timeout_s
            )
        except MilvusException:
            # Another process may have created it first.
            if not client.has_collection(self.collection, timeout=self._timeout_s):
                raise

    def _create_indexes(self, client: "MilvusClient") -> None:
        from pymilvus import MilvusException

        indexes = client.prepare_index_params()
        # For unit vectors, the inner product gives the same order as the L2 distance.
        indexes.add_index("vector", index_type="HNSW", metric_type="IP", params=HNSW)
        indexes.add_index("employee_id", index_type="INVERTED")
        # Another process may create them first. If they are missing, loading the collection fails.
        with suppress(MilvusException):
            client.create_index(
                self.collection,
                indexes,
                sync=False,  # otherwise pymilvus waits half a second for each
                timeout=self._timeout_s,
            )

    @contextmanager
    def _connection(self) -> "Iterator[MilvusClient]":
        """Yield the client; raise its errors as IndexUnavailable."""
        from grpc import RpcError
        from pymilvus import MilvusException

        try:
            yield self._connected_client()
        # pymilvus raises ValueError while another thread reconnects.
        except (MilvusException, RpcError, ValueError) as error:
            raise IndexUnavailable(self._reason(error)) from error

    def _connected_client(self) -> "MilvusClient":
        if self._client:
            return self._client
        if not self._connecting.acquire(timeout=self._timeout_s):
            raise IndexUnavailable(self._timed_out)
        try:
            if not self._client:
                self._client = import_client()(
                    uri=self._address.uri, token=self._address.token or "", timeout=self._timeout_s
                )
            return self._client
        finally:
            self._connecting.release()

    @property
    def _timed_out(self) -> str:
        return f"the index (MILVUS_URI) did not answer within {self._timeout_s:g} s"

    def _reason(self, error: Exception) -> str:
        from grpc import RpcError, StatusCode

        code = error.code() if isinstance(error, RpcError) else getattr(error, "code", None)
        if code == StatusCode.DEADLINE_EXCEEDED:
            return self._timed_out
        if code in (StatusCode.UNAUTHENTICATED, StatusCode.PERMISSION_DENIED):
            return "the index rejected the credentials (MILVUS_TOKEN)"
        if code in (StatusCode.UNAVAILABLE, 2):
            return "the index (MILVUS_URI) cannot be reached"
        # The message itself may quote the request.
        return (
            f"the index (MILVUS_URI) cannot be used: {type(error).__name__} {code or ''}".rstrip()
        )


def import_client() -> "type[MilvusClient]":
    """Return pymilvus's client class, and silence its log. Raises ImportError if not installed.

    On import, pymilvus itself reads MILVUS_URI, and fails if that is the path of a file.
    """
    uri = os.environ.get("MILVUS_URI")
    os.environ["MILVUS_URI"] = ""
    try:
        from pymilvus import MilvusClient
    finally:
        if uri is None:
            del os.environ["MILVUS_URI"]
        else:
            os.environ["MILVUS_URI"] = uri
    # It logs a traceback for each failure, which our own log reports as a sentence.
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
    client: type[MilvusClient] = MilvusClient
    return client
