"""The image registration service: enrols faces, and logs people in by face."""

from flask import Flask

from app import bootstrap, console
from app.api import (
    cors,
    docs,
    employees,
    errors,
    health,
    login,
    middleware,
    monitoring,
    openapi,
    paths,
)
from app.api.access import Access, warn_if_open
from app.api.parts import Parts
from app.api.v2 import blueprint as v2
from app.api.v2 import inspection
from app.lifecycle import Service
from app.limiter import Limiter, Pages
from app.metrics import Metrics
from app.settings import Settings
from app.settings.stated import stated
from app.usecases.employee_samples import EmployeeSamples
from app.usecases.employees import Employees
from app.usecases.enrolment import Enrolment
from app.usecases.faces import Faces
from app.usecases.login import Login
from app.usecases.migration import Migration, Terms
from app.usecases.probes import Examination
from app.usecases.verification import Verification


def create_app(
    settings: Settings | None = None,
    service: Service | None = None,
    metrics: Metrics | None = None,
) -> Flask:
    """Build the app and start its service.

    settings: by default, those of the environment; the process is then set up as well.
    service: a service made from these settings and not started yet; by default, a new one.
    metrics: those of all workers; by default, the app counts on its own.

    The app answers at once; `/readyz` and the endpoints that need the gallery answer 503 until it
    is loaded. Raises any of `bootstrap.CANNOT_START`.
    """
    settings = settings or bootstrap.set_up_process()
    keys = bootstrap.make_key_ring(settings)
    metrics = metrics or Metrics()
    audit = bootstrap.make_audit_log(settings, metrics.acted)
    limits = bootstrap.make_rate_limits(settings)
    access = Access(keys, limits, audit, settings.trusted_proxies)
    warn_if_open(keys)
    service = service or bootstrap.make_service(settings)
    service.start()
    liveness = bootstrap.make_liveness_client(settings)

    app = Flask(__name__, static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.config["MAX_CONTENT_LENGTH"] = int(settings.max_body_mb * 1_000_000)
    app.config["MAX_JSON_DEPTH"] = settings.max_json_depth
    app.config["MAX_VECTORS_PER_EMPLOYEE"] = settings.max_vectors_per_employee
    app.extensions["service"] = service
    export = bootstrap.make_trace_export(settings, metrics.traces_dropped)
    if export:
        service.at_stop(export.close)
    middleware.register(app, access, metrics, export)
    paths.register(app)
    errors.register(app)
    cors.register(app, (settings.cors_origins or "").split(), keys_required=keys.required)
    # A login or enrolment takes a slot before its body is parsed, so that refusing it costs little.
    # The remaining threads answer everything else, however long the slots are held.
    slots = Limiter(settings.threads - max(1, settings.threads // 8), patience_s=0)
    # An enrolment processes its pictures one by one, and under load each takes seconds.
    service.watch(slots, max(600.0, 6.0 * settings.max_vectors_per_employee))
    pictures = service.picture_slots
    metrics.watch(
        request_slots=lambda: slots.slots,
        request_slots_used=lambda: slots.used,
        picture_slots=lambda: pictures.slots,
        picture_slots_used=lambda: pictures.used,
        pictures_waiting=lambda: pictures.waiting,
        liveness_breakers_open=lambda: liveness.is_blocked,
        gallery_age_seconds=lambda: service.caught_up_at,
    )
    enrolment, people = Enrolment(service, audit), Employees(service, audit)
    pages = Pages(settings.listings)
    app.register_blueprint(employees.blueprint(enrolment, people, access, slots, pages))
    examine = Examination(service, liveness, settings.replay_window_s)
    terms = Terms(settings.second_model_until, settings.second_model_needs_checks)
    migration = Migration(service, audit, terms)
    log_in = Login(service, examine, audit, migration)
    app.register_blueprint(login.blueprint(log_in, limits, slots))
    use_cases = v2.UseCases(
        log_in,
        Verification(service, examine, audit, migration, settings.verification_threshold),
        Faces(service, audit, settings.verification_threshold),
        enrolment,
        people,
        EmployeeSamples(service, audit),
    )
    app.register_blueprint(v2.blueprint(service, use_cases, audit, limits, slots, pages))
    parts = Parts(service, audit, liveness)
    said = stated(settings)
    app.register_blueprint(
        inspection.blueprint(service, audit, parts, metrics, said, keys.required)
    )
    app.register_blueprint(health.blueprint(service, parts, access, keys.required))
    app.register_blueprint(monitoring.blueprint(service, metrics))
    app.register_blueprint(openapi.blueprint())
    app.register_blueprint(docs.blueprint(settings.console))
    if settings.console:
        app.register_blueprint(console.blueprint())
    return app
