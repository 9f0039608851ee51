"""Describe the machine that the figures were measured on."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
_PACKAGES = ("openvino", "torch", "facenet-pytorch", "dlib-bin", "numpy", "pillow", "gunicorn")


def describe() -> dict[str, Any]:
    """Return CPU, instruction sets, memory, versions, and how busy the machine is."""
    cpu = _colon_separated("/proc/cpuinfo")
    flags = set(cpu.get("flags", "").split())
    return {
        "cpu": cpu.get("model name", platform.machine()),
        "family_model": f"{cpu.get('cpu family', '?')}/{cpu.get('model', '?')}",
        "cores": len(os.sched_getaffinity(0)),
        "instructions": {flag: flag in flags for flag in _FLAGS},
        "memory_gb": round(int(_colon_separated("/proc/meminfo")["MemTotal"].split()[0]) / 1e6, 1),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in _PACKAGES},
        "load_average": os.getloadavg()[0],
    }


def _colon_separated(file: str) -> dict[str, str]:
    lines = (line.partition(":") for line in Path(file).read_text().splitlines())
    return {name.strip(): value.strip() for name, _, value in lines}
