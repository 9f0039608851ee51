"""The share of the machine's CPUs and memory that this process's cgroups allow."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_CGROUPS, _OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
_UNLIMITED = 1 << 60  # bytes; cgroup v1 says "no limit" with a number above this


@dataclass(frozen=True, slots=True)
class Share:
    """What all workers together may use.

    cpus: may be a fraction. has_quota: whether a quota allows less than the CPUs that are there,
    which libraries do not notice. memory: bytes; None if nothing limits it.
    """

    cpus: float
    has_quota: bool = False
    memory: int | None = None


@cache
def share() -> Share:
    """Return this process's share, as it was at the first call."""
    return read(len(os.sched_getaffinity(0)))


def read(cpus: int, cgroups: Path = _CGROUPS, own: Path = _OWN) -> Share:
    """Return what the cgroups, of version 1 or 2, leave of `cpus`, and of the memory.

    cgroups: where they are mounted. own: the file that names those of this process.
    """
    quotas, limits = [float(cpus)], [_UNLIMITED]
    for folder in _folders(cgroups, own):
        quotas += _quotas(folder)
        limits += _limits(folder)
    quota, limit = min(quotas), min(limits)
    return Share(quota, quota < cpus, limit if limit < _UNLIMITED else None)


def _folders(cgroups: Path, own: Path) -> Iterator[Path]:
    """Yield the folders of the process's cgroups and of those around them.

    In a container, the path in `own` may be the host's, which does not exist here; the limits are
    then in the folder at the top.
    """
    for line in _text(own).splitlines():
        _, _, named = line.partition(":")
        controllers, _, path = named.partition(":")
        mounts = [cgroups / name for name in (controllers, *controllers.split(",")) if name]
        for mount in mounts or [cgroups, cgroups / "unified"]:
            yield (folder := mount)
            for part in Path(path).parts[1:]:
                if part == "..":
                    break
                yield (folder := folder / part)


def _quotas(folder: Path) -> Iterator[float]:
    """Yield the CPUs that a cgroup may use."""
    version_1 = (_text(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    for text in (_text(folder / "cpu.max"), " ".join(version_1)):
        match text.split():
            case [quota, period] if f"{quota}{period}".isdecimal():  # no limit: max, or -1
                yield max(int(quota) / max(int(period), 1), 0.01)


def _limits(folder: Path) -> Iterator[int]:
    """Yield the bytes that a cgroup may use."""
    for name in ("memory.max", "memory.limit_in_bytes"):
        text = _text(folder / name).strip()
        if text.isdecimal():  # no limit: max
            yield int(text)


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""
