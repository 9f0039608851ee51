"""The gallery in Milvus: entries that all processes search, so that none of them holds vectors."""

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

MOST_FOUND = 16_384  # Milvus finds no more in one search
NAME_BYTES = 96
HNSW = {"M": 32, "efConstruction": 256}
EF = 128
_ENTRIES_PER_WRITE = 1_000


@dataclass(frozen=True, slots=True)
class Address:
    """Where Milvus is.

    uri: http://host:port, https://host:port, or a path that ends in .db (milvus-lite, in this
    process). token: `user:password` or an API key. timeout_s: how long one operation may take.
    """

    uri: str
    token: str | None
    timeout_s: float


class MilvusIndex:
    """A SharedIndex in the collection `<prefix>_<model>`, which `prepare` makes.

    Reads are strongly consistent: a search waits until it sees all that was acknowledged before.
    It connects when it is first used, so a Milvus that is away delays nothing.
    most_found: the most that Milvus finds at once.
    """

    def __init__(
        self,
        address: Address,
        prefix: str,
        model: str,
        dimension: int,
        most_found: int = MOST_FOUND,
    ) -> None:
        self.dimension = dimension
        self._most_found = most_found
        self.collection = re.sub(r"\W", "_", f"{prefix}_{model}", flags=re.ASCII)
        self._address = address
        self._client: MilvusClient | None = None
        self._connecting = Lock()

    def prepare(self) -> None:
        from pymilvus import MilvusException

        with self._answered() as client:
            if not client.has_collection(self.collection, timeout=self._address.timeout_s):
                self._create(client)
                self._create_indexes(client)
            try:
                client.load_collection(self.collection, timeout=self._address.timeout_s)
            except MilvusException:  # who made the collection did not come to the indexes, perhaps
                self._create_indexes(client)
                client.load_collection(self.collection, timeout=self._address.timeout_s)

    def is_complete(self) -> bool:
        with self._answered() as client:
            aliases = client.list_aliases(self.collection, timeout=self._address.timeout_s)
        return self._complete_alias in aliases["aliases"]

    def mark_complete(self) -> None:
        try:
            with self._answered() as client:
                client.create_alias(
                    self.collection, self._complete_alias, timeout=self._address.timeout_s
                )
        except IndexUnavailable:
            if not self.is_complete():  # it was not marked before, either
                raise

    def put(self, entries: Sequence[IndexEntry]) -> None:
        for start in range(0, len(entries), _ENTRIES_PER_WRITE):
            data = [
                {"name": entry.name, "employee_id": entry.employee_id, "vector": entry.vector}
                for entry in entries[start : start + _ENTRIES_PER_WRITE]
            ]
            with self._answered() as client:
                # not an insert: that would double an entry that is put twice
                client.upsert(self.collection, data, timeout=self._address.timeout_s)

    def remove(self, names: Sequence[str]) -> None:
        for start in range(0, len(names), _ENTRIES_PER_WRITE):
            # pymilvus's own way to delete by name stumbles over quotation marks
            some = json.dumps(names[start : start + _ENTRIES_PER_WRITE], ensure_ascii=False)
            with self._answered() as client:
                client.delete(
                    self.collection, filter=f"name in {some}", timeout=self._address.timeout_s
                )

    def entries_of(self, employee_ids: Sequence[int]) -> list[IndexEntry]:
        entries = self._entries(f"employee_id in {[int(i) for i in employee_ids]}")
        if len(entries) < self._most_found or len(employee_ids) < 2:
            return entries
        middle = len(employee_ids) // 2  # there may be more than one answer holds
        return self.entries_of(employee_ids[:middle]) + self.entries_of(employee_ids[middle:])

    def entries_between(self, after: int, last: int) -> Iterator[IndexEntry]:
        entries = self._entries(f"employee_id > {after} and employee_id <= {last}")
        if len(entries) < self._most_found or last - after < 2:
            yield from entries
        else:
            middle = (after + last) // 2
            yield from self.entries_between(after, middle)
            yield from self.entries_between(middle, last)

    def nearest(self, probe: NDArray[np.float32], count: int) -> list[tuple[str, int]]:
        count = min(count, self._most_found)
        with self._answered() as client:
            (hits,) = client.search(
                self.collection,
                data=[probe.tolist()],
                anns_field="vector",
                limit=count,
                output_fields=["employee_id"],
                search_params={"metric_type": "IP", "params": {"ef": max(EF, count)}},
                consistency_level="Strong",
                timeout=self._address.timeout_s,
            )
            return [(hit["name"], hit["entity"]["employee_id"]) for hit in hits]

    def flush(self) -> None:
        with self._answered() as client:
            client.flush(self.collection, timeout=self._address.timeout_s)

    def __len__(self) -> int:
        (counted,) = self._query("", ["count(*)"])
        return int(counted["count(*)"])

    @property
    def _complete_alias(self) -> str:
        # an alias, because it lives and dies with the collection, and all versions have it
        return f"{self.collection}_complete"

    def _entries(self, which: str) -> list[IndexEntry]:
        return [
            IndexEntry(found["name"], found["employee_id"], np.array(found["vector"], np.float32))
            for found in self._query(which, ["name", "employee_id", "vector"], self._most_found)
        ]

    def _query(
        self, which: str, fields: list[str], limit: int | None = None
    ) -> list[dict[str, Any]]:
        with self._answered() as client:
            return list(
                client.query(
                    self.collection,
                    filter=which,
                    output_fields=fields,
                    limit=limit,
                    consistency_level="Strong",
                    timeout=self._address.timeout_s,
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
                self.collection,
                schema=schema,
                consistency_level="Strong",
                timeout=self._address.timeout_s,
            )
        except MilvusException:
            # another process was faster
            if not client.has_collection(self.collection, timeout=self._address.timeout_s):
                raise

    def _create_indexes(self, client: "MilvusClient") -> None:
        from pymilvus import MilvusException

        indexes = client.prepare_index_params()
        # of unit vectors the inner product ranks as the L2 distance does
        indexes.add_index("vector", index_type="HNSW", metric_type="IP", params=HNSW)
        indexes.add_index("employee_id", index_type="INVERTED")
        # Another process may be faster; whether they are there, loading the collection tells.
        with suppress(MilvusException):
            client.create_index(
                self.collection,
                indexes,
                sync=False,  # pymilvus would wait half a second for each
                timeout=self._address.timeout_s,
            )

    @contextmanager
    def _answered(self) -> "Iterator[MilvusClient]":
        """The client; its errors as IndexUnavailable."""
        from grpc import RpcError
        from pymilvus import MilvusException

        try:
            yield self._connected()
        # ValueError: another thread is just connecting anew
        except (MilvusException, RpcError, ValueError) as error:
            raise IndexUnavailable(self._reason(error)) from error

    def _connected(self) -> "MilvusClient":
        if self._client:
            return self._client
        if not self._connecting.acquire(timeout=self._address.timeout_s):
            raise IndexUnavailable(self._too_late)
        try:
            if not self._client:
                self._client = import_client()(
                    uri=self._address.uri,
                    token=self._address.token or "",
                    timeout=self._address.timeout_s,
                )
            return self._client
        finally:
            self._connecting.release()

    @property
    def _too_late(self) -> str:
        return f"the index (MILVUS_URI) did not answer within {self._address.timeout_s:g} s"

    def _reason(self, error: Exception) -> str:
        from grpc import RpcError, StatusCode

        code = error.code() if isinstance(error, RpcError) else getattr(error, "code", None)
        if code == StatusCode.DEADLINE_EXCEEDED:
            return self._too_late
        if code in (StatusCode.UNAUTHENTICATED, StatusCode.PERMISSION_DENIED):
            return "the index refused its user (MILVUS_TOKEN)"
        if code in (StatusCode.UNAVAILABLE, 2):
            return "the index (MILVUS_URI) cannot be reached"
        # the message itself may quote what was sent
        return (
            f"the index (MILVUS_URI) cannot be used: {type(error).__name__} {code or ''}".rstrip()
        )


def import_client() -> "type[MilvusClient]":
    """pymilvus's client, its own log silenced. Raises ImportError where it is not installed.

    On import pymilvus reads MILVUS_URI itself, and fails where that is the path of a file.
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
    # every failure is a traceback there; here it is a sentence in our own log
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
    client: type[MilvusClient] = MilvusClient
    return client
