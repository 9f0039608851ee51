"""Clients that send one request after the other, and forgive nothing."""

import http.client
import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from threading import Event, Lock, Thread

_TIMEOUT_S = 20.0


@dataclass(slots=True)
class Observed:
    """What the clients have observed so far.

    failures: what came instead of a 200, and how often.
    """

    answered: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    longest_s: float = 0.0


@contextmanager
def clients_at_work(
    port: int, probe: str, *, keep_alive: bool, clients: int = 8
) -> Iterator[Observed]:
    """Let each client log in once and list employees ten times, again and again, during the block.

    Listings are quick, so that many requests meet the moments that matter.

    probe: the photo, in base64. keep_alive: whether they keep their connections, until an answer
    says `Connection: close`. They repeat no request, as real clients may do.
    """
    observed, lock, over = Observed(), Lock(), Event()
    login = ("POST", "/api/find_match", json.dumps({"img_base64": probe}).encode())
    headers = {"Content-Type": "application/json"}
    if not keep_alive:
        headers["Connection"] = "close"

    def work() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
        for method, path, body in cycle([login, *[("GET", "/api/get_all/30/1", None)] * 10]):
            if over.is_set():
                break
            began, failure = time.monotonic(), ""
            try:
                connection.request(method, path, body, headers)
                response = connection.getresponse()
                text = response.read().decode()
                if response.status != 200:
                    failure = f"{response.status} {text}"
            except (OSError, http.client.HTTPException) as error:
                failure = repr(error)
                connection.close()
            with lock:
                observed.answered += not failure
                observed.failures += Counter([failure] if failure else [])
                observed.longest_s = max(observed.longest_s, time.monotonic() - began)
        connection.close()

    threads = [Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield observed
    finally:
        over.set()
        for thread in threads:
            thread.join()
