"""Where audit entries go: a file that every process of the machine shares, or standard output."""

import errno
import fcntl
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

import structlog

from app.audit import AuditUnavailable, Fields
from app.audit.chain import BEGINNING, digest, link

log = structlog.get_logger()

STDOUT = "stdout"
_TAIL = 1 << 16  # bytes, more than the longest line
_LEAST_FREE = 1 << 16  # bytes on the disk, more than the entries of a moment take


def open_sink(destination: str) -> "ChainedFile | ChainedStream":
    """The sink of the setting AUDIT_LOG: `stdout`, or the path of a file. Raises AuditUnavailable.

    The log is told the hash the chain goes on from: an anchor outside the audit log.
    """
    sink: ChainedFile | ChainedStream
    sink = ChainedStream() if destination == STDOUT else ChainedFile(Path(destination))
    log.info("audit log", destination=destination, continues=sink.last)
    return sink


class ChainedStream:
    """Standard output. Each process has a chain of its own, named in every line."""

    def __init__(self) -> None:
        self.last = BEGINNING
        self._chain = secrets.token_hex(4)
        self._lock = Lock()

    def append(self, fields: Fields) -> None:
        with self._lock:
            line = link(self.last, {**fields, "chain": self._chain})
            try:
                sys.stdout.write(line.decode() + "\n")
                sys.stdout.flush()
            except (OSError, ValueError) as error:
                raise AuditUnavailable(f"the audit log cannot be written: {error}") from error
            self.last = digest(line)

    def check(self) -> None:
        """Nobody can tell before an entry is written."""


class ChainedFile:
    """A file that threads and processes append to in turn, each going on where the last ended.

    It may be renamed while the service runs, as logrotate does: the next entry begins a new file,
    which continues the chain of the old one.
    """

    def __init__(self, path: Path) -> None:
        """Raises AuditUnavailable."""
        self._path = path
        self._lock = Lock()
        self.last = BEGINNING
        self._end = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._open()
            with self._alone():
                pass
        except OSError as error:
            raise self._unavailable(error) from error

    def append(self, fields: Fields) -> None:
        # flock keeps processes apart, not the threads of one
        with self._lock:
            try:
                with self._alone():
                    self._write(link(self.last, fields))
                os.fsync(self._file)
            except OSError as error:
                raise self._unavailable(error) from error

    def check(self) -> None:
        try:
            disk = os.statvfs(self._path.parent)
        except OSError as error:
            raise self._unavailable(error) from error
        if disk.f_flag & os.ST_RDONLY:
            raise self._unavailable(OSError(errno.EROFS, os.strerror(errno.EROFS)))
        if disk.f_blocks and disk.f_bavail * disk.f_frsize < _LEAST_FREE:
            raise self._unavailable(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """At the end of the file that is at the path, while no other process writes."""
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            self._follow_renaming()
            self._go_to_end()
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _write(self, line: bytes) -> None:
        data = line + b"\n"
        try:
            written = os.write(self._file, data)
            if written < len(data):
                raise OSError("the disk is full")
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file, self._end)  # what is half written would be no entry
            raise
        self._end += len(data)
        self.last = digest(line)

    def _follow_renaming(self) -> None:
        while not self._is_at_path():
            renamed = self._file
            self._go_to_end()  # of the renamed one, which nobody writes to any more
            last = self.last
            self._file = self._open()
            fcntl.flock(self._file, fcntl.LOCK_EX)
            self._end, self.last = 0, last
            os.close(renamed)  # and with it its lock

    def _is_at_path(self) -> bool:
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._file))
        except FileNotFoundError:
            return False

    def _go_to_end(self) -> None:
        """Find the last line, where others have written since."""
        size = os.fstat(self._file).st_size
        if size in (0, self._end):
            self._end = size
            return
        tail = os.pread(self._file, _TAIL, max(0, size - _TAIL))
        if not tail.endswith(b"\n"):  # a crash cut it off: it stays, and can be seen
            size += os.write(self._file, b"\n")
            tail += b"\n"
        self.last = digest(tail[:-1].rpartition(b"\n")[2])
        self._end = size

    def _open(self) -> int:
        return os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def _unavailable(self, error: OSError) -> AuditUnavailable:
        reason = error.strerror or str(error)
        return AuditUnavailable(f"the file {self._path} (AUDIT_LOG) cannot be written: {reason}")
