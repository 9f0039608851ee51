"""A service in this process whose gallery a test makes."""

from collections.abc import Callable

from app.gallery import Gallery
from app.gallery.self_measurement import Policy
from app.lifecycle import Service
from app.limiter import Limiter
from app.recognition.recogniser import Recogniser
from app.storage import EmployeeStore
from app.watchdog import Watchdog
from models.catalogue import FaceModel


def service_with(
    store: EmployeeStore,
    recogniser: Recogniser,
    make_gallery: Callable[[FaceModel], Gallery],
    catch_up_s: float = 5.0,
) -> Service:
    """Return a service that is not started yet and never ends the process."""
    return Service(
        store,
        policy=Policy(threshold=0.8, max_fpir=0.01),
        choose=lambda _: recogniser.model,
        expected=lambda _: recogniser.model,
        build=lambda _: recogniser,
        make_gallery=make_gallery,
        watchdog=Watchdog(Limiter(1), end=lambda: None),
        catch_up_s=catch_up_s,
    )
