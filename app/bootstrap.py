"""Make the parts of the service from the settings."""

import math
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import cv2
import structlog
from aiohttp import BasicAuth
from pydantic import SecretStr, ValidationError

from app import log as log_lines
from app import machine
from app.access.api_keys import KeyRing, KeysError
from app.access.rate_limits import RateLimits
from app.audit import AuditLog, AuditUnavailable, Observer
from app.audit.sinks import open_sink
from app.gallery import Gallery
from app.gallery.self_measurement import Policy
from app.lifecycle import Service
from app.limiter import Limiter
from app.liveness.client import LivenessClient, Timeouts
from app.recognition.picture_requirements import PictureRequirements
from app.recognition.recogniser import Recogniser
from app.sentences import what_is_wrong
from app.server import leaving_s
from app.settings import Settings, SettingsError, doubtful, load_settings
from app.storage import EmployeeStore, StoreUnavailable, UnknownSeal
from app.storage.sealing import VectorKeys
from app.trace_export import TraceExport
from app.watchdog import Watchdog, end_process
from models import onnx_description
from models.catalogue import Catalogue, FaceModel, ModelUnavailable
from models.choice import choose_model
from models.network import Runtime, RuntimeUnavailable
from models.onnx_description import OnnxDescription
from models.runtime import choose_runtime
from models.weights import WeightsUnavailable

log = structlog.get_logger()

CANNOT_START = (
    SettingsError,
    KeysError,
    AuditUnavailable,
    StoreUnavailable,
    UnknownSeal,
    ModelUnavailable,
    WeightsUnavailable,
    RuntimeUnavailable,
)
"""Errors that keep the service from starting and do not go away by themselves."""


def set_up_process() -> Settings:
    """Load the settings from the environment, and set up logging and libraries.

    Call this once per process, or before it forks. Raises SettingsError.
    """
    settings = load_settings()
    log_lines.configure(settings.log_level, settings.log_format)
    for sentence in doubtful():
        log.warning(sentence)
    # Pictures are small, so OpenCV's own threads would only get in the way of other requests.
    cv2.setNumThreads(1)
    return settings


def make_service(
    settings: Settings,
    *,
    create_store: bool = True,
    runtime_for: Callable[[str], Runtime] | None = None,
    watch: Callable[[Limiter], Watchdog] | None = None,
) -> Service:
    """Open the store and make the service, without starting it.

    create_store: whether to create the store if it does not exist. runtime_for: as
    `choose_runtime`. watch: makes the watchdog for the recogniser's slots, by default one
    that ends the process.
    """
    catalogue = make_catalogue(settings)
    choose = partial(choose_model, settings.face_model, catalogue=catalogue)
    slots = Limiter(settings.max_in_flight)
    end = partial(end_process, leaving_s(settings.drain_s))

    def build(model: FaceModel) -> Recogniser:
        return make_recogniser(settings, model, runtime_for, slots)

    store = open_store(settings, create=create_store)
    return Service(
        store,
        policy(settings),
        choose,
        partial(choose, fetch=False),
        build,
        gallery_maker(settings, store),
        (watch or partial(Watchdog, end=end))(slots),
        partial(second_model, settings.second_face_model, catalogue),
    )


def second_model(wanted: str | None, catalogue: Catalogue, running: FaceModel) -> FaceModel | None:
    """Return the model of SECOND_FACE_MODEL; None if it is not set. Raises ModelUnavailable."""
    if wanted is None:
        return None
    model = choose_model(wanted, {}, catalogue)
    if model.name == running.name:
        raise ModelUnavailable(
            f"SECOND_FACE_MODEL is the model that runs, {running.name}: unset it, or set "
            "FACE_MODEL to the other one"
        )
    return model


def make_recogniser(
    settings: Settings,
    model: FaceModel,
    runtime_for: Callable[[str], Runtime] | None = None,
    slots: Limiter | None = None,
) -> Recogniser:
    """Make the recogniser of a model. Raises ModelUnavailable, RuntimeUnavailable."""
    requirements = PictureRequirements(
        megapixels=settings.max_image_megapixels,
        formats=tuple(settings.image_formats.split()),
        quality=settings.quality,
    )
    runtime = (runtime_for or _runtime)(settings.device)
    return Recogniser(runtime, model, requirements, slots)


def _runtime(device: str) -> Runtime:
    share = machine.share()
    return choose_runtime(device, math.ceil(share.cpus) if share.has_quota else None)


def policy(settings: Settings) -> Policy:
    """Return how α is decided."""
    threshold = settings.login_match_threshold
    return Policy(None if threshold == "auto" else threshold, settings.max_fpir)


def make_catalogue(settings: Settings) -> Catalogue:
    """Make the catalogue of face models. Raises SettingsError."""
    own_weights = None
    if settings.facenet_weights and settings.facenet_weights_sha256:
        own_weights = (settings.facenet_weights, settings.facenet_weights_sha256)
    onnx = None
    if settings.onnx_model:
        onnx = (settings.onnx_model, _description(settings.onnx_model))
    return Catalogue(settings.models_dir, own_weights, onnx=onnx)


