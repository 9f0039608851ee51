"""Brings the parts up, and says whether they are."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from threading import Event, Thread
from typing import Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from app.gallery import IndexUnavailable
from app.recognition.recogniser import Recogniser
from app.storage import Employee, EmployeeStore, StoreUnavailable, UnknownSeal
from app.usecases.gallery import GalleryLoading
from models.catalogue import FaceModel, ModelUnavailable

log = structlog.get_logger()

_RETRY_S = 2.0
_FOLLOW_S = 5.0


class Gallery(Protocol):
    """Finds the nearest employee. `gallery` keeps it in memory, `shared_gallery` in Milvus.

    All methods may raise StoreUnavailable, IndexUnavailable and GalleryLoading.
    """

    def __len__(self) -> int:
        """About how many employees can be found."""

    def load(self) -> None:
        """Get ready to find them."""

    def follow(self) -> None:
        """Bring what has changed in the store into the index."""

    def check_ready(self) -> None:
        """Return when a login can be answered."""

    def nearest(self, probe: NDArray[np.float32]) -> tuple[Employee, float] | None:
        """The nearest employee and their distance, None in an empty gallery."""

    def writing(self, employee_id: int) -> AbstractContextManager[None]:
        """What the write of a record to the store happens in; left before it is acknowledged."""


class NotReady(Exception):
    """The service cannot answer yet; the message says what it waits for.

    cause: the same for an operator, with the names of settings.
    """

    def __init__(self, sentence: str, cause: str | None = None) -> None:
        super().__init__(sentence)
        self.cause = cause or sentence


_AWAY: dict[type[Exception], str] = {
    StoreUnavailable: "the database is away",
    IndexUnavailable: "the index is away",
    ModelUnavailable: "the face model is not there",
    UnknownSeal: "what is stored cannot be read",
}


class Service:
    """The parts that enrolment and login need, from the moment they are there.

    The model depends on what the store holds, so nothing can be decided while the store is away:
    then the service comes up in the background as soon as the store answers.

    threshold: α; a probe matches when its distance is below it.
    choose: which model to run, given how many employees the store holds for each.
    build: makes the recogniser of a model. make_gallery: makes the gallery of a model.
    """

    def __init__(
        self,
        store: EmployeeStore,
        threshold: float,
        choose: Callable[[dict[str, int]], FaceModel],
        build: Callable[[FaceModel], Recogniser],
        make_gallery: Callable[[FaceModel], Gallery],
    ) -> None:
        self.store = store
        self.threshold = threshold
        self._choose = choose
        self._build = build
        self._make_gallery = make_gallery
        self._recogniser: Recogniser | None = None
        self._gallery: Gallery | None = None
        self._waiting_for: tuple[str, str | None] = ("the service is starting", None)
        self._ready = Event()
        self._stop = Event()

    def start(self) -> None:
        """Load the model now, if the store answers, and the gallery in the background.

        Raises ModelUnavailable, UnknownSeal: like this the service can never be ready.
        """
        try:
            self._load_model()
        except StoreUnavailable as error:
            self._waits(error)
        Thread(target=self._come_up, name="come-up", daemon=True).start()

    def stop(self) -> None:
        """Give up coming up, and close the store."""
        self._stop.set()
        self.store.close()

    def wait(self, timeout_s: float) -> bool:
        """Wait until the service is ready; False when it is not in time."""
        return self._ready.wait(timeout_s)

    @property
    def recogniser(self) -> Recogniser:
        """Raises NotReady."""
        if self._recogniser is None:
            raise NotReady(*self._waiting_for)
        return self._recogniser

    @property
    def gallery(self) -> Gallery:
        """Raises NotReady."""
        if self._gallery is None:
            raise NotReady(*self._waiting_for)
        return self._gallery

    def unloaded_gallery(self) -> Gallery:
        """Another gallery of the model that would run; for commands.

        Raises StoreUnavailable, ModelUnavailable, UnknownSeal.
        """
        self.store.check_seals()
        return self._make_gallery(self._choose(self.store.models()))

    def check(self) -> None:
        """Return when a login can be answered. Raises NotReady, and what the gallery raises."""
        _ = self.recogniser
        self.gallery.check_ready()

    def writing(self, employee_id: int) -> AbstractContextManager[None]:
        """What the write of a record to the store happens in."""
        # without a gallery only removals come this far; whoever is removed is found nowhere
        return nullcontext() if self._gallery is None else self._gallery.writing(employee_id)

    def check_model(self) -> None:
        """Raise NotReady where the stored vectors ask for another model than this process runs.

        Two processes that start on an empty store may choose differently, if only one of them can
        fetch the weights; the first enrolment then decides.
        """
        if len(self.gallery) or not (stored := self.store.models()):
            return
        with suppress(ModelUnavailable):
            if self._choose(stored).name == self.recogniser.model.name:
                return
        raise NotReady("other processes chose another face model, restart this one")

    def _come_up(self) -> None:
        while not self._stop.is_set():
            try:
                self._load_gallery(self._recogniser or self._load_model())
                break
            except Exception as error:  # a database or network that is coming back, for instance
                self._waits(error)
            self._stop.wait(_RETRY_S)
        while not self._stop.wait(_FOLLOW_S):
            with suppress(StoreUnavailable, IndexUnavailable, GalleryLoading):
                self.gallery.follow()  # so that logins after a quiet time find little to catch up

    def _load_model(self) -> Recogniser:
        self.store.check_seals()
        self._recogniser = self._build(self._choose(self.store.models()))
        return self._recogniser

    def _load_gallery(self, recogniser: Recogniser) -> None:
        model = recogniser.model
        self._waiting_for = ("the gallery is being loaded", None)
        gallery = self._make_gallery(recogniser.model)
        gallery.load()
        self._gallery = gallery
        self._ready.set()
        log.info(
            "ready",
            model=model.name,
            store=self.store.address,
            threshold=self.threshold,
            employees=len(gallery),
        )

    def _waits(self, error: Exception) -> None:
        away = next((_AWAY[kind] for kind in _AWAY if isinstance(error, kind)), None)
        self._waiting_for = (away, str(error)) if away else ("something failed, see the log", None)
        log.error("not ready", reason=str(error), exc_info=None if away else error)
