"""The client for asyncio. Each method is a call of `calls`, sent and answered."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from functools import wraps
from itertools import islice
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import httpx

from image_registration import calls
from image_registration.answers import Employee, Page
from image_registration.bulk import ABOUT_ONE, Outcome, ignore
from image_registration.call import Call
from image_registration.calls import NewEmployee, next_page
from image_registration.errors import ServiceError
from image_registration.sending import PATIENT, Attempts, Retry, options

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
    describe: Callable[P, Call[Page]],
) -> "Callable[Concatenate[AsyncClient, P], AsyncIterator[Employee]]":
    """Return a method of AsyncClient that goes on from page to page."""

    @wraps(describe)
    async def method(
        client: "AsyncClient", /, *args: P.args, **options: P.kwargs
    ) -> AsyncIterator[Employee]:
        call: Call[Page] | None = describe(*args, **options)
        while call:
            page = await client.send(call)
            for employee in page.employees:
                yield employee
            call = next_page(call, page)

    return method


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
    employees = _pages(calls.page)

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
            await asyncio.gather(*running, return_exceptions=True)

    async def send(self, call: Call[T]) -> T:
        """As `Client.send`."""
        request, attempts = call.request(self._http), Attempts(call.is_login, self._retry)
        while True:
            try:
                return call.result(await self._http.send(request))
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
