"""The call `gallery`: how many strangers are let in, and who likely has two ids?"""

from flask import Blueprint, Response, jsonify

from app.api.access import scope
from app.api.errors import Problem
from app.api.openapi import describe
from app.api.schemas import MAX_ID, about, described, named
from app.api.v2.system import FPIR
from app.gallery.report import report
from app.lifecycle import Service

_ID = {"type": "integer", "minimum": 0, "maximum": MAX_ID}
_WHOLE = {"type": "integer"}
_NUMBER = {"type": "number"}
_NULL = {"type": "null"}
_AT = named(
    "FpirAtThreshold",
    described(threshold=_NUMBER, estimate=_NUMBER, low=_NUMBER, high=_NUMBER),
)
_PAIR = about(
    "two ids that are likely one person's",
    named("SamePerson", described(one=_ID, other=_ID, distance=_NUMBER)),
)
_MEASUREMENT = named(
    "Measurement",
    described(
        employees=about("who can be compared", _WHOLE),
        with_one_vector=about("those with one sample", _WHOLE),
        first_with_one_vector=about(
            "20 of their ids; people whose photo was not good come first",
            {"type": "array", "items": _ID},
        ),
        compared=about("those who were compared with all others", _WHOLE),
        threshold=about("α in force", _NUMBER),
        fpir={"anyOf": [FPIR, _NULL]},
        likely_under_two_ids=about("how many pairs same_person names", _WHOLE),
        max_fpir=about("MAX_FPIR", _NUMBER),
        auto=about("α that LOGIN_MATCH_THRESHOLD=auto takes", {"type": ["number", "null"]}),
        fpir_by_threshold={"type": "array", "items": _AT},
        same_person=about("the nearest first", {"type": "array", "items": _PAIR}),
    ),
)
GALLERY = named(
    "Gallery",
    described(measurement=about("null before the first one", {"anyOf": [_MEASUREMENT, _NULL]})),
)


def add(api: Blueprint, service: Service) -> None:
    """Add the call. It computes nothing: the service measures its gallery in the background."""

    @api.get("/gallery", endpoint="gallery")
    @describe("Tell what the gallery says of itself", answers=GALLERY)
    def show_gallery() -> Response:
        if scope() is not None:
            raise Problem(
                403, "group_forbidden", "the gallery is measured over people of all groups"
            )
        measured = service.measurement
        said = report(measured, service.max_fpir) if measured else None
        return jsonify(measurement=said)
