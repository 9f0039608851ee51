"""A simulation of pods under load: each shares its cores among few logins, more wait, more yet go.

It knows nothing of this service but its limits (MAX_IN_FLIGHT are looked at, seven eighths of
THREADS are there at all, the next one is refused) and how much of a pod's time a login takes.
"""

import heapq
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

Balancer = Literal["random", "least busy"]

IN_FLIGHT, PLACES = 4, 28  # with the default settings


@dataclass(frozen=True, slots=True)
class Work:
    """How long a login would keep a whole pod busy, alone: a lognormal distribution.

    mean_s: its mean. sigma: the standard deviation of its logarithm.
    """

    mean_s: float
    sigma: float

    def draw(self, generator: np.random.Generator) -> Iterator[float]:
        """One login's work after the other, for ever."""
        while True:
            drawn = generator.lognormal(-(self.sigma**2) / 2, self.sigma, 10_000)
            yield from (drawn * self.mean_s).tolist()


@dataclass(slots=True)
class _Login:
    arrived: float
    left: float  # work, in seconds of a pod


class _Pod:
    """Processor sharing among those inside; first come, first served among those who wait."""

    def __init__(self) -> None:
        self.inside: list[_Login] = []
        self.queue: deque[_Login] = deque()
        self.version = 0
        self._now = 0.0

    def advance(self, now: float) -> None:
        if self.inside:
            each = (now - self._now) / len(self.inside)
            for login in self.inside:
                login.left -= each
        self._now = now
        self.version += 1

    def admit(self, login: _Login) -> bool:
        if len(self.inside) < IN_FLIGHT:
            self.inside.append(login)
        elif self.busy() < PLACES:
            self.queue.append(login)
        else:
            return False
        return True

    def finish(self) -> _Login:
        done = min(self.inside, key=lambda login: login.left)
        self.inside.remove(done)
        if self.queue:
            self.inside.append(self.queue.popleft())
        return done

    def next_end(self) -> float:
        return self._now + min(login.left for login in self.inside) * len(self.inside)

    def busy(self) -> int:
        return len(self.inside) + len(self.queue)


@dataclass(slots=True)
class Outcome:
    """answered_s: how long each answered login took. refused: how many got a 503."""

    answered_s: list[float] = field(default_factory=list)
    refused: int = 0

    def percentile_ms(self, percent: float) -> float:
        return float(np.percentile(self.answered_s, percent)) * 1e3 if self.answered_s else 0.0

    @property
    def refusals(self) -> float:
        """The part of all logins that was refused."""
        return self.refused / max(1, self.refused + len(self.answered_s))


class _Simulation:
    def __init__(self, pods: int, work: Work, seed: int) -> None:
        self.generator = np.random.default_rng(seed)
        self._work = work.draw(self.generator)
        self.pods = [_Pod() for _ in range(pods)]
        self.events: list[tuple[float, int, int, int]] = []  # time, kind or pod, version, client
        self.outcome = Outcome()

    def arrive(self, now: float, number: int) -> bool:
        pod = self.pods[number]
        pod.advance(now)
        admitted = pod.admit(_Login(now, next(self._work)))
        self._plan(number)
        return admitted

    def finish(self, now: float, number: int) -> _Login:
        pod = self.pods[number]
        pod.advance(now)
        done = pod.finish()
        self._plan(number)
        return done

    def _plan(self, number: int) -> None:
        pod = self.pods[number]
        if pod.inside:
            heapq.heappush(self.events, (pod.next_end(), number, pod.version, 0))


def open_load(
    pods: int,
    logins_a_second: float,
    work: Work,
    *,
    balancer: Balancer = "random",
    seconds: float = 60.0,
    seed: int = 0,
) -> Outcome:
    """People who come whenever they come (Poisson), and do not come back after a 503.

    The first tenth of the time is not counted.
    """
    simulation = _Simulation(pods, work, seed)
    generator, events, outcome = simulation.generator, simulation.events, simulation.outcome
    now, warm = 0.0, seconds / 10
    arrival = generator.exponential(1 / logins_a_second)
    while now < seconds:
        if not events or arrival < events[0][0]:
            now = arrival
            arrival = now + generator.exponential(1 / logins_a_second)
            number = int(generator.integers(pods))
            if balancer == "least busy":
                number = min(range(pods), key=lambda n: simulation.pods[n].busy())
            if not simulation.arrive(now, number) and now > warm:
                outcome.refused += 1
            continue
        now, number, version, _ = heapq.heappop(events)
        if version == simulation.pods[number].version:
            done = simulation.finish(now, number)
            if done.arrived > warm:
                outcome.answered_s.append(now - done.arrived)
    return outcome


def closed_load(clients: int, work: Work, *, seconds: float, retry_after_s: float) -> Outcome:
    """Clients of one pod who ask again at once after an answer, and later after a 503."""
    simulation = _Simulation(1, work, seed=0)
    events, outcome = simulation.events, simulation.outcome
    asking = [(0.0, client) for client in range(clients)]
    now = 0.0
    while now < seconds:
        if asking and (not events or asking[0][0] <= events[0][0]):
            now, client = heapq.heappop(asking)
            if not simulation.arrive(now, 0):
                outcome.refused += 1
                heapq.heappush(asking, (now + retry_after_s, client))
            continue
        now, _, version, _ = heapq.heappop(events)
        if version == simulation.pods[0].version:
            outcome.answered_s.append(now - simulation.finish(now, 0).arrived)
            heapq.heappush(asking, (now, clients))
    return outcome
