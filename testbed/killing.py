"""Workers that end as in a crash."""

import os
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

from testbed.serving import RunningService


@contextmanager
def workers_being_killed(
    service: RunningService, pause_s: float, seed: int = 0
) -> Iterator[list[int]]:
    """Kill a random worker again and again while the block runs; gunicorn replaces each.

    The next one is killed once the last one's replacement is ready. Yields the process ids of the
    killed workers. The service must log at `info` or below.
    """
    over = Event()
    choose = random.Random(seed)
    dead: list[int] = []
    ready = service.times_ready

    def kill() -> None:
        while not over.wait(pause_s):
            if service.times_ready < ready + len(dead):
                continue
            with suppress(ProcessLookupError, IndexError):
                os.kill(worker := choose.choice(service.workers()), signal.SIGKILL)
                dead.append(worker)

    thread = Thread(target=kill)
    thread.start()
    try:
        yield dead
    finally:
        over.set()
        thread.join()
