"""What runtimes, conversion and the model catalogue agree on: networks and where they come from."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models.onnx_description import OnnxDescription

if TYPE_CHECKING:
    from torch import nn

Pixels = NDArray[np.uint8]
Outputs = tuple[NDArray[np.float32], ...]
Tensors = Mapping[str, NDArray[Any]]


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

    name: str  # appears in logs and file names
    weights_sha256: str  # of the file that holds the weights, in hexadecimal
    side: int | None  # rows and columns of the input; None if it takes pictures of any size
    build: "Callable[[], nn.Module]"  # importing PyTorch takes seconds, so call it only if needed
    digest: str  # what `models.digest` must compute once the network is converted for OpenVINO
    # Reads the weights, by their names in the converted network, from a file that was verified.
    # None if `digest` covers the weights. Raises ValueError, WeightsUnavailable.
    tensors: Callable[[], Tensors] | None = None
    embeds: bool = False  # whether it returns unit vectors, which may be as good in bfloat16


@dataclass(frozen=True, slots=True)
class OnnxSource:
    """An embedding network of the operator's own, which OpenVINO reads without PyTorch."""

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


def sha256(*parts: bytes) -> str:
    """Return the SHA-256 of the concatenated parts, in hexadecimal."""
    return hashlib.sha256(b"".join(parts)).hexdigest()
