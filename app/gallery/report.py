"""What the gallery says of itself, with the ids of those concerned: for administrators alone."""

from dataclasses import asdict

from app.gallery.false_matches import Curve
from app.gallery.self_measurement import Measurement

_THRESHOLDS = (0.6, 0.65, 0.7, 0.75, 0.8)


def thresholds(curve: Curve, in_force: float, max_fpir: float) -> list[float]:
    """Return each α to show, in ascending order: some, the one in force, and that of `auto`.

    max_fpir: the highest acceptable share of strangers who are taken for an employee.
    """
    return sorted({*_THRESHOLDS, in_force, curve.threshold(max_fpir)})


def report(measured: Measurement, max_fpir: float) -> dict[str, object]:
    """Return a measurement as JSON. max_fpir: as in `thresholds`."""
    curve, shares, auto = measured.estimate.curve, [], None
    if curve:
        auto = curve.threshold(max_fpir)
        shares = [
            {"threshold": each, **asdict(curve.fpir(each))}
            for each in thresholds(curve, measured.threshold, max_fpir)
        ]
    return measured.summary() | {
        "first_with_one_vector": list(measured.first_single),
        "max_fpir": max_fpir,
        "auto": auto,
        "fpir_by_threshold": shares,
        "same_person": [asdict(pair) for pair in measured.estimate.same],
    }
