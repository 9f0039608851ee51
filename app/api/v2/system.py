"""The call `system`: what runs here, within which limits, and what state it is in."""

from contextlib import suppress

from flask import Blueprint, Response, jsonify

from app.api.openapi import describe
from app.api.parts import UNREADY, Parts
from app.api.schemas import described, named
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
    described(name=_TEXT, dimension=_WHOLE, licence={"type": ["string", "null"]}, device=_TEXT),
)
FPIR = named("Fpir", described(estimate=_NUMBER, low=_NUMBER, high=_NUMBER))
_PART = described(state={"enum": ["ok", "off", "failing", "unknown"]}, age_s=_NUMBER)
SYSTEM = named(
    "System",
    described(
        version=_TEXT,
        is_ready={"type": "boolean"},
        parts={"type": "object", "additionalProperties": named("Part", _PART)},
        model={"anyOf": [_MODEL, _NULL]},
        store=_TEXT,
        index={"enum": ["memory", "milvus"]},
        employees=_MAYBE_WHOLE,
        threshold=_NUMBER,
        fpir={"anyOf": [FPIR, _NULL]},
        likely_under_two_ids=_MAYBE_WHOLE,
        workers=_WHOLE,
        load={"type": "object", "additionalProperties": _NUMBER},
        limits={"type": "object", "additionalProperties": {"type": ["number", "string"]}},
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


def _employees(service: Service) -> int | None:
    """Return how many people can be found; None if that is not known now."""
    with suppress(*UNREADY):
        return len(service.gallery)
    return None


def _gallery(measured: Measurement | None) -> dict[str, object]:
    said = measured.summary() if measured else {}
    return {name: said.get(name) for name in ("fpir", "likely_under_two_ids")}
