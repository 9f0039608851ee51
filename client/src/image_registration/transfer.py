"""Files of exports: written as they arrive, and read in pieces."""

import json
import os
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Self

import httpx

_PIECE = 1 << 16  # bytes that are sent at a time


class Receiving:
    """An export that arrives; a context manager. The file is there only once it is whole.

    Only the user can read it, because it holds faces as vectors and names.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._part = file.with_name(f"{file.name}.part")
        self._digest = sha256()
        self._last = b""  # line, which holds the digest of all before it
        self.received = 0

    def __enter__(self) -> Self:
        self._part.unlink(missing_ok=True)
        handle = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._open = os.fdopen(handle, "wb")
        return self

    def __exit__(self, *raised: object) -> None:
        self._open.close()
        self._part.unlink(missing_ok=True)

    def add(self, piece: bytes) -> None:
        """Write the next bytes."""
        self._open.write(piece)
        self.received += len(piece)
        lines = self._last + piece
        end = lines.rfind(b"\n", 0, -1) + 1  # of the last line but one
        self._digest.update(lines[:end])
        self._last = lines[end:]

    def finish(self) -> int:
        """Move the file to its place, and return how many employees it holds.

        Raises httpx.ReadError if the export has no end, as if the connection had been lost.
        """
        try:
            end = json.loads(self._last)
            is_whole = end["sha256"] == self._digest.hexdigest()
            employees = int(end["employees"])
        except (ValueError, LookupError, TypeError):
            is_whole = False
        if not is_whole:
            raise httpx.ReadError("the export ended early")
        self._open.close()
        self._part.replace(self._file)
        return employees


def pieces(file: Path, progress: Callable[[int], object]) -> Iterator[bytes]:
    """Yield the bytes of a file. progress: called with the number of bytes so far."""
    sent = 0
    with file.open("rb") as opened:
        while piece := opened.read(_PIECE):
            yield piece
            sent += len(piece)
            progress(sent)
