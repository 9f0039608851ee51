"""Measure how often the service mistakes a person for another, or does not recognise them.

`python -m benchmarks.accuracy` runs every photo of Labeled Faces in the Wild, View 1, through
decode → detect → align → embed, as a login does, and writes docs/accuracy.{json,md,png} and the
model's table in app/recognition/strangers.json. Settings such as MODELS_DIR and
LOGIN_MATCH_THRESHOLD come from the environment, as in the service.
"""

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from app.evaluation import rates
from app.evaluation.rates import Distances, Rate
from app.gallery.distances import normalised
from app.recognition import comparison_score
from app.recognition.picture_requirements import PictureRequirements
from app.recognition.recogniser import Recogniser
from app.settings import load_settings
from benchmarks import accuracy_report
from benchmarks.comparisons import (
    Pairs,
    Search,
    all_non_mated,
    compare_pairs,
    embed,
    person,
    search,
)
from models.catalogue import Catalogue
from models.runtime import choose_runtime

FMRS = (0.01, 0.001, 0.0001)
FPIRS = (0.1, 0.01, 0.003)
DRAWS = {10: 100, 100: 20, 1_000: 6}  # people enrolled: galleries drawn
SHARES = (
    *(1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.02, 0.05),
    *np.arange(1, 10) / 10,
)
"""Shares of pairs of different people for which the table of comparison scores has distances."""
DISTANCES = {"plain": partial(np.min, axis=-1), "normalised": normalised}


def verification(train: Pairs, test: Pairs, strangers: Distances, alpha: float) -> dict[str, Any]:
    """Return the 1:1 rates on the test list. strangers: all non-mated comparisons of its photos."""
    best = rates.most_accurate_threshold(train.mated, train.non_mated)
    points = [(fmr, rates.threshold_at(strangers, fmr)) for fmr in FMRS]
    return {
        "distances": {
            "mated": _spread(test.mated),
            "non-mated": _spread(test.non_mated),
        },
        "at_alpha": {
            "fmr": _rate(rates.below(test.non_mated, alpha)),
            "fmr_every_two_people": _rate(rates.below(strangers, alpha)),
            "fnmr": _rate(rates.missed(test.mated, alpha)),
            "accuracy": _rate(rates.accuracy(test.mated, test.non_mated, alpha)),
        },
        "at_most_accurate_on_devtrain": {
            "threshold": best,
            "accuracy": _rate(rates.accuracy(test.mated, test.non_mated, best)),
        },
        "equal_error_rate": rates.equal_error_rate(test.mated, test.non_mated),
        "at_fmr": [
            {"fmr": fmr, "threshold": threshold, "fnmr": _rate(rates.missed(test.mated, threshold))}
            for fmr, threshold in points
        ],
    }


def identification(found: Search, distance: str, alpha: float) -> dict[str, Any]:
    """Return the rates of identification experiments. distance: a key of DISTANCES."""
    points = [(fpir, rates.threshold_at(found.non_mated, fpir)) for fpir in FPIRS]
    return {
        "enrolled": found.enrolled,
        "draws": found.draws,
        "distance": distance,
        "nearest_is_right": _rate(rates.below(found.mated_right, np.inf)),
        "at_alpha": {
            "fpir": _rate(rates.below(found.non_mated, alpha)),
            "fnir": _rate(rates.missed(found.mated_right, alpha)),
            "mated_taken_for_another": _rate(rates.below(found.mated_wrong, alpha)),
        },
        "at_fpir": [
            {
                "fpir": fpir,
                "threshold": threshold,
                "fnir": _rate(rates.missed(found.mated_right, threshold)),
            }
            for fpir, threshold in points
        ],
    }


def write_strangers(model: str, distances: Distances) -> None:
    """Write the model's table of comparison scores. distances: of all pairs of different people."""
    distances = distances[np.isfinite(distances)]
    shares = [*map(float, SHARES), 1.0]
    path = comparison_score.TABLES
    tables = json.loads(path.read_text()) if path.exists() else {}
    tables[model] = {
        "pairs": len(distances),
        "shares": shares,
        "distances": np.quantile(distances, shares).round(4).tolist(),
    }
    path.write_text(json.dumps(tables, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="dlib", help="dlib (default), vggface2")
    parser.add_argument("--faces", type=Path, default=Path("../shared/faces/lfw_dev"))
    parser.add_argument("--out", type=Path, default=Path("docs/accuracy"), help="without suffix")
    options = parser.parse_args()
    if not options.faces.is_dir():
        sys.exit(f"The photos are not there: {options.faces}. Say where they are with --faces")

    settings = load_settings()
    alpha = settings.login_match_threshold
    runtime = choose_runtime(settings.device)
    model = Catalogue(settings.models_dir).get(options.model)
    templates = embed(Recogniser(runtime, model, PictureRequirements()), options.faces)
    write_strangers(model.name, all_non_mated(templates, list(templates.rows)))
    train = compare_pairs(templates, options.faces / "pairs_devtrain.csv")
    test = compare_pairs(templates, options.faces / "pairs_devtest.csv")
    strangers = all_non_mated(templates, test.photos)
    searches = {
        (enrolled, name): search(templates, enrolled, draws, measure)
        for enrolled, draws in DRAWS.items()
        for name, measure in DISTANCES.items()
    }

    figures = {
        "model": model.name,
        "distance_scale": model.distance_scale,
        "alpha": alpha,
        "device": runtime.device,
        "photos": len(templates.rows),
        "people": len({person(photo) for photo in templates.rows}),
        "refused": dict(sorted(templates.refusals.items())),
        "verification": verification(train, test, strangers, alpha),
        "identification": [
            identification(found, name, alpha) for (_, name), found in searches.items()
        ],
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.with_suffix(".json").write_text(json.dumps(figures, indent=2) + "\n")
    accuracy_report.plot(
        options.out.with_suffix(".png"),
        alpha,
        {
            "1:1, FNMR over FMR": (test.mated, strangers),
        }
        | {
            f"1:{enrolled:,}, FNIR over FPIR, {name}": (found.mated_right, found.non_mated)
            for (enrolled, name), found in searches.items()
            if enrolled == max(DRAWS)
        },
    )
    report = accuracy_report.markdown(figures, options.out.with_suffix(".png").name)
    options.out.with_suffix(".md").write_text(report)
    print(report)


def _rate(rate: Rate) -> dict[str, Any]:
    return rate.figures()


def _spread(distances: Distances) -> dict[str, float]:
    finite = distances[np.isfinite(distances)]
    shares = dict(zip(("p1", "p50", "p99"), np.percentile(finite, (1, 50, 99)), strict=True))
    figures = {"mean": finite.mean(), "sd": finite.std(), **shares}
    return {name: round(float(value), 4) for name, value in figures.items()}


if __name__ == "__main__":
    main()
