"""Where audit entries go: a file that every process of the machine shares, or standard output."""

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
from app.audit import AuditUnavailable, Fields
from app.audit.chain import BEGINNING, digest, link

log = structlog.get_logger()

STDOUT = "stdout"
_TAIL = 1 << 16  # bytes, many times the longest line
_HASH_BYTES = len(BEGINNING)
_LEAST_FREE = 1 << 16  # bytes on the disk, more than the entries of a moment take


def open_sink(destination: str) -> "ChainedFile | ChainedStream":
    """The sink of the setting AUDIT_LOG: `stdout`, or the path of a file. Raises AuditUnavailable.

    The log is told the hash that the chain goes on from: an anchor outside the audit log.
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

    It may be renamed or emptied at any time, as logrotate does. A small file in the same folder,
    `.<name>.chain`, keeps the hash of the last line, so that a new file continues the chain of the
    old one, whichever process begins it. The process that writes holds the lock of that small file.
    """

    def __init__(self, path: Path) -> None:
        """Raises AuditUnavailable."""
        self._path = path
        self._chain = path.with_name(f".{path.name}.chain")
        try:
            private_files.make_folder(path.parent)
            with self._turn() as (file, chain):
                self.last = _last(file, chain)  # as it is at the start
                _remember(chain, self.last)
            private_files.warn_if_others_read(path, "AUDIT_LOG")
        except OSError as error:
            raise self._unavailable(error) from error

    def append(self, fields: Fields) -> None:
        try:
            with self._turn() as (file, chain):
                line = link(_last(file, chain), fields)
                end = os.fstat(file.fileno()).st_size
                try:
                    _write(file, line)
                    _remember(chain, digest(line))
                except OSError:
                    with suppress(OSError):
                        file.truncate(end)  # nobody was told of it
                    raise
                fcntl.flock(chain, fcntl.LOCK_UN)  # so that several wait for the disk together
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
        if disk.f_blocks and disk.f_bavail * disk.f_frsize < _LEAST_FREE:
            raise self._unavailable(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    @contextmanager
    def _turn(self) -> Iterator[tuple[FileIO, FileIO]]:
        """The file that is at the path and the one of its chain, while nobody else writes."""
        with self._locked_chain() as chain, _opened(self._path) as file:
            yield file, chain

    def _locked_chain(self) -> FileIO:
        while True:
            chain = _opened(self._chain, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
            fcntl.flock(chain, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):
                if os.path.samestat(self._chain.stat(), os.fstat(chain.fileno())):
                    return chain
            chain.close()  # somebody deleted it meanwhile: others lock the new one

    def _unavailable(self, error: OSError) -> AuditUnavailable:
        reason = error.strerror or str(error)
        path = error.filename or self._path
        return AuditUnavailable(f"the file {path} (AUDIT_LOG) cannot be written: {reason}")


def _opened(path: Path, flags: int = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC) -> FileIO:
    return FileIO(path, "r+", opener=lambda name, _: os.open(name, flags, private_files.FOR_GROUP))


def _last(file: FileIO, chain: FileIO) -> str:
    """The hash that the next line follows; ends a line that a crash cut off.

    It is the last line's, and that of the chain if the file is new. It is also that of the chain
    if its line is missing in the file: then somebody cut off the end, and it must be seen.
    """
    remembered = os.pread(chain.fileno(), _HASH_BYTES, 0).decode(errors="replace")
    size = os.fstat(file.fileno()).st_size
    if not size:
        return remembered or BEGINNING
    tail = os.pread(file.fileno(), _TAIL, max(0, size - _TAIL))
    if not tail.endswith(b"\n"):  # it stays, and can be seen
        _write(file, b"")
    last = digest(tail.removesuffix(b"\n").rpartition(b"\n")[2])
    if remembered in ("", last) or _holds(file, remembered):
        return last
    log.error("the end of the audit log was cut off", missing=remembered)
    return remembered


def _holds(file: FileIO, line: str) -> bool:
    """Whether the line with that hash is in the file: a crash came before the chain was told."""
    with os.fdopen(os.dup(file.fileno()), "rb") as lines:
        lines.seek(0)
        return any(digest(each.removesuffix(b"\n")) == line for each in lines)


def _remember(chain: FileIO, last: str) -> None:
    os.pwrite(chain.fileno(), last.encode(), 0)


def _write(file: FileIO, line: bytes) -> None:
    data = line + b"\n"
    if os.write(file.fileno(), data) < len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
