"""The call `system`: what runs here, within which limits, and what state it is in."""

from contextlib import suppress

from flask import Blueprint, Response, jsonify

from app.api.openapi import describe
from app.api.parts import UNREADY, Parts
from app.api.schemas import about, described, named
from app.gallery.self_measurement import Measurement
from app.lifecycle import Service
from app.metrics import Metrics
from app.readiness import NotReady
from app.settings.stated import Stated
from app.version import VERSION

_TEXT = {"type": "string"}
_WHOLE = {"type": "integer"}
_NUMBER = {"type": "number"}
_MAYBE_WHOLE = {"type": ["integer", "null"]}
_NULL = {"type": "null"}
_MODEL = named(
    "RunningModel",
    described(
        name=_TEXT,
        dimension=about("numbers of a vector", _WHOLE),
        licence=about("null for weights of your own", {"type": ["string", "null"]}),
        device=_TEXT,
    ),
)
FPIR = about(
    "The share of strangers that are taken for an employee.",
    named("Fpir", described(estimate=_NUMBER, low=_NUMBER, high=_NUMBER)),
)
_PART = described(
    state=about("unknown if not tried yet", {"enum": ["ok", "off", "failing", "unknown"]}),
    age_s=about("seconds that it has been in this state", _NUMBER),
)
_SECOND_MODEL = named(
    "SecondModel",
    described(
        name=_TEXT,
        enrolled=about("employees enrolled under both; null if unknown now", _MAYBE_WHOLE),
        until=about(
            "the last day on which logins enrol; null if there is no end",
            {"type": ["string", "null"], "format": "date"},
        ),
    ),
)
SYSTEM = named(
    "System",
    described(
        version=_TEXT,
        is_ready=about("whether /readyz is a 200, in the worker that answers", {"type": "boolean"}),
        parts={"type": "object", "additionalProperties": named("Part", _PART)},
        model=about("null while it is loaded", {"anyOf": [_MODEL, _NULL]}),
        second_model=about(
            "to which the company changes; null if it does not", {"anyOf": [_SECOND_MODEL, _NULL]}
        ),
        store=about("the address of the database", _TEXT),
        index=about("how faces are searched", {"enum": ["memory", "milvus"]}),
        employees=about("who can be found; null while the gallery is loaded", _MAYBE_WHOLE),
        threshold=about("α in force", _NUMBER),
        fpir=about("null while the gallery cannot tell", {"anyOf": [FPIR, _NULL]}),
        likely_under_two_ids=about("pairs of ids that are likely one person's", _MAYBE_WHOLE),
        workers=about("processes that answer", _WHOLE),
        load=about(
            "of all workers, by the names of the metrics",
            {"type": "object", "additionalProperties": _NUMBER},
        ),
        limits=about(
            "in force, by the names of the settings",
            {"type": "object", "additionalProperties": {"type": ["number", "string"]}},
        ),
    ),
)


def add(api: Blueprint, service: Service, parts: Parts, metrics: Metrics, stated: Stated) -> None:
    """Add the call."""

    @api.get("/system", endpoint="system")
    @describe("Tell what runs here, and in what state", answers=SYSTEM)
    def show_system() -> Response:
        is_ready = False
        with suppress(*UNREADY):
            parts.check()
            is_ready = True
        return jsonify(
            version=VERSION,
            is_ready=is_ready,
            parts=parts.listed(),
            model=_model(service),
            second_model=_second_model(service, stated),
            store=service.store.address,
            index=stated.index_kind,
            employees=_employees(service),
            threshold=service.threshold,
            **_gallery(service.measurement),
            workers=stated.workers,
            load=metrics.levels(),
            limits=stated.limits,
        )


def _model(service: Service) -> dict[str, object] | None:
    try:
        running = service.recogniser
    except NotReady:
        return None
    model = running.model
    return {
        "name": model.name,
        "dimension": model.dimension,
        "licence": model.licence,
        "device": running.device,
    }


def _second_model(service: Service, stated: Stated) -> dict[str, object] | None:
    """Return how many people are enrolled under a second model, and until when logins do that."""
    if service.second is None:
        return None
    until, enrolled, second = stated.second_model_until, None, service.second.model.name
    with suppress(*UNREADY):
        enrolled = service.store.count_second(service.recogniser.model.name, second)
    return {"name": second, "enrolled": enrolled, "until": until and until.isoformat()}


def _employees(service: Service) -> int | None:
    """Return how many people can be found; None if that is not known now."""
    with suppress(*UNREADY):
        return len(service.gallery)
    return None


def _gallery(measured: Measurement | None) -> dict[str, object]:
    said = measured.summary() if measured else {}
    return {name: said.get(name) for name in ("fpir", "likely_under_two_ids")}