def _description(path: Path) -> OnnxDescription:
    """Read the description of an ONNX network. Raises SettingsError naming every bad field."""
    try:
        return onnx_description.read(path)
    except OSError as error:
        raise SettingsError(f"{path} (ONNX_MODEL) cannot be read: {error.strerror}") from None
    except ValidationError as error:
        sentences = [
            ": ".join((*map(str, problem["loc"][:1]), what_is_wrong(problem)))
            for problem in error.errors(include_url=False)
        ]
        raise SettingsError(f"{path} (ONNX_MODEL): {'; '.join(sentences)}") from None


def make_gallery(settings: Settings, store: EmployeeStore) -> Gallery:
    """Make the gallery of the model that would run; load nothing and fetch no weights.

    Raises SettingsError, StoreUnavailable, ModelUnavailable, UnknownSeal.
    """
    store.check_seals()
    catalogue = make_catalogue(settings)
    model = choose_model(settings.face_model, store.models(), catalogue, fetch=False)
    return gallery_maker(settings, store)(model)


def gallery_maker(settings: Settings, store: EmployeeStore) -> Callable[[FaceModel], Gallery]:
    """Return a function that makes the gallery of a model.

    Raises SettingsError if the settings need a package that is not installed.
    """
    if settings.gallery_index == "memory":
        from app.gallery.memory_gallery import MemoryGallery

        return lambda model: MemoryGallery(store, model)
    from app.gallery.milvus_index import Address, MilvusIndex, import_client
    from app.gallery.shared_gallery import SharedGallery

    try:
        import_client()
    except ImportError:
        raise SettingsError(
            "GALLERY_INDEX is milvus, but pymilvus is not installed: "
            "pip install -r requirements-milvus.lock"
        ) from None
    if settings.milvus_is_a_file and find_spec("milvus_lite") is None:
        raise SettingsError(
            "MILVUS_URI is a file, but milvus-lite is not installed: "
            "pip install -r requirements-dev.lock"
        )
    address = Address(
        settings.milvus_uri or "", secret(settings.milvus_token), settings.milvus_timeout_s
    )
    return lambda model: SharedGallery(
        store,
        MilvusIndex(address, settings.milvus_collection, model.name, model.dimension),
        model,
    )


def open_store(settings: Settings, *, create: bool = True) -> EmployeeStore:
    """Open the store. Raises SettingsError, StoreUnavailable.

    create: whether to create a store if there is none, instead of raising StoreUnavailable.
    """
    keys = vector_keys(settings)
    if settings.mongo_db_url:
        from app.storage.mongodb.store import MongoStore

        return MongoStore(settings, keys, create=create)
    from app.storage.sqlite.store import SqliteStore

    if create and not settings.sqlite_path.exists():
        log.info("creating a new, empty store", path=str(settings.sqlite_path))
    return SqliteStore(settings.sqlite_path, keys, create=create)


def vector_keys(settings: Settings) -> VectorKeys:
    """Make the keys of VECTOR_KEYS. Raises SettingsError."""
    try:
        return VectorKeys(secret(settings.vector_keys))
    except ValueError as error:
        raise SettingsError(f"VECTOR_KEYS: {error}") from None


def make_liveness_client(settings: Settings) -> LivenessClient:
    """Make the client of the liveness service."""
    timeouts = Timeouts(
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
    return LivenessClient(settings.liveness_service_url, timeouts, authorization)


def make_key_ring(settings: Settings) -> KeyRing:
    """Read the API keys. Raises KeysError."""
    return KeyRing(secret(settings.api_keys), settings.api_keys_file)


def make_audit_log(settings: Settings, observe: Observer) -> AuditLog:
    """Open the audit log. Raises AuditUnavailable. observe: is told of every action."""
    return AuditLog(open_sink(settings.audit_log) if settings.audit_log else None, observe)


def make_trace_export(settings: Settings, dropped: Callable[[int], None]) -> TraceExport | None:
    """Begin to send traces; None if no collector is set up. dropped: as of TraceExport."""
    endpoint = settings.otel_exporter_otlp_endpoint
    return TraceExport(endpoint, dropped) if endpoint else None


def make_rate_limits(settings: Settings) -> RateLimits:
    """Make the limits on requests and failed logins. Raises SettingsError."""
    try:
        return RateLimits(
            settings.address_requests_per_minute,
            settings.key_requests_per_minute,
            settings.login_failures,
            secret(settings.redis_url),
        )
    except ValueError:
        raise SettingsError("REDIS_URL is not of the form redis://host:port/database") from None


def secret(setting: SecretStr | None) -> str | None:
    """Return the text of a secret setting; None if it is not set."""
    return setting.get_secret_value() if setting else None
