"""Brings the parts up, and says whether they are."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from threading import Event, Thread
from typing import Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from app.gallery import IndexUnavailable
from app.recognition.limiter import Limiter
from app.recognition.recogniser import Recogniser
from app.storage import Employee, EmployeeStore, StoreUnavailable, UnknownSeal
from app.usecases.gallery import GalleryLoading
from app.usecases.models import StoredModels
from app.usecases.watchdog import Watchdog
from models.catalogue import FaceModel, ModelUnavailable

log = structlog.get_logger()

_RETRY_S = 2.0
_LONGEST_PAUSE = 16  # times the usual one, between attempts to follow that fail


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
    choose: returns the model to run, given how many employees the store holds for each; it may
        fetch weights. describe: returns the same model without fetching anything.
    build: makes the recogniser of a model. make_gallery: makes the gallery of a model.
    watchdog: of the recogniser's turns. follow_s: between looks at what has changed in the store,
        so that logins after a quiet time find little to catch up.
    """

    def __init__(
        self,
        store: EmployeeStore,
        threshold: float,
        choose: Callable[[dict[str, int]], FaceModel],
        describe: Callable[[dict[str, int]], FaceModel],
        build: Callable[[FaceModel], Recogniser],
        make_gallery: Callable[[FaceModel], Gallery],
        watchdog: Watchdog,
        follow_s: float = 5.0,
    ) -> None:
        self.store = store
        self.threshold = threshold
        self._choose = choose
        self._describe = describe
        self._stored = StoredModels(store)
        self._is_foreign = False  # as far as the log was told
        self._watchdog = watchdog
        self._follow_s = follow_s
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
        self._watchdog.start()

    def stop(self) -> None:
        """Give up coming up, and close the store."""
        self._stop.set()
        self._watchdog.stop()
        self.store.close()

    def watch(self, places: Limiter, patience_s: float) -> None:
        """Replace the process if a request holds its place for longer."""
        self._watchdog.watch(places, patience_s)

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
        """Another gallery of the model that would run; for commands. Fetches nothing.

        Raises StoreUnavailable, ModelUnavailable, UnknownSeal.
        """
        self.store.check_seals()
        return self._make_gallery(self._describe(self.store.models()))

    def check_alive(self) -> None:
        """Return unless the process must be replaced. Raises NotReady."""
        if self._watchdog.is_stuck:
            raise NotReady("a request has taken too long, this process is replaced")

    def check(self) -> None:
        """Return when a login can be answered. Raises NotReady, and what the gallery raises."""
        self.check_alive()
        _ = self.recogniser
        self.gallery.check_ready()
        if not len(self.gallery):
            self._check_model()
        if self._watchdog.is_blocked:
            raise NotReady("the requests that came before take too long")

    def writing(self, employee_id: int) -> AbstractContextManager[None]:
        """What the write of a record to the store happens in."""
        # before the gallery is loaded only removals get here, and they need no place in it
        return nullcontext() if self._gallery is None else self._gallery.writing(employee_id)

    def nearest(self, probe: NDArray[np.float32]) -> tuple[Employee, float] | None:
        """The nearest employee and their distance; None if nobody is enrolled.

        Raises NotReady if everybody is enrolled with another face model; what the gallery raises.
        """
        nearest = self.gallery.nearest(probe)
        if nearest is None:
            self._check_model()
        return nearest

    def check_enrolment(self) -> None:
        """Raise NotReady if the stored vectors ask for another model than this process runs.

        FACE_MODEL may ask for a model that nobody is enrolled with yet. Without it, two processes
        that start on an empty store choose differently if only one of them can fetch the weights;
        the first enrolment then decides.
        """
        if not len(self.gallery):
            self._check_model(enrolling=True)

    def _check_model(self, enrolling: bool = False) -> None:
        """Raise NotReady if vectors are stored, but not of the model that runs, or unreadable."""
        try:
            self.store.check_seals()
        except UnknownSeal as error:
            raise NotReady(_AWAY[UnknownSeal], str(error)) from error
        running, stored = self.recogniser.model.name, self._stored.counts()
        foreign = bool(stored) and running not in stored
        if foreign and not self._is_foreign:
            log.error(
                "nobody is enrolled with the face model that runs: restart this process so that "
                "it runs the stored one, or set FACE_MODEL, or enrol everybody again",
                running=running,
                stored=stored,
            )
        self._is_foreign = foreign
        if foreign and not (enrolling and self._asks_for(running, stored)):
            raise NotReady("everybody is enrolled with another face model than the one that runs")

    def _asks_for(self, model: str, stored: dict[str, int]) -> bool:
        try:
            return self._describe(stored).name == model
        except ModelUnavailable:
            return False

    def _come_up(self) -> None:
        while not self._stop.is_set():
            try:
                self._load_gallery(self._recogniser or self._load_model())
                break
            except Exception as error:  # a database or network that is coming back, for instance
                self._waits(error)
            self._stop.wait(_RETRY_S)
        self._follow()

    def _follow(self) -> None:
        """Follow the store until the end; whatever fails is tried again."""
        pause_s, told = self._follow_s, ""
        while not self._stop.wait(pause_s):
            try:
                self.gallery.follow()
                pause_s, told = self._follow_s, ""
            except (StoreUnavailable, IndexUnavailable, GalleryLoading):
                pause_s = self._follow_s  # requests meet the same, and say so
            except Exception as error:
                pause_s = min(2 * pause_s, _LONGEST_PAUSE * self._follow_s)
                if told != repr(error):
                    told = repr(error)
                    log.exception("the gallery cannot follow the store, it is tried again")

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
