"""The image registration service: enrols faces, and logs people in by face."""

import structlog
from flask import Flask
from pydantic import SecretStr

from app import log
from app.access.keys import KeyRing
from app.access.limits import Limits as RequestLimits
from app.api import cors, employees, errors, health, login, middleware, openapi, paths
from app.api.access import Access, warn_if_open
from app.audit import AuditLog
from app.audit.sinks import open_sink
from app.parts import make_liveness_client, make_service
from app.recognition.limiter import Limiter
from app.settings import Settings, SettingsError, doubtful, load_settings
from app.storage.opening import open_store
from app.usecases.employees import Employees
from app.usecases.identify import Identify
from app.usecases.service import Service


def create_app(
    settings: Settings | None = None, service: Service | None = None, *, create_store: bool = True
) -> Flask:
    """Build the parts and hand them to the blueprints.

    service: one of these settings that was not started yet. create_store: whether a store that
        is missing is made.

    The app answers at once; `/readyz` and the endpoints that need the gallery say 503 until it is
    loaded. Raises SettingsError, KeysError, AuditUnavailable, StoreUnavailable, UnknownSeal,
    ModelUnavailable: what cannot mend itself.
    """
    odd = [] if settings else doubtful()
    settings = settings or load_settings()
    log.configure(settings.log_level, settings.log_format)
    for sentence in odd:
        structlog.get_logger().warning(sentence)
    keys = KeyRing(_secret(settings.api_keys), settings.api_keys_file)
    audit = AuditLog(open_sink(settings.audit_log) if settings.audit_log else None)
    limits = _limits(settings)
    access = Access(keys, limits, audit, settings.trusted_proxies)
    warn_if_open(keys)
    service = service or make_service(settings, store=open_store(settings, create=create_store))
    service.start()
    liveness = make_liveness_client(settings)

    app = Flask(__name__, static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.config["MAX_CONTENT_LENGTH"] = int(settings.max_body_mb * 1_000_000)
    app.config["MAX_JSON_DEPTH"] = settings.max_json_depth
    app.config["MAX_VECTORS_PER_EMPLOYEE"] = settings.max_vectors_per_employee
    app.extensions["service"] = service
    middleware.register(app, access)
    paths.register(app)
    errors.register(app)
    cors.register(app, (settings.cors_origins or "").split())
    # Taken before the body is parsed, so that a refusal costs little. The threads that are left
    # answer everything else, whatever logins and enrolments wait for.
    places = Limiter(settings.threads - max(1, settings.threads // 8), patience_s=0)
    # an enrolment looks at its pictures one after the other, under load for seconds each
    service.watch(places, max(600.0, 6.0 * settings.max_vectors_per_employee))
    app.register_blueprint(
        employees.blueprint(Employees(service, audit), access, places, settings.listings)
    )
    identify = Identify(service, liveness, audit, settings.replay_window_s)
    app.register_blueprint(login.blueprint(identify, limits, places))
    app.register_blueprint(health.blueprint(service, audit, keys.closed))
    app.register_blueprint(openapi.blueprint())
    return app


def _limits(settings: Settings) -> RequestLimits:
    try:
        return RequestLimits(
            settings.address_requests_per_minute,
            settings.key_requests_per_minute,
            settings.login_failures,
            _secret(settings.redis_url),
        )
    except ValueError:
        raise SettingsError("REDIS_URL is not of the form redis://host:port/database") from None


def _secret(setting: SecretStr | None) -> str | None:
    return setting.get_secret_value() if setting else None
