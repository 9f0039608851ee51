"""Endpoints for monitoring: metrics and version."""

from collections.abc import Iterator
from contextlib import suppress

from flask import Blueprint, Response, jsonify, request

from app.access import Role
from app.api.access import allow, public
from app.api.openapi import describe
from app.api.schemas import METRICS, RELEASE
from app.gallery import GalleryLoading, IndexUnavailable
from app.lifecycle import Service
from app.metrics import PREFIX, Metrics
from app.metrics.families import OPEN_METRICS, PLAIN, gauge_lines
from app.readiness import NotReady
from app.storage import StoreUnavailable
from app.version import VERSION

_OPEN_METRICS = OPEN_METRICS.partition(";")[0]


def blueprint(service: Service, metrics: Metrics) -> Blueprint:
    """Return the endpoints metrics and version."""
    api = Blueprint("monitoring", __name__)

    @api.get("/metrics", endpoint="metrics")
    @allow(Role.MONITOR)
    @describe("Report counts and times for Prometheus", answers=METRICS)
    def read_metrics() -> Response:
        # Prometheus itself accepts it, unlike those who read with curl.
        open_metrics = _OPEN_METRICS in request.headers.get("Accept", "")
        lines = [*metrics.lines(open_metrics=open_metrics), *_info(service)]
        for name, about, value in _known(service):
            lines += gauge_lines(f"{PREFIX}_{name}", about, value)
        if open_metrics:
            return Response("\n".join([*lines, "# EOF", ""]), content_type=OPEN_METRICS)
        return Response("\n".join([*lines, ""]), content_type=PLAIN)

    @api.get("/version", endpoint="version")
    @public
    @describe("Return the version of the service", answers=RELEASE)
    def show_version() -> Response:
        return jsonify(version=VERSION)

    return api


def _info(service: Service) -> Iterator[str]:
    labels = {"version": VERSION, "model": "", "device": ""}
    with suppress(NotReady):
        running = service.recogniser
        labels |= {"model": running.model.name, "device": running.device}
    return gauge_lines(f"{PREFIX}_info", "The version, face model and device.", 1, labels)


def _known(service: Service) -> Iterator[tuple[str, str, float]]:
    """Yield name, description and value of what the answering worker knows at the moment."""
    with suppress(NotReady, GalleryLoading, StoreUnavailable, IndexUnavailable):
        yield "gallery_employees", "Employees who can be found.", len(service.gallery)
    yield "threshold", "Distance below which a login matches (α).", service.threshold
    yield "max_fpir", "MAX_FPIR, the highest acceptable FPIR.", service.max_fpir
    if measured := service.measurement:
        same = len(measured.estimate.same)
        yield "likely_under_two_ids", "Pairs of ids that are likely one person's.", same
        if measured.fpir:
            about = "Share of strangers taken for an employee, as the gallery measures it."
            yield "fpir", about, measured.fpir.estimate
