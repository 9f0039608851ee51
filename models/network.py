"""What runtimes, conversion and the model catalogue agree on: networks and where they come from."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

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
    """All that a runtime needs to make a network.

    name: appears in logs and file names.
    weights_sha256: SHA-256 of the file that holds the weights, in hexadecimal.
    side: rows and columns of the input in pixels; None if it takes pictures of any size.
    build: makes the PyTorch module. Importing PyTorch takes seconds, so call it only if needed.
    digest: what `models.digest` must compute for the network once it is converted for OpenVINO.
    tensors: reads the weights, by their names in the converted network, from a file that was
        verified. None if `digest` covers the weights. Raises ValueError, WeightsUnavailable.
    embeds: whether the outputs are vectors of unit length, which may be as good in bfloat16.
    """

    name: str
    weights_sha256: str
    side: int | None
    build: "Callable[[], nn.Module]"
    digest: str
    tensors: Callable[[], Tensors] | None = None
    embeds: bool = False


class Runtime(Protocol):
    """Makes networks for one device."""

    device: str

    def compile(self, source: NetworkSource) -> Network:
        """Return the network, ready to run."""


def sha256(*parts: bytes) -> str:
    """Return the SHA-256 of the concatenated parts, in hexadecimal."""
    return hashlib.sha256(b"".join(parts)).hexdigest()
