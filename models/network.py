"""What runtimes and the model catalogue agree on: networks and where they come from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models import weights
from models.layers import Layers, Tensor
from models.onnx_description import OnnxDescription
from models.weights import WeightsUnavailable

Pixels = NDArray[np.uint8]
Outputs = tuple[NDArray[np.float32], ...]
Tensors = Mapping[str, NDArray[Any]]  # the weights of a network by their names, float32
Define = Callable[[Layers, Tensor], tuple[Tensor, ...]]  # takes pixels; returns the outputs


class RuntimeUnavailable(Exception):
    """Networks cannot run on this machine; the message names the setting to change."""


class Network(Protocol):
    """A network that is ready to run. Thread-safe."""

    def __call__(self, pixels: Pixels) -> Outputs:
        """Run the network on n pictures.

        pixels: (n, rows, columns, 3) uint8 RGB. Return float32 arrays with n rows each.
        """


@dataclass(frozen=True, slots=True)
class NetworkSource:
    """All that a runtime needs to make a network."""

    name: str
    side: int | None  # rows and columns of the input; None if it takes pictures of any size
    define: Define
    file: Path  # holds the weights
    weights_sha256: str  # of the file, in hexadecimal
    parse: Callable[[bytes], Tensors]  # the file's content → weights; raises ValueError("not …")
    embeds: bool = False  # whether it returns unit vectors, which may be as good in bfloat16

    def tensors(self) -> Tensors:
        """Return the weights. Raise WeightsUnavailable."""
        content = weights.read(self.file, self.weights_sha256)
        try:
            return self.parse(content)
        except ValueError as error:
            raise WeightsUnavailable(f"{self.file} is {error}") from error


@dataclass(frozen=True, slots=True)
class OnnxSource:
    """An embedding network of the operator's own, which OpenVINO reads."""

    path: Path  # of the description
    description: OnnxDescription
    content: bytes  # of the network's file, which was verified
    embeds = True

    @property
    def name(self) -> str:
        """The name of the model."""
        return self.description.name

    @property
    def side(self) -> int:
        """Rows and columns of the input."""
        return self.description.side

    @property
    def weights_sha256(self) -> str:
        """The SHA-256 of the network's file, in hexadecimal."""
        return self.description.sha256


class Runtime(Protocol):
    """Makes networks for one device."""

    device: str

    def compile(self, source: NetworkSource | OnnxSource) -> Network:
        """Return the network, ready to run. Raise RuntimeUnavailable, WeightsUnavailable."""
