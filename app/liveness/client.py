"""Ask the liveness service, which looks for a blink in 15 frames."""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from http import HTTPStatus
from threading import Lock, Thread
from typing import Any

import aiohttp
import pybase64
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential_jitter,
)

from app import traces
from app.liveness.breaker import Breaker
from app.stages import stage

_MAX_RESPONSE = 1 << 16  # bytes; a verdict takes about 20
_MAX_CONNECTIONS = 64  # further requests wait for a free connection
_RETRYABLE = (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)
_FIRST_RETRY_S = 0.05  # doubled for each further retry; up to 50 ms of jitter are added
# Stop calling after this many consecutive failures, and for this long.
_MAX_FAILURES = 5
_BREAKER_PAUSE_S = 2.0
_UNAVAILABLE = "the liveness service is unavailable, try again"
_UNCLEAR = "the liveness service gave no clear answer, try again"


class LivenessUnavailable(Exception):
    """The liveness service gave no verdict, so the login must be refused.

    again: whether a retry may help. cause: what happened, for operators.
    """

    def __init__(self, reason: str, again: bool = True, cause: str | None = None) -> None:
        super().__init__(reason)
        self.again = again
        self.cause = cause or reason


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Timeouts in seconds, and the number of retries.

    total_s: for a verdict, all attempts together. connect_s: for a connection. read_s: for the next
    byte. retries: further attempts if the service cannot be reached or is unavailable.
    """

    total_s: float
    connect_s: float
    read_s: float
    retries: int


class _Unavailable(Exception):
    """The service cannot be reached, or does not answer."""


class _Retryable(_Unavailable):
    """The service failed quickly, so a retry is cheap. It is also safe: a check changes nothing."""


class _Unclear(Exception):
    """The service answered, but not with a verdict."""


class LivenessClient:
    """Calls `POST {url}/liveness_check`, on a new connection each time. Thread-safe.

    Each connection carries one request, so a duplicate or late response cannot reach another login.
    All requests run in one event loop, in its own thread, where a deadline holds even against a
    service that sends one byte a second.

    url: None if no liveness service is set up; every request then raises.
    authorization: the value of that header, if the service needs one.
    """

    def __init__(
        self,
        url: str | None,
        timeouts: Timeouts,
        authorization: str | None = None,
    ) -> None:
        self._url = url
        self._timeouts = timeouts
        self._headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if authorization:
            self._headers["Authorization"] = authorization
        self._breaker = Breaker(_MAX_FAILURES, _BREAKER_PAUSE_S)
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_lock = Lock()

    @property
    def state(self) -> str:
        """Return `off` if no service is set up, `failing` while it is not called, else `ok`."""
        if self._url is None:
            return "off"
        return "failing" if self.is_blocked else "ok"

    @property
    def is_blocked(self) -> bool:
        """Whether the service is not called for now, because it keeps failing."""
        return self._breaker.is_open

    def ask(self, frames: Sequence[bytes]) -> "Future[bool]":
        """Ask whether the frames, 15 encoded pictures, show a living face.

        The future ends within `total_s`. If there is no verdict, LivenessUnavailable is raised,
        here or by the future.
        """
        if self._url is None:
            raise LivenessUnavailable(
                "no liveness service is set up (LIVENESS_SERVICE_URL)",
                again=False,
            )
        pictures = [pybase64.b64encode(frame).decode() for frame in frames]
        return self._run(self._verdict(json.dumps({"frames": pictures}).encode()))

    def close(self) -> None:
        """Stop the event loop. Futures that are still pending never end."""
        with self._loop_lock:
            loop, self._loop = self._loop, None
        if loop is None:
            return
        if self._session is not None:
            asyncio.run_coroutine_threadsafe(self._session.close(), loop).result()
        loop.call_soon_threadsafe(loop.stop)

    def _run(self, verdict: Coroutine[Any, Any, bool]) -> "Future[bool]":
        with self._loop_lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                Thread(target=self._loop.run_forever, name="liveness", daemon=True).start()
            return asyncio.run_coroutine_threadsafe(verdict, self._loop)

    async def _verdict(self, request: bytes) -> bool:
        if not self._breaker.allows():
            raise LivenessUnavailable(_UNAVAILABLE, cause="it is not called, as it keeps failing")
        try:
            with stage("liveness"):
                async with asyncio.timeout(self._timeouts.total_s):
                    verdict = await self._ask_with_retries(request)
        except (TimeoutError, _Unavailable) as error:
            self._breaker.note(reachable=False)
            cause = str(error) or "no answer in time"
            raise LivenessUnavailable(_UNAVAILABLE, cause=cause) from error
        except _Unclear as error:
            self._breaker.note(reachable=True)
            raise LivenessUnavailable(_UNCLEAR, cause=str(error)) from error
        self._breaker.note(reachable=True)
        return verdict

    async def _ask_with_retries(self, request: bytes) -> bool:
        attempts = AsyncRetrying(
            stop=stop_after_attempt(1 + self._timeouts.retries),
            wait=wait_exponential_jitter(multiplier=_FIRST_RETRY_S, jitter=_FIRST_RETRY_S),
            retry=retry_if_exception_type(_Retryable),
            reraise=True,
        )
        return await attempts(self._ask_once, request)

    async def _ask_once(self, request: bytes) -> bool:
        sent = asyncio.Event()
        headers = {"Content-Length": str(len(request))}
        if trace := traces.current():
            headers["traceparent"] = trace.traceparent
        try:
            async with self._client_session().post(
                f"{self._url}/liveness_check",
                data=_body(request, sent),
                headers=headers,
                allow_redirects=False,
            ) as response:
                if response.status in _RETRYABLE:
                    raise _Retryable(f"status {response.status}")
                if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                    raise _Unavailable(f"status {response.status}")
                if response.status != HTTPStatus.OK:
                    raise _Unclear(f"status {response.status}")
                if not sent.is_set():
                    raise _Unclear("a response before the whole request was sent")
                return _parse(await _read(response))
        except aiohttp.SocketTimeoutError as error:
            raise _Unavailable("it stopped answering") from error
        except (aiohttp.ClientError, OSError) as error:
            raise _Retryable(f"{type(error).__name__}: {error}") from error

    def _client_session(self) -> aiohttp.ClientSession:
        # Create it here: a session belongs to the event loop that it is created in.
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=_MAX_CONNECTIONS, force_close=True),
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


async def _body(request: bytes, sent: asyncio.Event) -> AsyncIterator[bytes]:
    """Yield the request in one piece. Set `sent` when the connection has accepted it."""
    yield request
    sent.set()


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = b""
    async for part in response.content.iter_any():
        body += part
        if len(body) > _MAX_RESPONSE:
            raise _Unclear(f"more than {_MAX_RESPONSE} bytes")
    return body


def _parse(body: bytes) -> bool:
    try:
        verdict = json.loads(body, object_pairs_hook=_object)["result"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _Unclear("no JSON with one result") from error
    if not isinstance(verdict, bool):
        raise _Unclear(f"a result that is {type(verdict).__name__}, not true or false")
    return verdict


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the members as a dict. Raises ValueError if two names differ only in case."""
    if len({name.casefold() for name, _ in members}) < len(members):
        raise ValueError("a member is named twice")
    return dict(members)
