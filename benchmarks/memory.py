"""Read the memory of a running service from /proc."""

from pathlib import Path


def memory_of(arbiter: int) -> dict[str, float]:
    """Return the megabytes of a service's worker, and of all its processes together.

    arbiter: the process that was started. rss_mb: resident memory of the worker, shared pages
    included. pss_mb: memory of all processes, with shared pages counted once.
    """
    workers = _children(arbiter)
    return {
        "rss_mb": max(_field(worker, "status", "VmRSS") for worker in workers),
        "peak_rss_mb": max(_field(worker, "status", "VmHWM") for worker in workers),
        "pss_mb": sum(_field(pid, "smaps_rollup", "Pss") for pid in (arbiter, *workers)),
    }


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _field(pid: int, file: str, name: str) -> float:
    for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1000
    raise LookupError(f"{name} is not in /proc/{pid}/{file}")
