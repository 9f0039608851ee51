"""Real limits of CPU and memory, as containers have them: cgroups of version 1, which take root."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_PERIOD_US = 100_000


@dataclass(frozen=True, slots=True)
class Cgroup:
    """Processes under one limit; `folders` are its places below the controllers."""

    folders: dict[str, Path]

    @property
    def wrapper(self) -> list[str]:
        """A command that runs the command after it within the limits."""
        joins = "; ".join(f"echo $$ > {each}/cgroup.procs" for each in self.folders.values())
        return ["sh", "-c", f'{joins}; exec "$@"', "sh"]

    @property
    def kills(self) -> int:
        """How many processes the kernel has ended for want of memory."""
        lines = (self.folders["memory"] / "memory.oom_control").read_text().splitlines()
        return int(dict(line.split() for line in lines)["oom_kill"])

    @property
    def peak_mb(self) -> float:
        """The most memory that was in use at once, the page cache included."""
        return int((self.folders["memory"] / "memory.max_usage_in_bytes").read_text()) / 1e6


@contextmanager
def limited(cpus: float, memory_mib: int) -> Iterator[Cgroup]:
    """Yield a cgroup; its processes must have ended when the block ends."""
    name = f"limited-{os.getpid()}-{time.monotonic_ns()}"
    limits = {
        "cpu/cpu.cfs_period_us": _PERIOD_US,
        "cpu/cpu.cfs_quota_us": int(cpus * _PERIOD_US),
        "memory/memory.limit_in_bytes": memory_mib << 20,
    }
    folders = {controller: _ROOT / controller / name for controller in ("cpu", "memory")}
    try:
        for folder in folders.values():
            folder.mkdir()
        for file, value in limits.items():
            controller, _, file_name = file.partition("/")
            (folders[controller] / file_name).write_text(str(value))
        yield Cgroup(folders)
    finally:
        for folder in folders.values():
            if folder.exists():
                folder.rmdir()
