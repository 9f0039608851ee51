"""dlib's face descriptor network (ResNet-29, 128-d).

The weights are Davis King's `dlib_face_recognition_resnet_model_v1` (CC0), read from dlib's own
serialisation, so dlib itself is not needed.
"""

import math
from itertools import count

import numpy as np
from numpy.typing import NDArray

from models.layers import Layers, Tensor
from models.network import Tensors

SHA256 = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"  # of the file
SIDE = 150  # pixels
_MEAN = (122.782, 117.001, 104.298)
# Of each stage: filters, blocks, and how many rows its first block, which halves the size except in
# stage one, lacks in comparison with its shortcut.
_STAGES = ((32, 3, 0), (64, 4, 0), (128, 3, 0), (256, 3, 1), (256, 1, 1))


def define(net: Layers, pixels: Tensor) -> tuple[Tensor, ...]:
    """Define (n, 150, 150, 3) uint8 RGB → (n, 128), of unit length.

    The vector of the mirrored face is added, which averages out differences between the halves of
    a face.
    """
    x = net.with_mirrored(net.planes(pixels, _MEAN, 256))
    x = net.max_pool(net.relu(net.convolution(x, "convolution0", stride=2)), 3)
    names = (f"convolution{number}" for number in count(1))
    channels = 32
    for stage, (filters, blocks, missing) in enumerate(_STAGES):
        for block in range(blocks):
            # two 3×3 convolutions, and a shortcut without weights (He et al. 2016, option A)
            halves = stage > 0 and block == 0
            y = net.convolution(x, next(names), stride=2 if halves else 1, same=not halves)
            y = net.convolution(net.relu(y), next(names), same=True)
            if halves:
                y = net.pad(y, side=missing)
                x = net.pad(net.average_pool(x), channels=filters - channels)
            x = net.relu(x + y)
        channels = filters
    return (net.unit(net.sum_of_halves(net.dense(net.mean(x), "dense"))),)


def tensors(data: bytes) -> Tensors:
    """Return the weights in dlib's `.dat` file, whose SHA-256 was verified.

    The layers lie from input to output. An affine layer follows each convolution; it is folded
    into the convolution.
    """
    found: dict[str, NDArray[np.float32]] = {}
    file = _File(data)
    for number in range(1 + 2 * sum(blocks for _, blocks, _ in _STAGES)):
        file.seek(b"con_4")
        values = file.tensor()
        filters, rows, columns = (file.integer() for _ in range(3))
        file.seek(b"affine_")
        gamma, beta = np.split(file.tensor(), 2)
        weight = values[:-filters].reshape(filters, -1, rows, columns)
        found[f"convolution{number}.weight"] = weight * gamma[:, None, None, None]
        found[f"convolution{number}.bias"] = values[-filters:] * gamma + beta
    file.seek(b"fc_2")
    outputs, inputs = file.integer(), file.integer()
    found["dense.weight"] = np.ascontiguousarray(file.tensor().reshape(inputs, outputs).T)
    found["dense.bias"] = np.zeros(outputs, np.float32)
    return found


class _File:
    """Reads dlib's serialisation.

    An integer is a control byte (low four bits: number of bytes that follow; 0x80: negative), then
    little-endian bytes. A tensor is the version 2, four dimensions, then little-endian float32
    values.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def seek(self, tag: bytes) -> None:
        self._at = self._data.index(tag, self._at) + len(tag)

    def integer(self) -> int:
        control = self._data[self._at]
        start, self._at = self._at + 1, self._at + 1 + (control & 0x0F)
        value = int.from_bytes(self._data[start : self._at], "little")
        return -value if control & 0x80 else value

    def tensor(self) -> NDArray[np.float32]:
        _, *shape = (self.integer() for _ in range(5))
        values = np.frombuffer(self._data, "<f4", math.prod(shape), self._at)
        self._at += values.nbytes
        return values
