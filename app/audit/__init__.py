"""The audit log: who did what to whom, and what came of it. No photo, vector, name or key."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import Any, Protocol

Fields = dict[str, Any]


class AuditUnavailable(Exception):
    """The audit log cannot be written, so nothing may happen; the message says why."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. key: the id of the API key, None where none was given or it is unknown."""

    key: str | None
    address: str | None
    request_id: str | None


class Sink(Protocol):
    """Where entries go, each one chained to the one before."""

    def append(self, fields: Fields) -> None:
        """Write an entry durably. Raises AuditUnavailable."""

    def check(self) -> None:
        """Raise AuditUnavailable if an entry can surely not be written; writes nothing."""


class AuditLog:
    """Writes an entry for each thing that is done or refused. Thread-safe.

    sink: None where no audit log is kept.
    """

    def __init__(self, sink: Sink | None) -> None:
        self._sink = sink
        self._missing = 0  # entries that could not be written, and of which none tells yet
        self._counting = Lock()
        self._caller: ContextVar[Caller] = ContextVar("caller")

    def called_by(self, caller: Caller) -> None:
        """What this thread does from now on, the caller asked for."""
        self._caller.set(caller)

    def write(self, action: str, outcome: str, **facts: object) -> None:
        """Write one entry; on return it is durable. Raises AuditUnavailable."""
        if self._sink is None:
            return
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        entry = {"time": now, "action": action, "outcome": outcome, **self._who(), **facts}
        try:
            self._sink.append({name: fact for name, fact in entry.items() if fact is not None})
        except AuditUnavailable:
            with self._counting:
                self._missing += 1
            raise

    def check(self) -> None:
        """Return when entries can be written. Raises AuditUnavailable.

        If some could not be written, an entry that tells how many are missing is the trial.
        """
        if self._sink is None:
            return
        self._sink.check()
        with self._counting:
            missing, self._missing = self._missing, 0
        if missing:
            try:
                self.write("audit", "resumed", missing=missing)
            except AuditUnavailable:
                with self._counting:
                    self._missing += missing - 1  # the trial is no entry that anybody misses
                raise

    def _who(self) -> Fields:
        caller = self._caller.get(None)
        return asdict(caller) if caller else {}

    @contextmanager
    def entry(self, action: str, **facts: object) -> Iterator[Fields]:
        """Write one entry when the block ends, whatever comes of it.

        Facts that turn up meanwhile are put into the mapping. What is raised in the block is the
        outcome, and goes on. Raises AuditUnavailable.
        """
        try:
            yield facts
        except Exception as error:
            self.write(action, _outcome(error), **facts)
            raise
        self.write(action, "ok", **facts)


def _outcome(error: Exception) -> str:
    """The error's stable code, or its name: NoMatch → no_match."""
    code = getattr(error, "code", None)
    if isinstance(code, str):
        return code
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(error).__name__).lower()
