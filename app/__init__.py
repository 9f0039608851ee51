"""The image registration service: enrols faces, and logs people in by face."""

from collections.abc import Callable
from importlib.util import find_spec

from flask import Flask

from app import log
from app.api import employees, errors, health, login, middleware
from app.commands import gallery_group
from app.liveness import LivenessClient
from app.recognition.limiter import Limiter
from app.recognition.recogniser import Limits, Recogniser
from app.settings import Settings, SettingsError, is_file, load_settings
from app.storage import EmployeeStore
from app.usecases.employees import Employees
from app.usecases.identify import Identify
from app.usecases.models import choose_model
from app.usecases.service import Gallery, Service
from models.catalogue import Catalogue, FaceModel
from models.runtime import choose_runtime


def create_app(settings: Settings | None = None, start: bool = True) -> Flask:
    """Build the parts and hand them to the blueprints.

    The app answers at once; `/readyz` and the endpoints that need the gallery say 503 until it is
    loaded. Raises SettingsError, StoreUnavailable, ModelUnavailable: what cannot mend itself.
    start: False for commands, which need no network and no gallery.
    """
    settings = settings or load_settings()
    log.configure(settings.log_level, settings.log_format)
    service = make_service(settings)
    if start:
        service.start()
    liveness = LivenessClient(settings.liveness_service_url, settings.liveness_timeout_s)

    app = Flask(__name__, static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.config["MAX_CONTENT_LENGTH"] = int(settings.max_body_mb * 1_000_000)
    app.extensions["service"] = service
    middleware.register(app)
    errors.register(app)
    app.register_blueprint(employees.blueprint(Employees(service)))
    app.register_blueprint(login.blueprint(Identify(service, liveness)))
    app.register_blueprint(health.blueprint(service))
    patient = settings.model_copy(update={"milvus_timeout_s": 60.0, "mongo_db_timeout_s": 60.0})
    app.cli.add_command(gallery_group(lambda: make_service(patient).unloaded_gallery()))
    return app


def make_service(settings: Settings) -> Service:
    """The service of these settings, not started yet."""
    own_weights = None
    if settings.facenet_weights and settings.facenet_weights_sha256:
        own_weights = (settings.facenet_weights, settings.facenet_weights_sha256)
    catalogue = Catalogue(settings.models_dir, own_weights)
    limits = Limits(megapixels=settings.max_image_megapixels)

    def choose(stored: dict[str, int]) -> FaceModel:
        return choose_model(settings.face_model, stored, catalogue)

    def build(model: FaceModel) -> Recogniser:
        runtime = choose_runtime(settings.device, settings.models_dir / "converted")
        limiter = Limiter(settings.max_in_flight, waiting=4 * settings.max_in_flight)
        return Recogniser(runtime, model, limits, limiter)

    store = open_store(settings)
    make_gallery = gallery_maker(settings, store)
    return Service(store, settings.login_match_threshold, choose, build, make_gallery)


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
            "pip install -r requirements-milvus.txt -c requirements.lock"
        ) from None
    if is_file(settings.milvus_uri) and find_spec("milvus_lite") is None:
        raise SettingsError(
            "MILVUS_URI is a file, but milvus-lite is not installed: "
            "pip install milvus-lite -c requirements.lock"
        )
    token = settings.milvus_token.get_secret_value() if settings.milvus_token else None
    address = Address(settings.milvus_uri or "", token, settings.milvus_timeout_s)
    return lambda model: SharedGallery(
        store,
        MilvusIndex(address, settings.milvus_collection, model.name, model.dimension),
        Comparison(model.name, model.dimension, model.distance_scale),
    )


def open_store(settings: Settings) -> EmployeeStore:
    """The store of these settings. Raises SettingsError, StoreUnavailable."""
    if settings.mongo_db_url:
        from app.storage.mongodb import MongoStore

        return MongoStore.connect(settings)
    from app.storage.sqlite import SqliteStore

    return SqliteStore(settings.sqlite_path)
