"""The synchronous client. Each method is a call of `calls`, sent and answered."""

import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
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


def _call(describe: Callable[P, Call[T]]) -> "Callable[Concatenate[Client, P], T]":
    """Return a method of Client."""

    @wraps(describe)
    def method(client: "Client", /, *args: P.args, **options: P.kwargs) -> T:
        return client.send(describe(*args, **options))

    return method


def _pages(
    describe: Callable[P, Call[Paged]], items: Callable[[Paged], Iterable[T]]
) -> "Callable[Concatenate[Client, P], Iterator[T]]":
    """Return a method of Client that goes on from page to page. items: those of a page."""

    @wraps(describe)
    def method(client: "Client", /, *args: P.args, **options: P.kwargs) -> Iterator[T]:
        call: Call[Paged] | None = describe(*args, **options)
        while call:
            page = client.send(call)
            yield from items(page)
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
    employees = _pages(calls.page, lambda page: page.employees)
    open_liveness_session = _call(calls.open_liveness_session)
    me = _call(calls.me)
    system = _call(operator_calls.system)
    gallery = _call(operator_calls.gallery)
    audit_page = _call(operator_calls.audit_page)
    audit_entries = _pages(operator_calls.audit_page, lambda page: page.entries)

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

    def export_employees(
        self, file: str | PathLike[str], *, progress: Callable[[int], object] = ignore
    ) -> int:
        """Write everybody to a file that is not there before it is whole; return how many.

        It holds faces as vectors, and names; only the user can read it. progress: called with the
        number of bytes so far.
        """
        call = export_all()

        def attempt() -> int:
            with Receiving(Path(file)) as into:
                response = self._http.send(call.unread(self._http), stream=True)
                with closing(response):
                    if not response.is_success:
                        response.read()
                    call.result(response)
                    for piece in response.iter_bytes():
                        into.add(piece)
                        progress(into.received)
                return into.finish()

        return self._answered(call, attempt)

    def import_employees(
        self,
        file: str | PathLike[str],
        *,
        existing: Existing = "fail",
        timeout_s: float = 3600.0,
        progress: Callable[[int], object] = ignore,
    ) -> tuple[Imported, ...]:
        """Import everybody of an export, and return what became of each.

        Nothing is imported from a file that is not whole (InvalidRequest). existing: what to do
        with ids that are stored with another enrolment. timeout_s: of the service's silence, while
        it imports. progress: called with the number of bytes sent.
        """
        call = import_all(Path(file), existing, timeout_s)

        def attempt() -> tuple[Imported, ...]:
            body = pieces(Path(file), progress)
            return call.result(self._http.send(call.unread(self._http, body)))

        return self._answered(call, attempt)

    def send(self, call: Call[T]) -> T:
        """Send a call until it is answered, and return its result."""
        request = call.request(self._http)
        return self._answered(call, lambda: call.result(self._http.send(request)))

    def _answered(self, call: Call[Any], attempt: Callable[[], T]) -> T:
        """Try until there is an answer, and return it. attempt: sends the call once."""
        attempts = Attempts(call.is_login, self._retry)
        while True:
            try:
                return attempt()
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
