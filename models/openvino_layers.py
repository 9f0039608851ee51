"""Networks as graphs of OpenVINO's operations."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import openvino
from openvino import opset1
from openvino import opset13 as ops

from models.layers import Numbers, Tensor
from models.network import NetworkSource, Tensors

_LEAST_LENGTH = 1e-12  # as PyTorch has it; without one, a vector of zeros would become NaN


def graph(source: NetworkSource) -> Any:  # noqa: ANN401  OpenVINO's stubs are incomplete
    """Return the network as an openvino.Model that takes any number of pictures."""
    side = source.side or -1
    pixels = ops.parameter([-1, side, side, 3], np.uint8)
    outputs = source.define(OpenVinoLayers(source.tensors()), pixels)
    return openvino.Model(list(outputs), [pixels], source.name)


class OpenVinoLayers:
    """`models.layers.Layers`, adding nodes to a graph."""

    def __init__(self, tensors: Tensors) -> None:
        self._tensors = tensors

    def _constant(self, name: str, *shape: int) -> Tensor:
        tensor = self._tensors[name]
        return ops.constant(tensor.reshape(shape) if shape else tensor)

    def planes(self, pixels: Tensor, mean: Numbers, scale: Numbers) -> Tensor:
        x = ops.convert(ops.transpose(pixels, np.array([0, 3, 1, 2])), "f32")
        shift, factor = (np.array(each, np.float32).reshape(-1, 1, 1) for each in (mean, scale))
        return (x - shift) / factor

    def convolution(self, x: Tensor, name: str, stride: int = 1, same: bool = False) -> Tensor:
        weight = self._constant(f"{name}.weight")
        padding = [size // 2 if same else 0 for size in weight.shape[2:]]
        x = ops.convolution(x, weight, [stride, stride], padding, padding, [1, 1])
        return x + self._constant(f"{name}.bias", 1, -1, 1, 1)

    def dense(self, x: Tensor, name: str) -> Tensor:
        weight = self._constant(f"{name}.weight")
        x = ops.reshape(x, np.array([-1, weight.shape[1]]), special_zero=False)
        return ops.matmul(x, weight, False, True) + self._constant(f"{name}.bias", 1, -1)

    def relu(self, x: Tensor) -> Tensor:
        return ops.relu(x)

    def prelu(self, x: Tensor, name: str) -> Tensor:
        return ops.prelu(x, self._constant(f"{name}.weight"))

    def max_pool(self, x: Tensor, size: int, ceil: bool = False) -> Tensor:
        rounding = "ceil" if ceil else "floor"
        return opset1.max_pool(x, [2, 2], [0, 0], [0, 0], [size, size], rounding)

    def average_pool(self, x: Tensor) -> Tensor:
        return ops.avg_pool(x, [2, 2], [0, 0], [0, 0], [2, 2], exclude_pad=True)

    def mean(self, x: Tensor) -> Tensor:
        return ops.reduce_mean(x, np.array([2, 3]))

    def softmax(self, x: Tensor) -> Tensor:
        return ops.softmax(x, 1)

    def pad(self, x: Tensor, channels: int = 0, side: int = 0) -> Tensor:
        return ops.pad(x, np.zeros(4, int), np.array([0, channels, side, side]), "constant")

    def concat(self, parts: Sequence[Tensor]) -> Tensor:
        return ops.concat(list(parts), 1)

    def with_mirrored(self, x: Tensor) -> Tensor:
        columns = x.get_output_partial_shape(0)[3].get_length()
        backwards = np.arange(columns)[::-1].copy()
        return ops.concat([x, ops.gather(x, backwards, np.int64(3))], 0)

    def sum_of_halves(self, x: Tensor) -> Tensor:
        one, other = ops.split(x, np.int64(0), 2).outputs()
        return ops.add(one, other)

    def unit(self, x: Tensor) -> Tensor:
        return ops.normalize_l2(x, np.array([1]), _LEAST_LENGTH, "max")
