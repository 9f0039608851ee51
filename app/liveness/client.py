"""Ask the liveness service, which looks for a blink in 15 frames."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from http import HTTPStatus
from threading import Lock, Thread
from typing import Any

import aiohttp
import pybase64
import structlog
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential_jitter,
)

from app.liveness.breaker import Breaker

log = structlog.get_logger()

_LONGEST_ANSWER = 1 << 16  # bytes
_CONNECTIONS = 64
_NOT_NOW = (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)
_FIRST_PAUSE_S = 0.05
_FAILURES = 5
_PAUSE_S = 2.0
_AWAY = "the liveness service is away, try again"
_UNCLEAR = "the liveness service gave no clear answer, try again"


class LivenessUnavailable(Exception):
    """The liveness service did not decide, so nobody may be let in.

    again: whether asking again may help.
    """

    def __init__(self, reason: str, again: bool = True) -> None:
        super().__init__(reason)
        self.again = again


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long to wait, in seconds, and how often to retry.

    total_s: for a verdict, all attempts together. connect_s: for a connection. read_s: for the next
    byte. retries: further attempts, if the service answered at once that it cannot decide.
    """

    total_s: float = 5.0
    connect_s: float = 1.0
    read_s: float = 4.0
    retries: int = 2


class _Away(Exception):
    """The service cannot be reached, or does not answer."""


class _NotNow(_Away):
    """The same, but known at once, so that a retry is cheap. Asking changes nothing."""


class _Unclear(Exception):
    """The service answered, but not with a verdict."""


class LivenessClient:
    """Asks `POST {url}/liveness_check`, on a new connection for each question. Thread-safe.

    One connection carries one question, so an answer that is sent twice, or late, reaches nobody
    else. All questions run in one event loop, in a thread of its own: its deadline ends whatever
    the service is doing, even sending a byte a second.

    url: None if no liveness service is set up; every question then raises.
    authorization: the header of that name, if the service wants one.
    """

    def __init__(
        self,
        url: str | None,
        timeouts: Timeouts | None = None,
        authorization: str | None = None,
    ) -> None:
        self._url = url
        self._timeouts = timeouts or Timeouts()
        self._headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if authorization:
            self._headers["Authorization"] = authorization
        self._breaker = Breaker(_FAILURES, _PAUSE_S)
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._starting = Lock()

    def ask(self, frames: Sequence[bytes]) -> "Future[bool]":
        """Ask whether the frames, 15 encoded pictures, show a living face.

        The future ends within `total_s`. Raises LivenessUnavailable when in doubt, here or as the
        future's result.
        """
        if self._url is None:
            raise LivenessUnavailable(
                "no liveness service is set up (LIVENESS_SERVICE_URL)",
                again=False,
            )
        pictures = [pybase64.b64encode(frame).decode() for frame in frames]
        return self._run(self._verdict(json.dumps({"frames": pictures}).encode()))

    def close(self) -> None:
        """Stop the event loop; questions under way are never answered."""
        with self._starting:
            loop, self._loop = self._loop, None
        if loop is None:
            return
        if self._session is not None:
            asyncio.run_coroutine_threadsafe(self._session.close(), loop).result()
        loop.call_soon_threadsafe(loop.stop)

    def _run(self, question: Coroutine[Any, Any, bool]) -> "Future[bool]":
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                Thread(target=self._loop.run_forever, name="liveness", daemon=True).start()
            return asyncio.run_coroutine_threadsafe(question, self._loop)

    async def _verdict(self, question: bytes) -> bool:
        if not self._breaker.allows():
            raise LivenessUnavailable(_AWAY)
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._timeouts.total_s):
                verdict = await self._asked(question)
        except (TimeoutError, _Away) as error:
            self._breaker.note(reachable=False)
            raise _unavailable(_AWAY, str(error) or "no answer in time", began) from error
        except _Unclear as error:
            self._breaker.note(reachable=True)
            raise _unavailable(_UNCLEAR, str(error), began) from error
        self._breaker.note(reachable=True)
        return verdict

    async def _asked(self, question: bytes) -> bool:
        attempts = AsyncRetrying(
            stop=stop_after_attempt(1 + self._timeouts.retries),
            wait=wait_exponential_jitter(multiplier=_FIRST_PAUSE_S, jitter=_FIRST_PAUSE_S),
            retry=retry_if_exception_type(_NotNow),
            reraise=True,
        )
        return await attempts(self._attempt, question)

    async def _attempt(self, question: bytes) -> bool:
        sent = asyncio.Event()
        try:
            async with self._connections().post(
                f"{self._url}/liveness_check",
                data=_sending(question, sent),
                headers={"Content-Length": str(len(question))},
                allow_redirects=False,
            ) as answer:
                if answer.status in _NOT_NOW:
                    raise _NotNow(f"status {answer.status}")
                if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                    raise _Away(f"status {answer.status}")
                if answer.status != HTTPStatus.OK:
                    raise _Unclear(f"status {answer.status}")
                if not sent.is_set():
                    raise _Unclear("an answer before the question was asked")
                return _read(await _body(answer))
        except aiohttp.SocketTimeoutError as error:
            raise _Away("it stopped answering") from error
        except (aiohttp.ClientError, OSError) as error:
            raise _NotNow(f"{type(error).__name__}: {error}") from error

    def _connections(self) -> aiohttp.ClientSession:
        # A session belongs to the event loop that it is made in.
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=_CONNECTIONS, force_close=True),
                timeout=aiohttp.ClientTimeout(
                    total=None,
                    sock_connect=self._timeouts.connect_s,
                    sock_read=self._timeouts.read_s,
                ),
                headers=self._headers,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        return self._session


def _unavailable(sentence: str, reason: str, began: float) -> LivenessUnavailable:
    elapsed = round((time.monotonic() - began) * 1000)
    log.warning("no verdict from the liveness service", reason=reason, ms=elapsed)
    return LivenessUnavailable(sentence)


async def _sending(question: bytes, sent: asyncio.Event) -> AsyncIterator[bytes]:
    """Yield the question in one piece; set `sent` when the connection has taken it."""
    yield question
    sent.set()


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    body = b""
    async for part in answer.content.iter_any():
        body += part
        if len(body) > _LONGEST_ANSWER:
            raise _Unclear(f"more than {_LONGEST_ANSWER} bytes")
    return body


def _read(body: bytes) -> bool:
    try:
        verdict = json.loads(body, object_pairs_hook=_named_once)["result"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _Unclear("no JSON with one result") from error
    if not isinstance(verdict, bool):
        raise _Unclear(f"a result that is {type(verdict).__name__}, not true or false")
    return verdict


def _named_once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object. Raises ValueError if two names differ in nothing but case."""
    if len({name.casefold() for name, _ in members}) < len(members):
        raise ValueError("a member is named twice")
    return dict(members)
