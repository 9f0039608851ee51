"""Runs networks in PyTorch, for NVIDIA GPUs."""

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional as F

from models.layers import Numbers, Tensor
from models.network import (
    Network,
    NetworkSource,
    OnnxSource,
    Outputs,
    Pixels,
    RuntimeUnavailable,
    Tensors,
)


class TorchRuntime:
    """Runs networks in PyTorch, in half precision on a GPU."""

    def __init__(self, device: str) -> None:
        self.device = device

    def compile(self, source: NetworkSource | OnnxSource) -> Network:
        """Return the network, ready to run. Raise RuntimeUnavailable if it is an ONNX network."""
        if isinstance(source, OnnxSource):
            raise RuntimeUnavailable(
                f"the model {source.name} is an ONNX network, which runs on the CPU: set DEVICE=cpu"
            )
        layers = TorchLayers(source.tensors(), self.device)
        half = self.device == "cuda"

        def run(pixels: Pixels) -> Outputs:
            with torch.inference_mode(), torch.autocast(self.device, torch.float16, enabled=half):
                outputs = source.define(layers, torch.from_numpy(pixels).to(self.device))
            return tuple(output.float().cpu().numpy() for output in outputs)

        return run


class TorchLayers:
    """`models.layers.Layers`, computing at once."""

    def __init__(self, tensors: Tensors, device: str) -> None:
        self._tensors = {
            name: torch.from_numpy(np.array(tensor)).to(device) for name, tensor in tensors.items()
        }

    def planes(self, pixels: Tensor, mean: Numbers, scale: Numbers) -> Tensor:
        shift, factor = (torch.tensor(each, device=pixels.device) for each in (mean, scale))
        return ((pixels.float() - shift) / factor).permute(0, 3, 1, 2)

    def convolution(self, x: Tensor, name: str, stride: int = 1, same: bool = False) -> Tensor:
        weight, bias = self._tensors[f"{name}.weight"], self._tensors[f"{name}.bias"]
        padding = (weight.shape[2] // 2, weight.shape[3] // 2) if same else 0
        return F.conv2d(x, weight, bias, stride, padding)

    def dense(self, x: Tensor, name: str) -> Tensor:
        weight, bias = self._tensors[f"{name}.weight"], self._tensors[f"{name}.bias"]
        return F.linear(x.flatten(1), weight, bias)

    def relu(self, x: Tensor) -> Tensor:
        return F.relu(x)

    def prelu(self, x: Tensor, name: str) -> Tensor:
        return F.prelu(x, self._tensors[f"{name}.weight"])

    def max_pool(self, x: Tensor, size: int, ceil: bool = False) -> Tensor:
        return F.max_pool2d(x, size, 2, ceil_mode=ceil)

    def average_pool(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 2)

    def mean(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))

    def softmax(self, x: Tensor) -> Tensor:
        return F.softmax(x, 1)

    def pad(self, x: Tensor, channels: int = 0, side: int = 0) -> Tensor:
        return F.pad(x, (0, side, 0, side, 0, channels))

    def concat(self, parts: Sequence[Tensor]) -> Tensor:
        return torch.cat(tuple(parts), 1)

    def with_mirrored(self, x: Tensor) -> Tensor:
        return torch.cat((x, x.flip(3)))

    def sum_of_halves(self, x: Tensor) -> Tensor:
        one, other = x.chunk(2)
        return one + other

    def unit(self, x: Tensor) -> Tensor:
        return F.normalize(x, dim=1)
