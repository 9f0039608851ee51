"""Chooses between OpenVINO on the CPU and PyTorch on an NVIDIA GPU.

Runtimes are imported once they are chosen: each is large, and PyTorch takes seconds.
"""

from pathlib import Path

import structlog

from models.network import Runtime, RuntimeUnavailable

log = structlog.get_logger()

_NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")


def choose_runtime(device: str, threads: int | None = None) -> Runtime:
    """Return the runtime for `device` (`auto`, `cpu` or `cuda`).

    threads: how many CPUs to use; None for all.

    Raise RuntimeUnavailable if `device` is `cuda` and PyTorch is missing or cannot use a GPU.
    """
    if device == "cuda" or (device == "auto" and _NVIDIA_DRIVER.exists()):
        cause = _why_not_cuda()
        if cause is None:
            from models.pytorch import TorchRuntime

            return TorchRuntime("cuda")
        if device == "cuda":
            raise RuntimeUnavailable(f"DEVICE is cuda, but {cause}")
        log.warning("using the CPU, although there is an NVIDIA driver", cause=cause)
    from models.openvino import OpenVinoRuntime

    return OpenVinoRuntime(threads=threads)


def _why_not_cuda() -> str | None:
    """Return why PyTorch cannot use an NVIDIA GPU; None if it can."""
    try:
        import torch
    except ImportError:
        return "PyTorch is not installed: pip install --no-deps -r requirements-cuda.lock"
    return None if torch.cuda.is_available() else "PyTorch finds no NVIDIA GPU it can use"
