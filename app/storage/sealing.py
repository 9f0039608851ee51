"""Sealing: the encryption of stored feature vectors with VECTOR_KEYS."""

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

from app.storage import Reference, UnknownSeal

PLAIN = "plain"  # stands for no encryption, in VECTOR_KEYS and in stored records
_NONCE_BYTES = 12  # the size that AES-GCM is specified for
_TAG_BYTES = 16  # the full tag of AES-GCM
_KEY_BYTES = 32  # AES-256


class CannotOpen(Exception):
    """The vectors of a record are undecryptable: their key is missing, or they were changed."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The vectors of one employee as a database holds them.

    vectors: (n, dimension) little-endian float32, row by row; if encrypted, as many bytes of
        ciphertext.
    """

    vectors: bytes
    sealed_with: str  # the name of the key, or `plain`
    seal: bytes  # the nonce and the tag; empty if plain


class VectorKeys:
    """Seals and opens vectors with AES-256-GCM.

    The employee id, model and dimension are authenticated with the vectors, so a record cannot be
    moved to another person's id.
    """

    def __init__(self, setting: str | None = None) -> None:
        """setting: VECTOR_KEYS, 32-byte keys in base64, separated by white space or commas.

        The first key seals, and all of them open. `plain` in place of a key means no encryption.
        Raises ValueError, whose message quotes no key.
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

    def seal(self, employee_id: int, reference: Reference) -> Stored:
        """Seal the vectors of an employee's reference with the first key."""
        vectors = reference.vectors.astype("<f4", copy=False).tobytes()
        cipher = self._ciphers[self.first]
        if cipher is None:
            return Stored(vectors, PLAIN, b"")
        nonce = os.urandom(_NONCE_BYTES)
        context = _context(employee_id, reference.model, reference.vectors.shape[1])
        sealed = cipher.encrypt(nonce, vectors, context)
        return Stored(sealed[:-_TAG_BYTES], self.first, nonce + sealed[-_TAG_BYTES:])

    def open(
        self, stored: Stored, employee_id: int, model: str, dimension: int
    ) -> NDArray[np.float32]:
        """Return the vectors, (n, dimension) float32. Raises CannotOpen."""
        self.check_known(stored.sealed_with)
        vectors = stored.vectors
        if cipher := self._ciphers[stored.sealed_with]:
            nonce, tag = stored.seal[:_NONCE_BYTES], stored.seal[_NONCE_BYTES:]
            try:
                vectors = cipher.decrypt(
                    nonce, vectors + tag, _context(employee_id, model, dimension)
                )
            except (InvalidTag, ValueError):
                raise CannotOpen("the vectors were changed after they were sealed") from None
        matrix = np.frombuffer(vectors, dtype="<f4").reshape(-1, dimension)
        return matrix.astype(np.float32, copy=False)

    def check_known(self, name: str) -> None:
        """Raise CannotOpen if VECTOR_KEYS does not hold the key with this name, or `plain`."""
        if name not in self._ciphers:
            raise CannotOpen(f"sealed with {name}, which VECTOR_KEYS does not hold")

    def check_resealed(self, sealed_with: Mapping[str, int], unread: int) -> None:
        """Raise UnknownSeal if records are not sealed with the first key.

        sealed_with: the number of records for each key name.
        unread: the number of records that could not be read.
        """
        left = sum(sealed_with.values()) - sealed_with.get(self.first, 0) - unread
        if left > 0:
            raise UnknownSeal(
                f"a process with other VECTOR_KEYS wrote the vectors of {left} employees "
                "meanwhile: run it again"
            )
        if unread:
            raise UnknownSeal(
                f"{unread} records cannot be read and stay as they are, all others are sealed: the "
                "log names them; remove them, or enrol them again"
            )

    def check_keys(self, sealed_with: Mapping[str, int]) -> None:
        """Raise UnknownSeal if records are sealed with a key that VECTOR_KEYS does not hold.

        sealed_with: the number of records for each key name.
        """
        for name, count in sorted(sealed_with.items()):
            if name in self._ciphers:
                continue
            if name == PLAIN:
                raise UnknownSeal(
                    f"there are vectors that are not encrypted (employees: {count}): add {PLAIN} "
                    "at the end of VECTOR_KEYS, run flask --app entry vectors rotate, then remove "
                    f"{PLAIN} again"
                )
            raise UnknownSeal(
                f"there are vectors that are encrypted with the key {name} (employees: {count}), "
                "which VECTOR_KEYS does not hold"
            )


def _context(employee_id: int, model: str, dimension: int) -> bytes:
    return f"{employee_id} {dimension} {model}".encode()
