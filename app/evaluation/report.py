"""Show what was measured, as one HTML page that needs no network and no other file."""

import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from app import private_files
from app.evaluation import charts, contact_sheet
from app.evaluation.figures import Figures
from app.evaluation.measure import Measured

_REFUSED = 24  # photos shown


def page(measured: Measured, mistakes: bool) -> str:
    """Return the page. mistakes: whether to show photos and names of the hardest comparisons."""
    figures = measured.figures
    alpha = figures["alpha"]
    recommended = (figures["recommendation"] or {}).get("alpha")
    lines = {"α": alpha} | ({} if recommended in (None, alpha) else {"recommended": recommended})
    environment = Environment(
        loader=PackageLoader("app.evaluation", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "interval": interval, "share": share}
    refused = sorted(measured.refused.items(), key=lambda item: (item[1], item[0]))[:_REFUSED]
    hardest = (*measured.farthest, *measured.nearest)
    names = chain(
        (mistake.first for mistake in hardest),
        (mistake.second for mistake in hardest),
        (photo for photo, _ in refused),
    )
    return environment.get_template("report.html").render(
        f=figures,
        det=charts.det(measured.experiments, alpha),
        histogram=charts.histogram(measured.mated, measured.non_mated, lines),
        mistakes=mistakes,
        farthest=measured.farthest,
        nearest=measured.nearest,
        refused=refused,
        thumbnails=contact_sheet.thumbnails(measured.folder, names) if mistakes else {},
    )


def summary(figures: Figures) -> Iterator[str]:
    """Yield the most important figures as lines of text."""
    for used_as, refused in figures["not_used"].items():
        reasons = ", ".join(f"{why}: {count:,}" for why, count in refused["reasons"].items())
        yield f"{used_as}, photos refused: {share(refused)}{reasons and f', {reasons}'}"
    pairs = figures["verification"]
    if rate := pairs.get("accuracy_cross_validated"):
        yield f"accuracy: {share(rate)}, 95 % interval {interval(rate)}"
    for point in pairs["at_fmr"]:
        tar = point["tar"]
        yield f"TAR at FMR {100 * point['fmr']:g} %: {share(tar)}, 95 % interval {interval(tar)}"
    for search in figures.get("identification", ()):
        at = search["at_alpha"]
        yield (
            f"{search['enrolled']:,} people, α {at['alpha']:g}: FPIR {share(at['fpir'])}, "
            f"FNIR {share(at['fnir'])}"
        )
        for point in search["at_fpir"]:
            fnir = point["fnir"]
            yield (
                f"  at FPIR {100 * point['fpir']:g} %, α {point['alpha']}: FNIR {share(fnir)}, "
                f"95 % interval {interval(fnir)}"
            )
    taken = figures["time"]
    yield f"{taken['median_ms']} ms per photo (median), {taken['at_once']} at once"
    recommended = figures["recommendation"]
    if recommended is None:
        yield "No α is recommended for pairs without --people, the number of people enrolled."
    elif recommended["alpha"] is None:
        yield f"No α is recommended. {recommended['reason']}"
    else:
        yield (
            f"recommended: LOGIN_MATCH_THRESHOLD={recommended['alpha']} for "
            f"{recommended['people']:,} people, FPIR at most {percent(recommended['max_fpir'])}"
        )


def write(measured: Measured, file: Path, mistakes: bool) -> Path:
    """Write the page, and its figures as JSON beside it; return the path of the JSON.

    Only the owner can read the files, because they may show faces and names. Raises OSError.
    """
    beside = file.with_suffix(".json")
    for path, text in ((file, page(measured, mistakes)), (beside, as_json(measured, mistakes))):
        private_files.write(path, text.encode(errors="backslashreplace"))  # names of files
    return beside


def as_json(measured: Measured, mistakes: bool) -> str:
    """Return the figures. mistakes: as in `page`."""
    found: dict[str, Any] = measured.figures
    if mistakes:
        found = found | {
            "hardest": {
                kind: [
                    {"photos": [m.first, m.second], "distance": round(m.distance, 4)} for m in each
                ]
                for kind, each in (("mated", measured.farthest), ("non_mated", measured.nearest))
            },
            "refused": dict(sorted(measured.refused.items())),
        }
    return json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def percent(share: float) -> str:
    """Return a rate, with more digits if it is very small."""
    return f"{share:.4%}" if 0 < share < 0.001 else f"{share:.2%}"


def share(rate: dict[str, Any]) -> str:
    """Return a rate with its counts."""
    return f"{percent(rate['value'])} ({rate['count']:,} of {rate['of']:,})"


def interval(rate: dict[str, Any]) -> str:
    """Return the 95 % interval of a rate."""
    low, high = rate["interval_95"]
    return f"{percent(low)} to {percent(high)}"
