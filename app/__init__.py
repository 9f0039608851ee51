"""The image registration service: enrols faces, and logs people in by face."""

from aiohttp import BasicAuth
from flask import Flask

from app import log
from app.api import employees, errors, health, login, middleware
from app.liveness import LivenessClient, Patience
from app.recognition.limiter import Limiter
from app.recognition.recogniser import Limits, Recogniser
from app.settings import Settings, load_settings
from app.storage import EmployeeStore
from app.usecases.employees import Employees
from app.usecases.identify import Identify
from app.usecases.models import choose_model
from app.usecases.service import Service
from models.catalogue import Catalogue, FaceModel
from models.runtime import choose_runtime


def create_app(settings: Settings | None = None) -> Flask:
    """Build the parts and hand them to the blueprints.

    The app answers at once; `/readyz` and the endpoints that need the gallery say 503 until it is
    loaded. Raises SettingsError, StoreUnavailable, ModelUnavailable: what cannot mend itself.
    """
    settings = settings or load_settings()
    log.configure(settings.log_level, settings.log_format)
    service = make_service(settings)
    service.start()
    liveness = make_liveness_client(settings)

    app = Flask(__name__, static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.config["MAX_CONTENT_LENGTH"] = int(settings.max_body_mb * 1_000_000)
    app.extensions["service"] = service
    middleware.register(app)
    errors.register(app)
    app.register_blueprint(employees.blueprint(Employees(service)))
    app.register_blueprint(login.blueprint(Identify(service, liveness, settings.replay_window_s)))
    app.register_blueprint(health.blueprint(service))
    return app


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

    return Service(open_store(settings), settings.login_match_threshold, choose, build)


def open_store(settings: Settings) -> EmployeeStore:
    """The store of these settings. Raises SettingsError, StoreUnavailable."""
    if settings.mongo_db_url:
        from app.storage.mongodb import MongoStore

        return MongoStore.connect(settings)
    from app.storage.sqlite import SqliteStore

    return SqliteStore(settings.sqlite_path)
