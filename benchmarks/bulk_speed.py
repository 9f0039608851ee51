"""The command that enrols many people against the recogniser alone, in turns of a few seconds."""

import resource
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from app.bootstrap import make_catalogue, make_recogniser
from app.limiter import Limiter
from app.recognition import NotAnImage, UnusableImage
from benchmarks.bulk_account import Recognised
from testbed.serving import only

# The command runs for 5 s, and the recogniser alone takes 100 photos: both take about as long.
TURN_S, PART = 5.0, 100


class Alone:
    """The recogniser without anything around it, with as many threads as the command has.

    recognised: so far. seconds, cpu_s: that all of them took.
    """

    def __init__(self, photos: Sequence[Path]) -> None:
        settings = only(log_level="error")
        model = make_catalogue(settings).get("dlib")
        threads = settings.max_in_flight
        self._recogniser = make_recogniser(settings, model, None, Limiter(threads, 60))
        self._pool = ThreadPoolExecutor(threads)
        list(self._pool.map(self._recognise, photos[:PART]))  # warm up
        self._photos = deque(photos)
        self.recognised: dict[Path, Recognised] = {}
        self.seconds = self.cpu_s = 0.0

    def go_on(self, count: int) -> float:
        """Recognise the next photos, and return how many seconds it took."""
        photos = [self._photos.popleft() for _ in range(min(count, len(self._photos)))]
        began, cpu_began = time.perf_counter(), time.process_time()
        found = list(self._pool.map(self._recognise, photos))
        took = time.perf_counter() - began
        self.cpu_s += time.process_time() - cpu_began
        self.seconds += took
        self.recognised |= zip(photos, found, strict=True)
        return took

    def _recognise(self, photo: Path) -> Recognised:
        try:
            return self._recogniser.for_enrolment(photo.read_bytes()).vector
        except (UnusableImage, NotAnImage) as error:
            return error.code


def in_turns(
    process: "subprocess.Popen[str]", alone: Alone, is_near_end: Callable[[], bool]
) -> float:
    """Stop the command every few seconds, while the recogniser alone works.

    So other load affects both alike. is_near_end: whether to let it end. Return the seconds for
    which it was stopped.
    """
    stopped_s = 0.0
    time.sleep(TURN_S)
    while not is_near_end() and process.poll() is None:
        process.send_signal(signal.SIGSTOP)
        try:
            stopped_s += alone.go_on(PART)
        finally:
            process.send_signal(signal.SIGCONT)
        time.sleep(TURN_S)
    return stopped_s


def cpu_of_ended() -> float:
    """Return the CPU seconds of all commands that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
