"""Feature vectors as they lie in the database: encrypted (sealed), where VECTOR_KEYS says so."""

import base64
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from numpy.typing import NDArray

from app.storage import Employee, UnknownSeal

PLAIN = "plain"
_NONCE_BYTES = 12
_TAG_BYTES = 16
_KEY_BYTES = 32


class CannotOpen(Exception):
    """The vectors of one record cannot be read: its key is not here, or it was tampered with."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The vectors of one employee as a database holds them.

    vectors: (n, dimension) little-endian float32, row by row, encrypted or not: of equal length.
    sealed_with: the name of the key, or `plain`. seal: the nonce and the tag, empty when plain.
    """

    vectors: bytes
    sealed_with: str
    seal: bytes


class VectorKeys:
    """Seals and opens vectors with AES-256-GCM.

    Employee id, model and dimension are authenticated with them, so that no record can be moved to
    another person's id.
    """

    def __init__(self, setting: str | None = None) -> None:
        """setting: VECTOR_KEYS, keys of 32 bytes in base64, separated by white space or commas.

        The first one seals, all of them open. `plain` in place of a key stands for no encryption.
        Raises ValueError, which quotes no key.
        """
        self._ciphers: dict[str, AESGCM | None] = {}
        for number, entry in enumerate(re.split(r"[\s,]+", (setting or PLAIN).strip()), start=1):
            if entry == PLAIN:
                self._ciphers[PLAIN] = None
                continue
            try:
                key = base64.b64decode(entry, validate=True)
            except ValueError:
                key = b""
            if len(key) != _KEY_BYTES:
                raise ValueError(f"entry {number} must be 32 bytes in base64, or {PLAIN}")
            self._ciphers[sha256(b"name of a vector key" + key).hexdigest()[:8]] = AESGCM(key)
        self.first = next(iter(self._ciphers))

    def seal(self, employee: Employee) -> Stored:
        """The employee's vectors, sealed with the first key."""
        vectors = employee.vectors.astype("<f4", copy=False).tobytes()
        cipher = self._ciphers[self.first]
        if cipher is None:
            return Stored(vectors, PLAIN, b"")
        nonce = os.urandom(_NONCE_BYTES)
        context = _context(employee.employee_id, employee.model, employee.vectors.shape[1])
        sealed = cipher.encrypt(nonce, vectors, context)
        return Stored(sealed[:-_TAG_BYTES], self.first, nonce + sealed[-_TAG_BYTES:])

    def open(
        self, stored: Stored, employee_id: int, model: str, dimension: int
    ) -> NDArray[np.float32]:
        """(n, dimension) float32. Raises CannotOpen."""
        self.must_hold(stored.sealed_with)
        vectors = stored.vectors
        if cipher := self._ciphers[stored.sealed_with]:
            nonce, tag = stored.seal[:_NONCE_BYTES], stored.seal[_NONCE_BYTES:]
            try:
                vectors = cipher.decrypt(
                    nonce, vectors + tag, _context(employee_id, model, dimension)
                )
            except (InvalidTag, ValueError):
                raise CannotOpen("what is stored is not what was sealed") from None
        matrix = np.frombuffer(vectors, dtype="<f4").reshape(-1, dimension)
        return matrix.astype(np.float32, copy=False)

    def must_hold(self, name: str) -> None:
        """Raise CannotOpen where the key of that name, or `plain`, is not accepted."""
        if name not in self._ciphers:
            raise CannotOpen(f"sealed with {name}, which VECTOR_KEYS does not hold")

    def check_all_sealed(self, sealed_with: Mapping[str, int], unread: int) -> None:
        """Raise UnknownSeal where records are not sealed with the first key; see `check`.

        unread: how many could not be.
        """
        left = sum(sealed_with.values()) - sealed_with.get(self.first, 0) - unread
        if left > 0:
            raise UnknownSeal(
                f"the vectors of {left} employees came meanwhile from a process with other "
                "VECTOR_KEYS: run it again"
            )
        if unread:
            raise UnknownSeal(
                f"{unread} records cannot be read and stay as they are, all others are sealed: the "
                "log names them; remove them, or enrol them again"
            )

    def check(self, sealed_with: Mapping[str, int]) -> None:
        """Raise UnknownSeal where records could not be opened.

        sealed_with: how many records are sealed with each key.
        """
        for name, count in sorted(sealed_with.items()):
            if name in self._ciphers:
                continue
            if name == PLAIN:
                raise UnknownSeal(
                    f"there are vectors that are not encrypted (employees: {count}): add {PLAIN} "
                    "at the end of VECTOR_KEYS, run flask --app entry vectors rotate, take it away"
                )
            raise UnknownSeal(
                f"there are vectors that are encrypted with the key {name} (employees: {count}), "
                "which VECTOR_KEYS does not hold"
            )


def _context(employee_id: int, model: str, dimension: int) -> bytes:
    return f"{employee_id} {dimension} {model}".encode()
