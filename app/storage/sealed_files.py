"""Files encrypted with a key of their own, in chunks, so that they are never whole in memory.

After the magic bytes and a random salt come chunks of AES-256-GCM. The key is derived from the key
of the key file and the salt, the nonce is the chunk's number, and the last chunk is marked as such.
So a chunk that is changed, moved or missing does not decrypt (the construction STREAM).
"""

import base64
import os
from collections.abc import Iterable, Iterator
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import IO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_MAGIC = b"sealed employees 1\n"
_CHUNK = 1 << 16  # bytes of plain text
_TAG = 16
_SALT = 32
_KEY = 32


class SealedFileError(OSError):
    """The file or its key cannot be used. The message says why, and quotes no key."""


def read_key(path: Path) -> bytes:
    """Return the key of a key file: 32 bytes in base64. Raises SealedFileError."""
    try:
        key = base64.b64decode(path.read_text().strip(), validate=True)
    except OSError as error:
        raise SealedFileError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        key = b""
    if len(key) != _KEY:
        raise SealedFileError(f"{path} must hold 32 bytes in base64: openssl rand -base64 32")
    return key


def write(file: IO[bytes], pieces: Iterable[bytes], key: bytes | None) -> None:
    """Write the pieces to a file, encrypted if there is a key. Raises OSError."""
    if key is None:
        file.writelines(pieces)
        return
    salt = os.urandom(_SALT)
    cipher = _cipher(key, salt)
    file.write(_MAGIC + salt)
    waiting, number = bytearray(), 0
    for piece in pieces:
        waiting += piece
        while len(waiting) > _CHUNK:  # the last chunk is not empty, unless everything is
            file.write(cipher.encrypt(_nonce(number), bytes(waiting[:_CHUNK]), None))
            del waiting[:_CHUNK]
            number += 1
    file.write(cipher.encrypt(_nonce(number, is_last=True), bytes(waiting), None))


def open_to_read(path: Path, key: bytes | None) -> IO[bytes]:
    """Open a file, encrypted or not. Raises OSError, reading it SealedFileError."""
    file = path.open("rb")
    if file.peek(len(_MAGIC))[: len(_MAGIC)] != _MAGIC:
        return file
    if key is None:
        file.close()
        raise SealedFileError(f"{path} is encrypted: name the file with its key, --key-file")
    return BufferedReader(_Sealed(file, path, key))  # type: ignore[type-var]


class _Sealed(RawIOBase):
    def __init__(self, file: IO[bytes], path: Path, key: bytes) -> None:
        self._file = file
        self._path = path
        file.read(len(_MAGIC))
        self._chunks = self._decrypted(_cipher(key, file.read(_SALT)))
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        if not self._rest:
            self._rest = next(self._chunks, b"")
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size

    def close(self) -> None:
        self._file.close()
        super().close()

    def _decrypted(self, cipher: AESGCM) -> Iterator[bytes]:
        number, chunk = 0, self._file.read(_CHUNK + _TAG)
        is_last = False
        while not is_last:
            following = self._file.read(_CHUNK + _TAG)
            is_last = not following
            try:
                yield cipher.decrypt(_nonce(number, is_last), chunk, None)
            except (InvalidTag, ValueError):
                raise SealedFileError(
                    f"{self._path} does not decrypt: it is encrypted with another key, or was "
                    "changed or cut off"
                ) from None
            number, chunk = number + 1, following


def _cipher(key: bytes, salt: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), _KEY, salt, b"file of employees").derive(key))


def _nonce(number: int, is_last: bool = False) -> bytes:
    return number.to_bytes(11, "big") + bytes([is_last])
