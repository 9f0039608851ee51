"""The synchronous client. Each method is a call of `calls`, sent and answered."""

import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import wraps
from itertools import islice
from typing import Concatenate, ParamSpec, Self, TypeVar

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


def _call(describe: Callable[P, Call[T]]) -> "Callable[Concatenate[Client, P], T]":
    """Return a method of Client."""

    @wraps(describe)
    def method(client: "Client", /, *args: P.args, **options: P.kwargs) -> T:
        return client.send(describe(*args, **options))

    return method


def _pages(
    describe: Callable[P, Call[Page]],
) -> "Callable[Concatenate[Client, P], Iterator[Employee]]":
    """Return a method of Client that goes on from page to page."""

    @wraps(describe)
    def method(client: "Client", /, *args: P.args, **options: P.kwargs) -> Iterator[Employee]:
        call: Call[Page] | None = describe(*args, **options)
        while call:
            page = client.send(call)
            yield from page.employees
            call = next_page(call, page)

    return method


class Client:
    """Calls the service at `url`, from any number of threads; a context manager.

    timeout_s: to connect, and of each silence of the service. verify: a context with one's own
    certificates, as httpx takes it.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        timeout_s: float = 30.0,
        retry: Retry = PATIENT,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        self._http = httpx.Client(**options(url, api_key, timeout_s, verify))
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

    def enrol_many(
        self,
        people: Iterable[NewEmployee],
        *,
        only_new: bool = False,
        concurrency: int = 4,
        progress: Callable[[int], object] = ignore,
    ) -> Iterator[Outcome]:
        """Enrol people, and yield what became of each, as it ends.

        Raises errors that would meet everybody, as of a wrong key. progress: called with the number
        of people done. only_new: as of `enrol`.
        """
        waiting, running, done = iter(people), set[Future[Outcome]](), 0

        def outcome(person: NewEmployee) -> Outcome:
            try:
                return Outcome(person, self.enrol(person, only_new=only_new), None)
            except ABOUT_ONE as error:
                return Outcome(person, None, error)

        with ThreadPoolExecutor(concurrency) as pool:
            while True:
                for person in islice(waiting, concurrency - len(running)):
                    running.add(pool.submit(outcome, person))
                if not running:
                    return
                ended, running = wait(running, return_when=FIRST_COMPLETED)
                for each in ended:
                    done += 1
                    progress(done)
                    yield each.result()

    def send(self, call: Call[T]) -> T:
        """Send a call until it is answered, and return its result."""
        request, attempts = call.request(self._http), Attempts(call.is_login, self._retry)
        while True:
            try:
                return call.result(self._http.send(request))
            except (httpx.RequestError, ServiceError) as error:
                pause = attempts.wait_after(error)
            time.sleep(pause)

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()
