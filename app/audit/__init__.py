"""The audit log: who did what to whom, and the outcome. It holds no photo, vector, name or key."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import Any, Protocol

Fields = dict[str, Any]
Observer = Callable[[str, str, Fields], None]
"""Is told action, outcome and facts."""


class AuditUnavailable(Exception):
    """The audit log cannot be written, so nothing may be acknowledged. The message says why."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request. key: id of the API key; None if none was sent or it is unknown."""

    key: str | None
    address: str | None
    request_id: str | None


class Sink(Protocol):
    """Stores entries, each chained to the previous one.

    last: hash of the entry that this process continues from.
    """

    last: str

    def append(self, fields: Fields) -> None:
        """Write an entry durably. Raises AuditUnavailable."""

    def check(self) -> None:
        """Raise AuditUnavailable if it is certain that no entry can be written. Write nothing."""


class AuditLog:
    """Writes an entry for every action that is performed or refused. Thread-safe.

    sink: None if no audit log is kept. observe: is told of every action, in either case; if its
    entry cannot be written, the outcome is `audit_unavailable`.
    """

    def __init__(self, sink: Sink | None, observe: Observer = lambda *told: None) -> None:
        self._sink = sink
        self._observe = observe
        self._missing = 0  # entries that could not be written, and are not reported in the log yet
        self._missing_lock = Lock()
        self._caller: ContextVar[Caller] = ContextVar("caller")

    @property
    def is_kept(self) -> bool:
        """Whether there is an audit log."""
        return self._sink is not None

    def called_by(self, caller: Caller) -> None:
        """Attribute everything that this thread does from now on to the caller."""
        self._caller.set(caller)

    def write(self, action: str, outcome: str, **facts: object) -> None:
        """Write one entry; on return it is durable. Raises AuditUnavailable."""
        try:
            self._write(action, outcome, facts)
        except AuditUnavailable:
            self._observe(action, "audit_unavailable", facts)
            raise
        self._observe(action, outcome, facts)

    def check(self) -> None:
        """Raise AuditUnavailable if no entries can be written.

        If earlier entries could not be written, write an entry that says how many are missing.
        """
        if self._sink is None:
            return
        self._sink.check()
        with self._missing_lock:
            missing, self._missing = self._missing, 0
        if missing:
            try:
                self.write("audit", "resumed", missing=missing)
            except AuditUnavailable:
                with self._missing_lock:
                    self._missing += missing - 1  # `write` has counted this entry, too
                raise

    @contextmanager
    def entry(self, action: str, **facts: object) -> Iterator[Fields]:
        """Write one entry when the block ends, whether or not it raises. Raises AuditUnavailable.

        The block may add facts to the mapping. An exception from the block becomes the entry's
        outcome, and is raised again.
        """
        try:
            yield facts
        except Exception as error:
            self.write(action, _outcome(error), **facts)
            raise
        self.write(action, "ok", **facts)

    def _write(self, action: str, outcome: str, facts: Fields) -> None:
        if self._sink is None:
            return
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        caller = self._caller.get(None)
        who = asdict(caller) if caller else {}
        entry = {"time": now, "action": action, "outcome": outcome, **who, **facts}
        try:
            self._sink.append({name: fact for name, fact in entry.items() if fact is not None})
        except AuditUnavailable:
            with self._missing_lock:
                self._missing += 1
            raise


def _outcome(error: Exception) -> str:
    """Return the error's stable code, or its class name in snake case: NoMatch → no_match."""
    code = getattr(error, "code", None)
    if isinstance(code, str):
        return code
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(error).__name__).lower()
