"""Sinks for audit entries: a file that all processes of the machine share, or standard output."""

import errno
import fcntl
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from threading import Lock

import structlog

from app import private_files
from app.audit import AuditUnavailable, Fields, Sink
from app.audit.chain import BEGINNING, digest, link

log = structlog.get_logger()

STDOUT = "stdout"
_TAIL = 1 << 16  # bytes read to find the last line; many times the longest line
_HASH_BYTES = len(BEGINNING)
_MIN_FREE = 1 << 16  # bytes on the disk; more than the entries of one moment take


def open_sink(destination: str) -> Sink:
    """Open the sink for AUDIT_LOG: `stdout`, or the path of a file. Raises AuditUnavailable.

    Log the hash that the chain continues from, as an anchor outside the audit log.
    """
    sink: Sink = ChainedStream() if destination == STDOUT else ChainedFile(Path(destination))
    log.info("audit log", destination=destination, continues=sink.last)
    return sink


class ChainedStream:
    """Writes to standard output. Each process has its own chain, whose name is in every line."""

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
        """Do nothing: only writing an entry can show whether this works."""


class ChainedFile:
    """Appends to a file that threads and processes share, continuing one chain.

    The file may be renamed or emptied at any time, as logrotate does. A small chain file in the
    same folder, `.<name>.chain`, keeps the hash of the last line, so that a new file continues the
    chain of the old one, whichever process creates it. A writer holds the chain file's lock.
    """

    def __init__(self, path: Path) -> None:
        """Raises AuditUnavailable."""
        self._path = path
        self._chain = path.with_name(f".{path.name}.chain")
        try:
            private_files.make_folder(path.parent)
            with self._locked() as (file, chain):
                self.last = _last(file, chain)  # when this process starts
                _remember(chain, self.last)
            private_files.warn_if_others_read(path, "AUDIT_LOG")
        except OSError as error:
            raise self._unavailable(error) from error

    def append(self, fields: Fields) -> None:
        try:
            with self._locked() as (file, chain):
                line = link(_last(file, chain), fields)
                end = os.fstat(file.fileno()).st_size
                try:
                    _write(file, line)
                    _remember(chain, digest(line))
                except OSError:
                    with suppress(OSError):
                        file.truncate(end)  # the entry was not acknowledged
                    raise
                fcntl.flock(chain, fcntl.LOCK_UN)  # so that writers wait for the disk together
                os.fsync(file)
                os.fdatasync(chain)
        except OSError as error:
            raise self._unavailable(error) from error

    def check(self) -> None:
        try:
            disk = os.statvfs(self._path.parent)
        except OSError as error:
            raise self._unavailable(error) from error
        if disk.f_flag & os.ST_RDONLY:
            raise self._unavailable(OSError(errno.EROFS, os.strerror(errno.EROFS)))
        if disk.f_blocks and disk.f_bavail * disk.f_frsize < _MIN_FREE:
            raise self._unavailable(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    @contextmanager
    def _locked(self) -> Iterator[tuple[FileIO, FileIO]]:
        """Yield the log file now at the path, and its chain file, while holding the lock."""
        with self._locked_chain() as chain, _opened(self._path) as file:
            yield file, chain

    def _locked_chain(self) -> FileIO:
        while True:
            chain = _opened(self._chain, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
            fcntl.flock(chain, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):
                if os.path.samestat(self._chain.stat(), os.fstat(chain.fileno())):
                    return chain
            chain.close()  # it was deleted before it was locked; others will lock the new file

    def _unavailable(self, error: OSError) -> AuditUnavailable:
        reason = error.strerror or str(error)
        path = error.filename or self._path
        return AuditUnavailable(f"the file {path} (AUDIT_LOG) cannot be written: {reason}")


def _opened(path: Path, flags: int = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC) -> FileIO:
    return FileIO(path, "r+", opener=lambda name, _: os.open(name, flags, private_files.FOR_GROUP))


def _last(file: FileIO, chain: FileIO) -> str:
    """Return the hash that the next line must follow. End a line that a crash cut off.

    This is the hash of the last line, or the chain file's if the log file is new. If the chain
    file's hash belongs to a line that is missing, the end of the log was cut off: return that hash,
    so that `verify` finds the gap.
    """
    remembered = os.pread(chain.fileno(), _HASH_BYTES, 0).decode(errors="replace")
    size = os.fstat(file.fileno()).st_size
    if not size:
        return remembered or BEGINNING
    tail = os.pread(file.fileno(), _TAIL, max(0, size - _TAIL))
    if not tail.endswith(b"\n"):
        _write(file, b"")  # ends the line, which stays for `verify` to report
    last = digest(tail.removesuffix(b"\n").rpartition(b"\n")[2])
    # An older line's hash is remembered if a crash came between the two writes.
    if remembered in ("", last) or _holds(file, remembered):
        return last
    log.error("the end of the audit log was cut off", missing=remembered)
    return remembered


def _holds(file: FileIO, line_hash: str) -> bool:
    """Return whether the file holds a line with that hash."""
    with os.fdopen(os.dup(file.fileno()), "rb") as lines:
        lines.seek(0)
        return any(digest(line.removesuffix(b"\n")) == line_hash for line in lines)


def _remember(chain: FileIO, last: str) -> None:
    os.pwrite(chain.fileno(), last.encode(), 0)


def _write(file: FileIO, line: bytes) -> None:
    data = line + b"\n"
    if os.write(file.fileno(), data) < len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
