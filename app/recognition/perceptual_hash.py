"""Perceptual hashes of faces: nearly equal for copies of a photo, different for other photos.

They tell a copy from a new photo of the same person, however the copy was stretched or recoloured.
They are not feature vectors: nobody can be recognised by them.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.recognition.canonical import VIEW_SIDE, AlignedFace, Canonical, canonicals

BITS = 512
BYTES = BITS // 8


def perceptual_hash(face: Canonical) -> bytes:
    """Return BITS bits: the edge directions at 256 points of the face, two bits for each.

    The bits are the signs of the cosine and the sine of twice the angle. Light, tones, noise, size
    and compression hardly change them.
    """
    return np.packbits(face.edges(_POINTS).ravel() > 0).tobytes()


def photo_hashes(face: AlignedFace) -> tuple[bytes, ...]:
    """Return the hashes of a photo's face: one for each of `canonicals`."""
    return tuple(perceptual_hash(view) for view in canonicals(face))


def usual_hash(hashes: Sequence[bytes]) -> bytes:
    """Return the hash whose bits are those of the majority."""
    return np.packbits(2 * _bits(hashes).sum(axis=0, dtype=np.int64) > len(hashes)).tobytes()


def difference(mine: Sequence[bytes], theirs: Sequence[bytes]) -> int:
    """Return how many bits differ in the most similar pair of hashes, mirrored or not.

    At most BITS; that many if either side is empty. About a third of the bits differ between two
    photos of one person. Hashes of another length, which earlier releases made, match nothing.
    """
    theirs = [each for each in theirs if len(each) == BYTES]
    if not mine or not theirs:
        return BITS
    known = np.frombuffer(b"".join(theirs), np.uint64).reshape(len(theirs), -1)
    bits = _bits(mine)
    with_mirrored = np.concatenate((bits, bits[:, _MIRRORED] ^ _SINES))
    words = np.packbits(with_mirrored, axis=1).view(np.uint64)
    return min(int(np.bitwise_count(each ^ known).sum(axis=1).min()) for each in words)


def _bits(hashes: Sequence[bytes]) -> NDArray[np.uint8]:
    return np.unpackbits(np.frombuffer(b"".join(hashes), np.uint8).reshape(len(hashes), -1), axis=1)


def _grid() -> NDArray[np.float64]:
    """Return the 256 points of a grid nearest to the middle of the face: (256, 2), x and y.

    The second half mirrors the first.
    """
    rows, columns = np.mgrid[4:61:3, 2:32:3]
    distance = ((columns - 31.5) / 26) ** 2 + ((rows - 34) / 31) ** 2
    nearest = np.argsort(distance.ravel(), kind="stable")[: BITS // 4]
    row, column = rows.ravel()[nearest], columns.ravel()[nearest]
    left = np.stack((column, row), axis=1).astype(np.float64)
    return np.concatenate((left, np.abs(left - (VIEW_SIDE - 1, 0))))


_POINTS = _grid()
_HALF = BITS // 2
_MIRRORED = np.concatenate((np.arange(_HALF, BITS), np.arange(_HALF)))  # a mirror image's order
_SINES = (np.arange(BITS) % 2).astype(np.uint8)  # a mirror image flips their signs
