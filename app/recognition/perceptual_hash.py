"""Perceptual hashes of faces: about the same for a copy of a photo, another for another photo.

They tell copies from new photos of the same person, however the copy was stretched or recoloured;
they are no feature vectors, by which somebody could be recognised.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.recognition.canonical import FIELD, Canonical, Plain, canonicals

BITS = 512
BYTES = BITS // 8


def perceptual_hash(face: Canonical) -> bytes:
    """BITS bits of a face: which way the edges run in 256 places, two bits for each.

    The signs of the cosine and the sine of twice their angle. Light, tones, noise, size and
    compression hardly change them.
    """
    return np.packbits(face.edges(_PLACES).ravel() > 0).tobytes()


def photo_hashes(plain: Plain) -> tuple[bytes, ...]:
    """The hashes of a photo's face, (SIDE, SIDE, 3) uint8: one for each of its standard views."""
    return tuple(perceptual_hash(view) for view in canonicals(plain))


def usual_hash(hashes: Sequence[bytes]) -> bytes:
    """What most of some hashes have: each bit as the majority has it."""
    return np.packbits(2 * _bits(hashes).sum(axis=0, dtype=np.int64) > len(hashes)).tobytes()


def difference(mine: Sequence[bytes], theirs: Sequence[bytes]) -> int:
    """How many bits differ in the most similar pair of hashes, mirrored or not; at most BITS.

    About a third of the bits differ in another photo of the same person. Hashes of another length,
    as earlier releases made them, match none.
    """
    theirs = [each for each in theirs if len(each) == BYTES]
    if not mine or not theirs:
        return BITS
    known = np.frombuffer(b"".join(theirs), np.uint64).reshape(len(theirs), -1)
    bits = _bits(mine)
    both = np.concatenate((bits, bits[:, _MIRRORED] ^ _TURNED))
    new = np.packbits(both, axis=1).view(np.uint64)
    return min(int(np.bitwise_count(each ^ known).sum(axis=1).min()) for each in new)


def _bits(hashes: Sequence[bytes]) -> NDArray[np.uint8]:
    return np.unpackbits(np.frombuffer(b"".join(hashes), np.uint8).reshape(len(hashes), -1), axis=1)


def _places() -> NDArray[np.float64]:
    """(256, 2) places of a grid that lie nearest to the middle of the face, x and y.

    The second half mirrors the first one.
    """
    rows, columns = np.mgrid[4:61:3, 2:32:3]
    far = ((columns - 31.5) / 26) ** 2 + ((rows - 34) / 31) ** 2
    nearest = np.argsort(far.ravel(), kind="stable")[: BITS // 4]
    row, column = rows.ravel()[nearest], columns.ravel()[nearest]
    left = np.stack((column, row), axis=1).astype(np.float64)
    return np.concatenate((left, np.abs(left - (FIELD - 1, 0))))


_PLACES = _places()
_HALF = BITS // 2
_MIRRORED = np.concatenate((np.arange(_HALF, BITS), np.arange(_HALF)))
_TURNED = (np.arange(BITS) % 2).astype(np.uint8)  # a mirror turns the sines over
