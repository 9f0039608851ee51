"""Read the audit log's file backwards, page by page, in bounded memory and time."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

from app.audit import AuditUnavailable
from app.audit.chain import digest

Entry = dict[str, Any]

_WINDOW = 1 << 16  # bytes read at once; many times the longest line
_MOST_READ = 4 << 20  # bytes searched for a page
_MARK = 16  # digits of a line's hash


class CursorExpired(Exception):
    """The line that a cursor names is not there any more: the file was rotated."""


@dataclass(frozen=True, slots=True)
class Page:
    """entries: the newest first. next_cursor: None if nothing is left in the file."""

    entries: list[Entry]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries to return; None means any.

    employee_id: a person whom the entry is about, or whom it names: as shown, or as similar.
    """

    employee_id: int | None = None
    outcome: str | None = None

    def patterns(self) -> list[re.Pattern[bytes]]:
        """Return what a line must hold, as `chain.link` writes it. Few lines are then parsed."""
        found = []
        if self.outcome is not None:
            found.append(re.escape(f'"outcome":{json.dumps(self.outcome)}'))
        if self.employee_id is not None:
            names = r'"(?:employee_id|similar_to|shown|between)":\[?(?:[0-9]+,)*'
            found.append(rf"{names}{self.employee_id}[\],}}]")
        return [re.compile(pattern.encode()) for pattern in found]


def newest(path: Path, limit: int, cursor: str | None, wanted: Wanted) -> Page:
    """Return the newest entries, or those before a cursor, which an earlier page has returned.

    No more than 4 MiB are searched: a page may hold fewer entries than `limit`, or none, although
    there are more; `next_cursor` goes on. Lines that are not entries are left out. Only the file
    at the path is read, not those that it was rotated into. Raises CursorExpired, AuditUnavailable.
    """
    try:
        with path.open("rb", buffering=0) as file:
            return _page(file, limit, _end(file, cursor), wanted)
    except FileNotFoundError:
        return Page([], None)  # it was rotated, and nobody has written since
    except OSError as error:
        sentence = f"the file {path} (AUDIT_LOG) cannot be read: {error.strerror or error}"
        raise AuditUnavailable(sentence) from error


def _page(file: FileIO, limit: int, end: int, wanted: Wanted) -> Page:
    entries: list[Entry] = []
    patterns = wanted.patterns()
    lowest = end - _MOST_READ
    while end > 0 and end > lowest:
        start, window = _window(file, end)
        end = start
        if not all(pattern.search(window) for pattern in patterns):
            continue
        for position, line in _lines_back(start, window):
            if all(pattern.search(line) for pattern in patterns) and (entry := _entry(line)):
                entries.append(entry)
                if len(entries) == limit:
                    return Page(entries, _cursor(file, position))
    return Page(entries, _cursor(file, end))


def _window(file: FileIO, end: int) -> tuple[int, bytes]:
    """Return whole lines that end at `end`, and where they start.

    A longer line than the window is returned in pieces, which are no entries.
    """
    start = max(0, end - _WINDOW)
    window = os.pread(file.fileno(), end - start, start)
    cut = window.find(b"\n", 0, -1) + 1 if start else 0
    return start + cut, window[cut:]


def _lines_back(start: int, window: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a window and where they start, the last one first."""
    position = start + len(window)
    for line in reversed(window.splitlines(keepends=True)):
        position -= len(line)
        yield position, line


def _entry(line: bytes) -> Entry | None:
    with suppress(ValueError, RecursionError):
        entry = json.loads(line)
        if isinstance(entry, dict) and {"time", "action", "outcome"} <= entry.keys():
            return entry
    return None


def _cursor(file: FileIO, position: int) -> str | None:
    return f"{position}-{_mark(file, position)}" if position > 0 else None


def _mark(file: FileIO, position: int) -> str:
    """Return what tells the line at a position from any other one."""
    return digest(os.pread(file.fileno(), _WINDOW, position).partition(b"\n")[0])[:_MARK]


def _end(file: FileIO, cursor: str | None) -> int:
    """Return where to begin: the end of the last whole line, or a cursor's position."""
    size = os.fstat(file.fileno()).st_size
    if cursor is None:
        tail = os.pread(file.fileno(), _WINDOW, max(0, size - _WINDOW))
        return size - len(tail) + tail.rfind(b"\n") + 1
    position, _, mark = cursor.partition("-")
    if int(position) >= size or _mark(file, int(position)) != mark:
        raise CursorExpired
    return int(position)
