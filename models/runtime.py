"""Runs networks behind one interface: OpenVINO on CPUs, PyTorch on NVIDIA GPUs."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from models.converted import Origin

if TYPE_CHECKING:
    from torch import nn


Pixels = NDArray[np.uint8]
Outputs = tuple[NDArray[np.float32], ...]


class RuntimeUnavailable(Exception):
    """The networks cannot run here; the message names the setting."""


class Network(Protocol):
    """A compiled network. Any number of threads may call it at once."""

    def __call__(self, pixels: Pixels) -> Outputs:
        """pixels: (n, rows, columns, 3) uint8 RGB → the outputs, float32, n rows each."""


@dataclass(frozen=True, slots=True)
class NetworkSource:
    """Where a network comes from.

    name: what it is called in logs and file names.
    fingerprint: changes whenever the weights do; names the converted network on disk.
    side: rows and columns of the input in pixels; None takes pictures of any size.
    embeds: the output are vectors of unit length, for which half the precision may do.
    build: makes the PyTorch module; called only when no converted network is at hand.
    origin: what the converted network must be; None if that is not known, so that the network is
        converted at each start.
    """

    name: str
    fingerprint: str
    side: int | None
    build: "Callable[[], nn.Module]"
    embeds: bool = False
    origin: Origin | None = None


class Runtime(Protocol):
    """Compiles networks for one device."""

    device: str

    def compile(self, source: NetworkSource) -> Network:
        """The network, ready to run."""


def choose_runtime(device: str, cache: Path) -> Runtime:
    """The runtime for `device` (`auto`, `cpu` or `cuda`); converted networks are kept in `cache`.

    Raises RuntimeUnavailable where `cuda` is asked for and absent.
    """
    from models.openvino import OpenVinoRuntime

    if device == "cpu" or (device == "auto" and not Path("/proc/driver/nvidia/version").exists()):
        return OpenVinoRuntime(cache)
    import torch

    if torch.cuda.is_available():
        return TorchRuntime("cuda")
    if device == "cuda":
        raise RuntimeUnavailable("DEVICE is cuda, but PyTorch finds no NVIDIA GPU it can use")
    return OpenVinoRuntime(cache)


class TorchRuntime:
    """PyTorch as it is; in half precision on a GPU."""

    def __init__(self, device: str) -> None:
        self.device = device

    def compile(self, source: NetworkSource) -> Network:
        import torch

        module = source.build().to(self.device)
        half = self.device == "cuda"

        def run(pixels: Pixels) -> Outputs:
            with torch.inference_mode(), torch.autocast(self.device, torch.float16, enabled=half):
                outputs = module(torch.from_numpy(pixels).to(self.device))
            if isinstance(outputs, torch.Tensor):
                outputs = (outputs,)
            return tuple(output.float().cpu().numpy() for output in outputs)

        return run


def fingerprint(*parts: bytes) -> str:
    """The SHA-256 of the parts, in hexadecimal."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
