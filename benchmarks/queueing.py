"""Simulate pods under load: each processes a few logins at once, queues some, and refuses others.

The simulation knows two things about this service: its limits (it processes MAX_IN_FLIGHT logins at
once, and holds 7/8 of THREADS in all) and how much of a pod's time a login takes.
"""

import heapq
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

Balancer = Literal["random", "least busy"]

IN_FLIGHT, SLOTS = 4, 28  # with the default settings


@dataclass(frozen=True, slots=True)
class Work:
    """How long a single login keeps a whole pod busy: a lognormal distribution.

    mean_s: its mean. sigma: the standard deviation of its logarithm.
    """

    mean_s: float
    sigma: float

    def draw(self, generator: np.random.Generator) -> Iterator[float]:
        """Yield the work of one login after another, without end."""
        while True:
            drawn = generator.lognormal(-(self.sigma**2) / 2, self.sigma, 10_000)
            yield from (drawn * self.mean_s).tolist()


@dataclass(slots=True)
class _Login:
    arrived: float
    left: float  # work, in seconds of a pod


class _Pod:
    """Shares its time among the active logins; the others wait, first come, first served."""

    def __init__(self) -> None:
        self.active: list[_Login] = []
        self.queue: deque[_Login] = deque()
        self.version = 0
        self._now = 0.0

    def advance(self, now: float) -> None:
        if self.active:
            each = (now - self._now) / len(self.active)
            for login in self.active:
                login.left -= each
        self._now = now
        self.version += 1

    def admit(self, login: _Login) -> bool:
        if len(self.active) < IN_FLIGHT:
            self.active.append(login)
        elif self.busy() < SLOTS:
            self.queue.append(login)
        else:
            return False
        return True

    def finish(self) -> _Login:
        done = min(self.active, key=lambda login: login.left)
        self.active.remove(done)
        if self.queue:
            self.active.append(self.queue.popleft())
        return done

    def next_end(self) -> float:
        return self._now + min(login.left for login in self.active) * len(self.active)

    def busy(self) -> int:
        return len(self.active) + len(self.queue)


@dataclass(slots=True)
class Outcome:
    """answered_s: how long each answered login took. refused: how many got a 503."""

    answered_s: list[float] = field(default_factory=list)
    refused: int = 0

    def percentile_ms(self, percent: float) -> float:
        return float(np.percentile(self.answered_s, percent)) * 1e3 if self.answered_s else 0.0

    @property
    def refusals(self) -> float:
        """The share of all logins that was refused."""
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
        self._schedule(number)
        return admitted

    def finish(self, now: float, number: int) -> _Login:
        pod = self.pods[number]
        pod.advance(now)
        done = pod.finish()
        self._schedule(number)
        return done

    def _schedule(self, number: int) -> None:
        pod = self.pods[number]
        if pod.active:
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
    """Simulate people who arrive independently (Poisson) and do not retry after a 503.

    The first tenth of the time is not counted.
    """
    simulation = _Simulation(pods, work, seed)
    generator, events, outcome = simulation.generator, simulation.events, simulation.outcome
    now, warm_up = 0.0, seconds / 10
    arrival = generator.exponential(1 / logins_a_second)
    while now < seconds:
        if not events or arrival < events[0][0]:
            now = arrival
            arrival = now + generator.exponential(1 / logins_a_second)
            number = int(generator.integers(pods))
            if balancer == "least busy":
                number = min(range(pods), key=lambda n: simulation.pods[n].busy())
            if not simulation.arrive(now, number) and now > warm_up:
                outcome.refused += 1
            continue
        now, number, version, _ = heapq.heappop(events)
        if version == simulation.pods[number].version:
            done = simulation.finish(now, number)
            if done.arrived > warm_up:
                outcome.answered_s.append(now - done.arrived)
    return outcome


def closed_load(clients: int, work: Work, *, seconds: float, retry_after_s: float) -> Outcome:
    """Simulate clients of one pod that ask again, at once after an answer, later after a 503."""
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
