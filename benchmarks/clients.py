"""Run clients that log in again and again: `python -m benchmarks.clients`.

Each client keeps its connection open and sends the next request when the last one is answered.
After a 503, it waits as long as Retry-After says and sends the same photo again.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path

_REQUEST = (
    "POST /api/find_match HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    "Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
)


@dataclass(slots=True)
class Tally:
    """What the clients observed.

    statuses: answers by status; `broken` counts connections that ended without an answer.
    answered_s: for each 200 in time, the seconds of that request. logged_in_s: for the same, the
    seconds since the first attempt with that photo, waits included. without_retry_after: 503
    answers without that header.
    """

    statuses: Counter[str] = field(default_factory=Counter)
    answered_s: list[float] = field(default_factory=list)
    logged_in_s: list[float] = field(default_factory=list)
    without_retry_after: int = 0


async def load(port: int, requests: list[bytes], clients: int, seconds: float) -> Tally:
    """Let clients log in for `seconds`."""
    tally = Tally()
    until = time.monotonic() + seconds

    async def client(photos: Iterator[bytes]) -> None:
        connection = await asyncio.open_connection("127.0.0.1", port)
        for photo in photos:
            began = time.monotonic()
            while (now := time.monotonic()) < until:
                try:
                    status, retry_after = await _ask(*connection, photo)
                except (asyncio.IncompleteReadError, ConnectionError):
                    tally.statuses["broken"] += 1
                    connection = await asyncio.open_connection("127.0.0.1", port)
                    continue
                tally.statuses[str(status)] += 1
                if status == 503:
                    tally.without_retry_after += retry_after is None
                    await asyncio.sleep(min(retry_after or 1, max(0, until - time.monotonic())))
                    continue
                if status == 200 and time.monotonic() < until:
                    tally.answered_s.append(time.monotonic() - now)
                    tally.logged_in_s.append(time.monotonic() - began)
                break
            else:
                break
        connection[1].close()

    starts = (islice(cycle(requests), number % len(requests), None) for number in range(clients))
    await asyncio.gather(*(client(start) for start in starts))
    return tally


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> tuple[int, float | None]:
    """Return the status and Retry-After in seconds."""
    writer.write(request)
    await writer.drain()
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    status, *lines = head.splitlines()
    headers = dict(line.split(": ", 1) for line in lines if ": " in line)
    await reader.readexactly(int(headers.get("content-length", 0)))
    retry_after = headers.get("retry-after")
    return int(status.split()[1]), None if retry_after is None else float(retry_after)


def main() -> None:
    """Print a Tally as JSON. Arguments: port, clients, seconds, files with bodies to send."""
    port, clients, seconds, *files = sys.argv[1:]
    requests = []
    for file in files:
        body = Path(file).read_bytes()
        requests.append(_REQUEST.format(length=len(body)).encode() + body)
    tally = asyncio.run(load(int(port), requests, int(clients), float(seconds)))
    json.dump(
        {
            "statuses": tally.statuses,
            "answered_s": tally.answered_s,
            "logged_in_s": tally.logged_in_s,
            "without_retry_after": tally.without_retry_after,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
