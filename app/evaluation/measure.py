"""Measure pairs or a manifest with the service's own recognition, and gather a report's parts."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.evaluation import contact_sheet, figures
from app.evaluation.charts import Experiment
from app.evaluation.contact_sheet import Mistake
from app.evaluation.figures import Figures, Goal
from app.evaluation.identification import Gallery, Search
from app.evaluation.lists import ListError, Manifest, Pairs
from app.evaluation.rates import Distances
from app.evaluation.templates import Templates, Vector, embed
from app.recognition.recogniser import Recogniser

_CURVES = 4  # galleries in the chart


@dataclass(frozen=True, slots=True)
class Measured:
    """What a report shows.

    figures: for JSON. mated, non_mated: 1:1 distances. experiments: curves to draw. farthest,
    nearest: the hardest comparisons. refused: photo → reason.
    """

    folder: Path
    figures: Figures
    mated: Distances
    non_mated: Distances
    experiments: list[Experiment]
    farthest: list[Mistake]
    nearest: list[Mistake]
    refused: dict[str, str] = field(default_factory=dict)


def measure_pairs(
    pairs: Pairs, recogniser: Recogniser, alpha: float, goal: Goal | None
) -> Measured:
    """Compare photos two by two. Raises ListError if no photo can be used."""
    photos = list(dict.fromkeys((*pairs.first, *pairs.second)))
    templates, taken = _embed(photos, pairs.folder, recogniser.for_login, recogniser, "photos")
    distances = templates.compare(pairs.first, pairs.second)
    same = np.array(pairs.same)
    mated, non_mated = distances[same], distances[~same]
    lists = [*zip(pairs.first, pairs.second, strict=True)]
    recommended = figures.recommendation(non_mated, 1, None, goal) if goal else None
    found: Figures = {
        "kind": "pairs",
        "photos": len(photos),
        "not_used": {"probes": figures.failures(templates)},
        "time": taken,
        "verification": figures.verification(mated, non_mated, alpha, pairs=True),
        "costs": figures.costs(mated, non_mated, None, _alphas(alpha, recommended)),
        "recommendation": recommended,
        "notes": [],
    }
    return Measured(
        pairs.folder,
        found,
        mated,
        non_mated,
        [Experiment("1:1", mated, non_mated)],
        contact_sheet.farthest([lists[row] for row in np.flatnonzero(same)], mated, alpha),
        contact_sheet.nearest([lists[row] for row in np.flatnonzero(~same)], non_mated, alpha),
        templates.refused,
    )


def measure_manifest(
    manifest: Manifest, recogniser: Recogniser, alpha: float, people: int | None, fpir: float
) -> Measured:
    """Enrol people, and search for probes. Raises ListError if too few photos can be used.

    people: how many will be enrolled; by default as many as here. fpir: see Goal.
    """
    folder = manifest.folder
    enrolled, _ = _embed(
        list(dict.fromkeys(photo for photos in manifest.enrol.values() for photo in photos)),
        folder,
        lambda data: recogniser.for_enrolment(data).vector,
        recogniser,
        "enrolling",
    )
    probes, taken = _embed(
        list(dict.fromkeys(photo for _, photo in manifest.probes)),
        folder,
        recogniser.for_login,
        recogniser,
        "probes",
    )
    gallery = Gallery(manifest, enrolled, probes, recogniser.model)
    if len(gallery.people) < 2 or not (gallery.own >= 0).any():
        raise ListError(
            f"{len(gallery.people)} of {len(manifest.enrol)} people could be enrolled and searched "
            f"for; at least two are needed. {_refusals(enrolled)}"
        )
    goal = Goal(people or len(gallery.people), fpir)
    compared, searches = gallery.search(gallery.sizes(goal.people))
    chosen = next((s for s in searches if s.enrolled == goal.people), searches[-1])
    recommended = figures.recommendation(chosen.non_mated, chosen.enrolled, chosen, goal)
    alphas = _alphas(alpha, recommended)
    mated, non_mated = compared.mated, compared.non_mated
    found: Figures = {
        "kind": "manifest",
        "photos": len(enrolled.rows) + len(probes.rows),
        "people": {
            "to_enrol": len(manifest.enrol),
            "enrolled": len(gallery.people),
            "not_enrolled": len(gallery.not_enrolled),
        },
        "not_used": {"enrolment": figures.failures(enrolled), "probes": figures.failures(probes)},
        "time": taken,
        "verification": figures.verification(mated, non_mated, alpha, pairs=False),
        "strangers": "never enrolled" if manifest.strangers else "everybody else",
        "identification": [figures.identification(search, alpha) for search in searches],
        "costs": figures.costs(mated, non_mated, chosen, alphas),
        "costs_people": chosen.enrolled,
        "recommendation": recommended,
        "notes": manifest.notes,
    }
    return Measured(
        folder,
        found,
        mated,
        non_mated,
        [Experiment("1:1", mated, non_mated)]
        + [
            Experiment(f"1:{search.enrolled:,}", search.mated, search.non_mated)
            for search in searches[-_CURVES:]
        ],
        *_hardest(manifest, gallery, compared.mated, compared.mated_probes, searches[-1], alpha),
        enrolled.refused | probes.refused,
    )


def _hardest(
    manifest: Manifest,
    gallery: Gallery,
    mated: Distances,
    mated_probes: NDArray[np.intp],
    largest: Search,
    alpha: float,
) -> tuple[list[Mistake], list[Mistake]]:
    """Return the mated comparisons that are farthest, and the searches that are nearest.

    A probe is shown with the first photo of the other person.
    """

    def pair(probe: int, person: int) -> tuple[str, str]:
        return manifest.probes[probe][1], manifest.enrol[gallery.people[person].name][0]

    own = [pair(probe, gallery.own[probe]) for probe in mated_probes]
    others = [
        pair(probe, person)
        for probe, person in zip(largest.non_mated_probes, largest.nearest, strict=True)
    ]
    return (
        contact_sheet.farthest(own, mated, alpha),
        contact_sheet.nearest(others, largest.non_mated, alpha),
    )


def _embed(
    photos: list[str],
    folder: Path,
    vector: Callable[[bytes], Vector],
    recogniser: Recogniser,
    title: str,
) -> tuple[Templates, Figures]:
    """Return the vectors, and how long they took."""
    began = time.perf_counter()
    templates = embed(photos, folder, vector, recogniser.model, title)
    if len(templates.refused) == len(photos):
        raise ListError(f"no photo can be used. {_refusals(templates)}")
    took = time.perf_counter() - began
    return templates, figures.times(templates, os.cpu_count() or 1, took)


def _refusals(templates: Templates) -> str:
    reasons = ", ".join(f"{why}: {count:,}" for why, count in templates.refusals.most_common())
    return f"Photos refused: {reasons or 'none'}."


def _alphas(alpha: float, recommended: Figures | None) -> list[float]:
    if recommended is None or recommended["alpha"] is None:
        return [alpha]
    return [alpha, recommended["alpha"]]
