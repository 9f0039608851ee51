"""Stop a process for a while, as if it hung."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def frozen(child: int) -> Iterator[None]:
    """A child process takes connections while the block runs, but answers nothing."""
    os.kill(child, signal.SIGSTOP)
    os.waitid(os.P_PID, child, os.WSTOPPED)  # until all of its threads have stopped
    try:
        yield
    finally:
        os.kill(child, signal.SIGCONT)
