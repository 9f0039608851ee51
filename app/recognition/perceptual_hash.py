"""Perceptual hashes of faces: about the same for a copy of a photo, another for another photo.

They tell copies from new photos of the same person; nobody can be recognised by them.
"""

from collections.abc import Sequence
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

BITS = 256
_SIDE = 32
_WAVES = 20
_INSIDE = 0.9  # share of the face's side that is hashed, so that it can be moved

_angles = np.pi * np.outer(np.arange(_WAVES), np.arange(_SIDE) + 0.5) / _SIDE
_COSINES = np.cos(_angles).astype(np.float32)
_down, _across = np.divmod(np.arange(_WAVES**2), _WAVES)
# the coarsest ones, without the first, which is the brightness
_CHOSEN = np.argsort(_down + _across, kind="stable")[1 : BITS + 1]
_MIRRORED = np.packbits(_across[_CHOSEN] % 2 == 1)  # the waves that a mirror turns over

# Landmarks lie a little elsewhere in each copy: shifts as shares of the side, scales, radians.
_JITTER = list(product(*((-0.03, -0.015, 0, 0.015, 0.03),) * 2, (0.96, 1, 1.04), (-0.04, 0, 0.04)))


def perceptual_hash(face: NDArray[np.uint8]) -> bytes:
    """BITS bits of a (side, side) uint8 grey face: which of its coarse waves are up, which down.

    Zauner 2010: the signs of the low frequencies of a discrete cosine transform. Light, noise, size
    and compression hardly change them.
    """
    return bytes(_hashes(face, [(0, 0, 1, 0)])[0])


def difference(face: NDArray[np.uint8], hashes: Sequence[bytes]) -> int:
    """How many bits a face differs from the nearest of some hashes, mirrored or not; at most BITS.

    About a third of the bits differ in another photo of the same person.
    """
    if not hashes:
        return BITS
    mine = _hashes(face, _JITTER)
    mine = np.concatenate((mine, mine ^ _MIRRORED))
    theirs = np.frombuffer(b"".join(hashes), np.uint8).reshape(len(hashes), -1)
    return int(np.bitwise_count(mine[:, None] ^ theirs).sum(axis=2, dtype=np.int64).min())


def _hashes(
    face: NDArray[np.uint8], moves: Sequence[tuple[float, float, float, float]]
) -> NDArray[np.uint8]:
    """(moves, BITS / 8) the hashes of the face moved so."""
    side = len(face)
    smooth = cv2.GaussianBlur(face, (0, 0), side / _SIDE / 2)
    small = np.empty((len(moves), _SIDE, _SIDE), np.float32)
    for (x, y, scale, angle), seen in zip(moves, small, strict=True):
        step = scale * _INSIDE * side / _SIDE
        turn = step * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        middle = (side - 1) / 2 + np.array([x, y]) * side
        start = middle - turn @ np.full(2, (_SIDE - 1) / 2)
        seen[:] = cv2.warpAffine(
            smooth,
            np.hstack((turn, start[:, None])),
            (_SIDE, _SIDE),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
    waves = (_COSINES @ small @ _COSINES.T).reshape(len(moves), -1)
    return np.packbits(waves[:, _CHOSEN] > 0, axis=1)
