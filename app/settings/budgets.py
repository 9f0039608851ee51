"""Defaults that depend on the CPUs and the memory that the service may use.

Memory is what a worker takes in the worst case (docs/security.md): 650 MB in any case, and 1.15 GB
more for pictures and bodies if these are as large as they may be by default.
"""

from app.machine import Share

_FIXED, _VARIABLE = 650e6, 1150e6  # bytes
_WITHOUT_SLOTS, _SLOT = 350e6, 150e6  # bytes of a worker, and of each photo that it processes
_MEGAPIXELS, _LEAST_MEGAPIXELS = 51.0, 12.5  # what large and usual phones take
_RECEIVED_MB, _LEAST_RECEIVED_MB = 96.0, 16.0  # a frame sequence takes less
_MOST_SLOTS = 16
_BODY_MB = 64.0
_THREADS_PER_SLOT = 8


def slots(share: Share, workers: int) -> int:
    """Return how many photos a worker processes at once: two for each CPU, or fewer."""
    most = max(2, min(_MOST_SLOTS, int(2 * share.cpus)))
    if share.memory is None:
        return most
    return max(1, min(most, int((share.memory / workers - _WITHOUT_SLOTS) / _SLOT)))


def threads(share: Share, workers: int) -> int:
    """Return how many requests a worker answers at once."""
    return _THREADS_PER_SLOT * slots(share, workers)


def megapixels(share: Share, workers: int) -> float:
    """Return the size of the largest picture."""
    return round(max(_LEAST_MEGAPIXELS, _part(share, workers) * _MEGAPIXELS), 1)


def received_mb(share: Share, workers: int) -> float:
    """Return the megabytes of bodies that a worker holds."""
    return round(max(_LEAST_RECEIVED_MB, _part(share, workers) * _RECEIVED_MB), 1)


def body_mb(share: Share, workers: int) -> float:
    """Return the megabytes of the largest body."""
    return min(_BODY_MB, received_mb(share, workers))


def _part(share: Share, workers: int) -> float:
    """Return the part of the usual budgets that the memory allows."""
    if share.memory is None:
        return 1.0
    return min(1.0, (share.memory / workers - _FIXED) / _VARIABLE)
