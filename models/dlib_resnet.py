"""dlib's face descriptor network (ResNet-29, 128-d) as a PyTorch module.

The weights are Davis King's `dlib_face_recognition_resnet_model_v1` (CC0), read from dlib's own
serialisation, so dlib itself is not needed.
"""

import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from models.weights import WeightsUnavailable

# (filters, blocks) of each stage; the first block of each stage has stride 2, except in stage one.
_STAGES = ((32, 3), (64, 4), (128, 3), (256, 3), (256, 1))


class _Block(nn.Module):
    """Two 3×3 convolutions and a shortcut without parameters (He et al. 2016, option A)."""

    def __init__(self, inputs: int, filters: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.grow = max(filters - inputs, 0)
        self.conv_1 = nn.Conv2d(inputs, filters, 3, stride, padding=1 if stride == 1 else 0)
        self.conv_2 = nn.Conv2d(filters, filters, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv_2(F.relu(self.conv_1(x)))
        if self.stride == 2:
            x = F.avg_pool2d(x, 2)
        rows, columns = x.shape[2] - y.shape[2], x.shape[3] - y.shape[3]
        y = F.pad(y, (0, max(columns, 0), 0, max(rows, 0)))
        x = F.pad(x, (0, max(-columns, 0), 0, max(-rows, 0), 0, self.grow))
        return F.relu(x + y)


class DlibResNet(nn.Module):
    """(n, 3, 150, 150) float32 RGB in [0, 255] → (n, 128) float32, not of unit length."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor((122.782, 117.001, 104.298)).view(1, 3, 1, 1))
        self.stem = nn.Conv2d(3, 32, 7, 2)
        blocks, inputs = [], 32
        for stage, (filters, count) in enumerate(_STAGES):
            for index in range(count):
                stride = 2 if stage > 0 and index == 0 else 1
                blocks.append(_Block(inputs, filters, stride))
                inputs = filters
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(256, 128, bias=False)

    def forward(self, faces: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.stem((faces - self.mean) / 256)), 3, 2)
        y: Tensor = self.fc(self.blocks(x).mean((2, 3)))
        return y


def load(path: Path) -> DlibResNet:
    """Return the network with the weights of a dlib `.dat` file. Raise WeightsUnavailable."""
    network = DlibResNet()
    try:
        layers = _Layers(path.read_bytes())
        for convolution in (m for m in network.modules() if isinstance(m, nn.Conv2d)):
            layers.fill_convolution(convolution)
        layers.fill_linear(network.fc)
    except (ValueError, IndexError, OverflowError) as error:
        raise WeightsUnavailable(f"{path} does not hold dlib's face descriptor: {error}") from error
    return network.eval().requires_grad_(False)


class _Layers:
    """Reads layers in the order of the file, from input to output.

    An integer is a control byte (low four bits: number of bytes that follow; 0x80: negative), then
    little-endian bytes. A tensor is the version 2, four dimensions, then little-endian float32
    values. In dlib an affine layer follows each convolution; here it is folded into it.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @torch.no_grad()
    def fill_convolution(self, convolution: nn.Conv2d) -> None:
        filters, inputs, rows, columns = convolution.weight.shape
        stride, padding = convolution.stride[0], int(convolution.padding[0])
        self._seek(b"con_4")
        values = self._tensor()
        self._expect(filters, rows, columns, stride, stride, padding, padding)
        self._seek(b"affine_")
        gamma, beta = np.split(self._tensor(), 2)
        weight = values[:-filters].reshape(filters, inputs, rows, columns)
        bias = values[-filters:]
        convolution.weight.copy_(torch.from_numpy(weight * gamma[:, None, None, None]))
        assert convolution.bias is not None
        convolution.bias.copy_(torch.from_numpy(bias * gamma + beta))

    @torch.no_grad()
    def fill_linear(self, linear: nn.Linear) -> None:
        self._seek(b"fc_2")
        self._expect(linear.out_features, linear.in_features)
        weight = self._tensor().reshape(linear.in_features, linear.out_features)
        linear.weight.copy_(torch.from_numpy(weight.T.copy()))

    def _seek(self, tag: bytes) -> None:
        found = self._data.find(tag, self._at)
        if found < 0:
            raise ValueError(f"layer {tag.decode()} is missing")
        self._at = found + len(tag)

    def _expect(self, *expected: int) -> None:
        found = tuple(self._integer() for _ in expected)
        if found != expected:
            raise ValueError(f"a layer has parameters {found} instead of {expected}")

    def _integer(self) -> int:
        control = self._data[self._at]
        start, self._at = self._at + 1, self._at + 1 + (control & 0x0F)
        value = int.from_bytes(self._data[start : self._at], "little")
        return -value if control & 0x80 else value

    def _tensor(self) -> NDArray[np.float32]:
        if (version := self._integer()) != 2:
            raise ValueError(f"tensor version {version} is unknown")
        count = math.prod(self._integer() for _ in range(4))
        values = np.frombuffer(self._data, "<f4", count, self._at)
        self._at += values.nbytes
        return values
