"""Chooses between OpenVINO on the CPU and PyTorch on an NVIDIA GPU.

Runtimes are imported once they are chosen: each is large, and PyTorch takes seconds.
"""

from pathlib import Path

from models.network import Runtime, RuntimeUnavailable

_NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")


def choose_runtime(device: str, cache: Path) -> Runtime:
    """Return the runtime for `device` (`auto`, `cpu` or `cuda`).

    cache: folder that keeps converted networks. Raise RuntimeUnavailable if `device` is `cuda` and
    PyTorch cannot use a GPU.
    """
    if device == "cuda" or (device == "auto" and _NVIDIA_DRIVER.exists()):
        import torch

        if torch.cuda.is_available():
            from models.pytorch import TorchRuntime

            return TorchRuntime("cuda")
        if device == "cuda":
            raise RuntimeUnavailable("DEVICE is cuda, but PyTorch finds no NVIDIA GPU it can use")
    from models.openvino import OpenVinoRuntime

    return OpenVinoRuntime(cache)
