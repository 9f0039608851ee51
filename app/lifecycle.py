"""Start the service: choose the model, load the gallery, become ready, keep catching up."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from time import monotonic

import numpy as np
import structlog
from numpy.typing import NDArray

from app.gallery import NEEDED, Gallery, GalleryLoading, IndexUnavailable
from app.gallery.self_measurement import Measurement, Policy, SelfMeasurement
from app.gallery.telling_apart import check_migrated
from app.limiter import Limiter
from app.model_check import ModelCheck
from app.readiness import NotReady, Reason, reason
from app.recognition.recogniser import Recogniser
from app.stages import stage
from app.storage import Employee, EmployeeStore, StoreUnavailable, UnknownSeal
from app.watchdog import Watchdog
from models.catalogue import FaceModel

log = structlog.get_logger()

_RETRY_S = 2.0
_MAX_BACKOFF = 16  # times the usual pause, while catching up keeps failing


class Service:
    """The parts that enrolment and login need, available once they are loaded.

    The model depends on what the store holds. If the store does not answer, the service starts in
    the background and chooses the model as soon as it does.

    policy: how α is decided; a probe matches if its distance is below it.
    choose: returns the model to run, given how many employees the store holds for each; it may
        fetch weights. expected: returns the same model without fetching anything.
    build: makes the recogniser of a model. make_gallery: makes the gallery of a model.
    second: returns the second model, given the running one; None if there is none.
    watchdog: watches the slots of the recogniser.
    catch_up_s: seconds between checks for changes in the store, so that a login after a quiet time
        has little to catch up with.
    """

    def __init__(
        self,
        store: EmployeeStore,
        policy: Policy,
        choose: Callable[[dict[str, int]], FaceModel],
        expected: Callable[[dict[str, int]], FaceModel],
        build: Callable[[FaceModel], Recogniser],
        make_gallery: Callable[[FaceModel], Gallery],
        watchdog: Watchdog,
        second: Callable[[FaceModel], FaceModel | None] = lambda _: None,
        catch_up_s: float = 5.0,
    ) -> None:
        self.store = store
        self._policy = policy
        self._choose = choose
        self._model_check = ModelCheck(store, expected)
        self._build = build
        self._make_gallery = make_gallery
        self._watchdog = watchdog
        self._second_model = second
        self._catch_up_s = catch_up_s
        self._recogniser: Recogniser | None = None
        self._second: Recogniser | None = None
        self._gallery: Gallery | None = None
        self._self_measurement: SelfMeasurement | None = None
        self._waiting_for = Reason("the service is starting")
        self._is_leaving = False
        self._caught_up_at: float | None = None
        self._stop = Event()
        self._at_stop: list[Callable[[], None]] = []

    def start(self) -> None:
        """Load the model now if the store answers, and the gallery in the background.

        Raises ModelUnavailable, UnknownSeal; the service can then never become ready.
        """
        try:
            self._load_model()
        except StoreUnavailable as error:
            self._note_failure(error)
        Thread(target=self._run, name="lifecycle", daemon=True).start()
        self._watchdog.start()

    def leave(self) -> None:
        """Stop being ready, so that nobody new is sent here; requests are still answered."""
        self._is_leaving = True

    def stop(self) -> None:
        """Stop the background thread, close the store, and call what `at_stop` was given."""
        self._stop.set()
        self._watchdog.stop()
        self.store.close()
        for close in self._at_stop:
            close()

    def at_stop(self, close: Callable[[], None]) -> None:
        """Have this called when the service stops."""
        self._at_stop.append(close)

    def watch(self, slots: Limiter, longest_s: float) -> None:
        """End the process if a slot is held for longer than this."""
        self._watchdog.watch(slots, longest_s)

    @property
    def threshold(self) -> float:
        """The α in force for identification."""
        measured = self._self_measurement
        return measured.threshold if measured else self._policy.highest

    @property
    def highest_threshold(self) -> float:
        """The α that does not depend on who is enrolled, to tell whether two photos agree."""
        return self._policy.highest

    def distance_of(self, share: float) -> float | None:
        """Return the distance below which at most this share of strangers come to any employee.

        None if too few people are enrolled to say that.
        """
        curve = self.measurement.estimate.curve if self.measurement else None
        return curve.threshold(share, lowest=0.0) if curve else None

    @property
    def measurement(self) -> Measurement | None:
        """What the gallery says of itself; None if it is not measured yet."""
        return self._self_measurement.latest if self._self_measurement else None

    @property
    def max_fpir(self) -> float:
        """The highest acceptable share of strangers who are taken for an employee."""
        return self._policy.max_fpir

    @property
    def caught_up_at(self) -> float | None:
        """When the gallery last caught up with the store, on the clock of time.monotonic.

        None if it is not loaded yet.
        """
        return self._caught_up_at

    @property
    def picture_slots(self) -> Limiter:
        """The slots in which pictures are processed."""
        return self._watchdog.slots

    @property
    def recogniser(self) -> Recogniser:
        """The recogniser of the running model. Raises NotReady."""
        if self._recogniser is None:
            raise NotReady(*self._waiting_for)
        return self._recogniser

    @property
    def second(self) -> Recogniser | None:
        """The recogniser of a second model, under which people are enrolled, too."""
        return self._second

    def seen(self, employee: Employee) -> Employee:
        """Return the employee with the running model's reference first, if there is one."""
        running = self._recogniser
        return (running and employee.under(running.model.name)) or employee

    @property
    def gallery(self) -> Gallery:
        """The gallery of the running model. Raises NotReady."""
        if self._gallery is None:
            raise NotReady(*self._waiting_for)
        return self._gallery

    @property
    def is_loaded(self) -> bool:
        """Whether the model and the gallery are loaded."""
        return self._gallery is not None

    def check_loaded(self) -> None:
        """Raise NotReady if the model and the gallery are not loaded."""
        _ = self.gallery

    def check_alive(self) -> None:
        """Raise NotReady if the process must be replaced."""
        if self._watchdog.is_stuck:
            sentence = "a request has taken too long, this process is being replaced"
            raise NotReady(sentence, part="slots")

    def check_ready(self) -> None:
        """Raise NotReady, or what the gallery raises, if a login cannot be answered."""
        self.check_alive()
        if self._is_leaving:
            raise NotReady("the service is stopping")
        _ = self.recogniser
        self.gallery.check_ready()
        if not len(self.gallery):
            self._check_model()
        if self._watchdog.is_blocked:
            raise NotReady("earlier requests are taking too long", part="slots")

    def check_enrolment(self) -> None:
        """Raise NotReady if the gallery is not loaded, or its vectors call for another model."""
        if not len(self.gallery):
            self._check_model(enrolling=True)

    @contextmanager
    def writing(self, employee_id: int) -> Iterator[None]:
        """Return a context manager around a store write; on exit the index matches the store."""
        with stage("store"):
            # Before the gallery is loaded, only removals get here, and loading takes them into
            # account.
            if self._gallery is None:
                yield
                return
            with self._gallery.writing(employee_id):
                yield

    def nearest_people(
        self, probe: NDArray[np.float32], groups: frozenset[str] | None = None, least: int = NEEDED
    ) -> list[tuple[Employee, float]]:
        """Return the few nearest employees and their plain distances, nearest first.

        groups, least: as of `Gallery.nearest_people`. Raises NotReady if everybody is enrolled with
        a different face model, and what the gallery raises.
        """
        with stage("search"):
            nearest = self.gallery.nearest_people(probe, groups, least)
        if not nearest and groups is None:
            self._check_model()
        return nearest

    def _check_model(self, enrolling: bool = False) -> None:
        """Raise NotReady if vectors are stored, but all undecryptable or of other models."""
        try:
            self.store.check_seals()
        except UnknownSeal as error:
            raise NotReady(*reason(error)) from error
        running = self.recogniser.model.name
        check = self._model_check.may_enrol if enrolling else self._model_check.can_match
        if not check(running):
            raise NotReady("everybody is enrolled with a different face model", part="model")

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._load_gallery(self._recogniser or self._load_model())
                break
            except Exception as error:  # for instance, a database or network that is down
                self._note_failure(error)
            self._stop.wait(_RETRY_S)
        self._keep_catching_up()

    def _load_model(self) -> Recogniser:
        self.store.check_seals()
        model = self._choose(self.store.models())
        if second := self._second_model(model):
            self._second = self._build(second)
        self._recogniser = self._build(model)
        return self._recogniser

    def _load_gallery(self, recogniser: Recogniser) -> None:
        model = recogniser.model
        self._waiting_for = Reason("the gallery is being loaded")
        gallery = self._make_gallery(model)
        gallery.load()
        check_migrated(self.store, model, self._policy.highest)
        self._caught_up_at = monotonic()
        measurement = SelfMeasurement(self.store, model, self._policy)
        if self._policy.threshold is None:
            self._measure_first(measurement)
        self._self_measurement = measurement
        self._gallery = gallery
        log.info(
            "ready",
            model=model.name,
            store=self.store.address,
            threshold=self.threshold,
            employees=len(gallery),
        )
        Thread(target=self._prepare_search, name="names", daemon=True).start()
        keep = measurement.keep_measuring
        Thread(target=keep, args=[self._stop], name="self-measurement", daemon=True).start()

    def _prepare_search(self) -> None:
        """Index what older releases wrote, until it succeeds."""
        pause_s = 0.0
        while not self._stop.wait(pause_s):
            try:
                self.store.prepare_search()
                return
            except Exception as error:
                pause_s = min(2 * pause_s + _RETRY_S, _MAX_BACKOFF * _RETRY_S)
                log.warning("names and external ids are not indexed yet", reason=str(error))

    def _measure_first(self, measurement: SelfMeasurement) -> None:
        """Measure before the first login. If that fails, logins begin at the lowest α."""
        try:
            measurement.measure()
        except StoreUnavailable:
            raise
        except Exception:
            log.exception("the gallery cannot be measured", threshold=measurement.threshold)

    def _keep_catching_up(self) -> None:
        """Catch up with the store until stopped; retry after any error."""
        pause_s, logged = self._catch_up_s, ""
        while not self._stop.wait(pause_s):
            try:
                self.gallery.catch_up()
                self._caught_up_at = monotonic()
                pause_s, logged = self._catch_up_s, ""
            except (StoreUnavailable, IndexUnavailable, GalleryLoading):
                pause_s = self._catch_up_s  # requests meet the same failure and report it
            except Exception as error:
                pause_s = min(2 * pause_s, _MAX_BACKOFF * self._catch_up_s)
                if logged != repr(error):
                    logged = repr(error)
                    log.exception("the gallery cannot catch up with the store, retrying")

    def _note_failure(self, error: Exception) -> None:
        self._waiting_for = known = reason(error)
        log.error("not ready", reason=str(error), exc_info=None if known.cause else error)
