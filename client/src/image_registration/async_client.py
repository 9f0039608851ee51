"""The client for asyncio. Each method is a call of `calls`, sent and answered."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator
from functools import wraps
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import httpx

from image_registration import calls, operator_calls
from image_registration.bulk import ABOUT_ONE, Outcome, ignore
from image_registration.call import Call
from image_registration.calls import NewEmployee, Paged, next_page
from image_registration.errors import ServiceError
from image_registration.operator_calls import export_all, import_all
from image_registration.operators import Existing, Imported
from image_registration.sending import PATIENT, Attempts, Retry, options
from image_registration.transfer import Receiving, pieces

T = TypeVar("T")
P = ParamSpec("P")


def _call(
    describe: Callable[P, Call[T]],
) -> "Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]":
    """Return a method of AsyncClient. A thread reads and encodes photos."""

    @wraps(describe)
    async def method(client: "AsyncClient", /, *args: P.args, **options: P.kwargs) -> T:
        return await client.send(await asyncio.to_thread(describe, *args, **options))

    return method


def _pages(
    describe: Callable[P, Call[Paged]], items: Callable[[Paged], Iterable[T]]
) -> "Callable[Concatenate[AsyncClient, P], AsyncIterator[T]]":
    """Return a method of AsyncClient that goes on from page to page. items: those of a page."""

    @wraps(describe)
    async def method(
        client: "AsyncClient", /, *args: P.args, **options: P.kwargs
    ) -> AsyncIterator[T]:
        call: Call[Paged] | None = describe(*args, **options)
        while call:
            page = await client.send(call)
            for item in items(page):
                yield item
            call = next_page(call, page)

    return method


async def _in_threads(items: Iterator[T]) -> AsyncIterator[T]:
    """Yield the items, each of which a thread makes."""
    while (item := await asyncio.to_thread(next, items, None)) is not None:
        yield item


class AsyncClient:
    """The same as Client, for asyncio: methods are awaited."""

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        timeout_s: float = 30.0,
        retry: Retry = PATIENT,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        self._http = httpx.AsyncClient(**options(url, api_key, timeout_s, verify))
        self._retry = retry

    identify = _call(calls.identify)
    verify = _call(calls.verify)
    candidates = _call(calls.candidates)
    compare = _call(calls.compare)
    faces = _call(calls.faces)
    feature_vectors = _call(calls.feature_vectors)
    enrol = _call(calls.enrol)
    get_employee = _call(calls.get_employee)
    change_employee = _call(calls.change_employee)
    delete_employee = _call(calls.delete_employee)
    add_sample = _call(calls.add_sample)
    delete_sample = _call(calls.delete_sample)
    page = _call(calls.page)
    employees = _pages(calls.page, lambda page: page.employees)
    open_liveness_session = _call(calls.open_liveness_session)
    me = _call(calls.me)
    system = _call(operator_calls.system)
    gallery = _call(operator_calls.gallery)
    audit_page = _call(operator_calls.audit_page)
    audit_entries = _pages(operator_calls.audit_page, lambda page: page.entries)

    async def enrol_many(
        self,
        people: Iterable[NewEmployee],
        *,
        only_new: bool = False,
        concurrency: int = 4,
        progress: Callable[[int], object] = ignore,
    ) -> AsyncIterator[Outcome]:
        """As `Client.enrol_many`."""
        waiting, running, done = iter(people), set[asyncio.Task[Outcome]](), 0
        ended = running

        async def outcome(person: NewEmployee) -> Outcome:
            try:
                return Outcome(person, await self.enrol(person, only_new=only_new), None)
            except ABOUT_ONE as error:
                return Outcome(person, None, error)

        try:
            while True:
                for person in islice(waiting, concurrency - len(running)):
                    running.add(asyncio.create_task(outcome(person)))
                if not running:
                    return
                ended, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for each in ended:
                    done += 1
                    progress(done)
                    yield each.result()
        finally:
            for task in running:
                task.cancel()
            # Several may have ended with the same error, and asyncio logs those that nobody awaits.
            await asyncio.gather(*running, *ended, return_exceptions=True)

    async def export_employees(
        self, file: str | PathLike[str], *, progress: Callable[[int], object] = ignore
    ) -> int:
        """As `Client.export_employees`."""
        call = export_all()

        async def attempt() -> int:
            with Receiving(Path(file)) as into:
                response = await self._http.send(call.unread(self._http), stream=True)
                try:
                    if not response.is_success:
                        await response.aread()
                    call.result(response)
                    async for piece in response.aiter_bytes():
                        await asyncio.to_thread(into.add, piece)
                        progress(into.received)
                finally:
                    await response.aclose()
                return into.finish()

        return await self._answered(call, attempt)

    async def import_employees(
        self,
        file: str | PathLike[str],
        *,
        existing: Existing = "fail",
        timeout_s: float = 3600.0,
        progress: Callable[[int], object] = ignore,
    ) -> tuple[Imported, ...]:
        """As `Client.import_employees`."""
        call = import_all(Path(file), existing, timeout_s)

        async def attempt() -> tuple[Imported, ...]:
            body = _in_threads(pieces(Path(file), progress))
            return call.result(await self._http.send(call.unread(self._http, body)))

        return await self._answered(call, attempt)

    async def send(self, call: Call[T]) -> T:
        """As `Client.send`."""
        request = call.request(self._http)

        async def attempt() -> T:
            return call.result(await self._http.send(request))

        return await self._answered(call, attempt)

    async def _answered(self, call: Call[Any], attempt: Callable[[], Awaitable[T]]) -> T:
        """Try until there is an answer, and return it. attempt: sends the call once."""
        attempts = Attempts(call.is_login, self._retry)
        while True:
            try:
                return await attempt()
            except (httpx.RequestError, ServiceError) as error:
                pause = attempts.wait_after(error)
            await asyncio.sleep(pause)

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.close()
