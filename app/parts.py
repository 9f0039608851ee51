"""The parts of the service that the settings ask for."""

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from aiohttp import BasicAuth

from app.liveness import LivenessClient, Patience
from app.recognition.limiter import Limiter
from app.recognition.recogniser import Limits, Recogniser
from app.settings import Settings, SettingsError
from app.storage import EmployeeStore
from app.storage.opening import open_store
from app.usecases.service import Gallery, Service
from app.usecases.watchdog import Watchdog
from app.values import is_file
from models.catalogue import Catalogue, FaceModel
from models.choice import choose_model
from models.network import Runtime
from models.runtime import choose_runtime


def make_service(
    settings: Settings,
    runtime_for: Callable[[str, Path], Runtime] = choose_runtime,
    watch: Callable[[Limiter], Watchdog] = Watchdog,
    store: EmployeeStore | None = None,
) -> Service:
    """The service of these settings, not started yet.

    runtime_for: as `choose_runtime`. watch: makes the watchdog of the turns. store: theirs, if it
    is open already.
    """
    catalogue = make_catalogue(settings)
    limits = Limits(
        megapixels=settings.max_image_megapixels, formats=tuple(settings.image_formats.split())
    )

    choose = partial(choose_model, settings.face_model, catalogue=catalogue)
    turns = Limiter(settings.max_in_flight)

    def build(model: FaceModel) -> Recogniser:
        runtime = runtime_for(settings.device, settings.models_dir / "converted")
        return Recogniser(runtime, model, limits, turns)

    store = store or open_store(settings)
    make_gallery = gallery_maker(settings, store)
    return Service(
        store,
        settings.login_match_threshold,
        choose,
        partial(choose, fetch=False),
        build,
        make_gallery,
        watch(turns),
    )


def make_catalogue(settings: Settings) -> Catalogue:
    """The face models that these settings know."""
    own_weights = None
    if settings.facenet_weights and settings.facenet_weights_sha256:
        own_weights = (settings.facenet_weights, settings.facenet_weights_sha256)
    return Catalogue(settings.models_dir, own_weights)


def gallery_maker(settings: Settings, store: EmployeeStore) -> Callable[[FaceModel], Gallery]:
    """Makes the gallery of a model. Raises SettingsError where it needs what is not installed."""
    if settings.gallery_index == "memory":
        from app.gallery.memory import MemoryIndex
        from app.usecases.gallery import Gallery as MemoryGallery

        return lambda model: MemoryGallery(
            store, MemoryIndex(model.dimension), model.name, model.distance_scale
        )
    from app.gallery.milvus import Address, MilvusIndex, import_client
    from app.usecases.comparison import Comparison
    from app.usecases.shared_gallery import SharedGallery

    try:
        import_client()
    except ImportError:
        raise SettingsError(
            "GALLERY_INDEX is milvus, but pymilvus is not installed: "
            "pip install -r requirements-milvus.lock"
        ) from None
    if is_file(settings.milvus_uri) and find_spec("milvus_lite") is None:
        raise SettingsError(
            "MILVUS_URI is a file, but milvus-lite is not installed: "
            "pip install -r requirements-dev.lock"
        )
    token = settings.milvus_token.get_secret_value() if settings.milvus_token else None
    address = Address(settings.milvus_uri or "", token, settings.milvus_timeout_s)
    return lambda model: SharedGallery(
        store,
        MilvusIndex(address, settings.milvus_collection, model.name, model.dimension),
        Comparison(model.name, model.dimension, model.distance_scale),
    )


def make_liveness_client(settings: Settings) -> LivenessClient:
    """The client of the liveness service of these settings."""
    patience = Patience(
        settings.liveness_timeout_s,
        settings.liveness_connect_timeout_s,
        settings.liveness_read_timeout_s,
        settings.liveness_retries,
    )
    authorization = None
    if settings.liveness_token:
        authorization = f"Bearer {settings.liveness_token.get_secret_value()}"
    elif settings.liveness_username is not None and settings.liveness_password:
        password = settings.liveness_password.get_secret_value()
        authorization = BasicAuth(settings.liveness_username, password, "utf-8").encode()
    return LivenessClient(settings.liveness_service_url, patience, authorization)
