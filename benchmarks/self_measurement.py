"""Compare what galleries say of themselves with the truth, measured with people not enrolled.

`python -m benchmarks.self_measurement` draws galleries from Labeled Faces in the Wild, View 1, lets
everybody else try to log in, and writes the tables of docs/self-measurement.md.
"""

import argparse
import json
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.gallery.distances import normalised
from app.gallery.false_matches import estimate
from app.gallery.neighbours import find_neighbours
from app.gallery.self_measurement import Policy, SelfMeasurement
from app.storage import Employee
from app.storage.sqlite.store import SqliteStore
from benchmarks.galleries import photo_vectors, photographed
from benchmarks.machine import describe
from models.catalogue import Catalogue
from testbed.employees import fill
from testbed.serving import MODELS_DIR, ROOT

FACES = ROOT.parent / "shared/faces/lfw_dev"
VECTORS = ROOT / ".cache/benchmarks/dlib_photos.npz"
OUT = ROOT / "docs/benchmarks/self_measurement.json"

SIZES, DUPLICATES, COSTS = (50, 300, 1_000), (0.0, 0.02), (1_000, 100_000)
ALPHA, MAX_FPIR = 0.8, 0.01
MODEL = Catalogue(MODELS_DIR).get("dlib")
Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Draw:
    """A gallery, and who tries to log in.

    enrolled: one vector for each id. twice: the ids that are one person. mated: other photos of
    `owners`, who have one id each. strangers: everybody else.
    """

    enrolled: list[Employee]
    twice: set[tuple[int, int]]
    owners: list[int]
    mated: Vectors
    strangers: Vectors


def draw(vectors: Vectors, names: NDArray[np.str_], size: int, share: float, seed: int) -> Draw:
    """Enrol `size` people by one photo each, and a share of them again by another photo."""
    random = np.random.default_rng(seed)
    photos_of = {name: np.flatnonzero(names == name) for name in np.unique(names)}
    people = random.permutation(list(photos_of))
    rows = [int(random.choice(photos_of[name])) for name in people]
    several = [each for each in range(size) if len(photos_of[people[each]]) > 1]
    twice = [int(each) for each in random.permutation(several)[: round(share * size)]]

    def others(ids: list[int]) -> list[int]:
        """Return another photo of each."""
        return [
            int(random.choice(np.setdiff1d(photos_of[people[each]], rows[each]))) for each in ids
        ]

    again, owners = others(twice), sorted(set(several) - set(twice))
    return Draw(
        list(_employees(vectors[rows[:size] + again])),
        {(one, size + other) for other, one in enumerate(twice)},
        owners,
        vectors[others(owners)],
        vectors[rows[size:]],
    )


def outcome(drawn: Draw) -> dict[str, Any]:
    """Return the estimates for α 0.8 and for `auto`, and the truth."""
    found = estimate(find_neighbours(lambda: drawn.enrolled, MODEL, lambda _: None))
    assert found.curve
    gallery = np.concatenate([employee.vectors for employee in drawn.enrolled])
    strangers, mated = _distances(drawn.strangers, gallery), _distances(drawn.mated, gallery)
    right = mated.argmin(axis=1) == drawn.owners
    strangers, mated = normalised(strangers), normalised(mated)
    auto = found.curve.threshold(MAX_FPIR)
    named = {(pair.one, pair.other) for pair in found.same}

    curve = found.curve

    def compared(alpha: float) -> dict[str, float]:
        truth, fnir = float((strangers < alpha).mean()), float(1 - (right & (mated < alpha)).mean())
        return {"alpha": alpha, "truth": truth, "fnir": fnir, **asdict(curve.fpir(alpha))}

    return {
        "fixed": compared(ALPHA),
        "auto": compared(auto),
        "twice": len(drawn.twice),
        "named": len(named),
        "named_rightly": len(named & drawn.twice),
    }


def cost(people: int) -> dict[str, Any]:
    """Return the time and memory of a measurement of a SQLite store."""
    gallery = photographed(FACES, MODELS_DIR, people, 1, VECTORS)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "employees.db"
        SqliteStore(path).close()
        fill(path, _employees(gallery.vectors))
        with closing(SqliteStore(path)) as store:
            began = time.perf_counter()
            for _ in store.read_all():
                pass
            reading = time.perf_counter() - began
            policy = Policy(None, MAX_FPIR)
            began, cpu = time.perf_counter(), time.process_time()
            SelfMeasurement(store, MODEL, policy, quiet=True).measure()
            seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
            tracemalloc.start()
            SelfMeasurement(store, MODEL, policy, quiet=True).measure()
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
    return {
        "people": people,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu, 2),
        "reading_once_seconds": round(reading, 2),
        "peak_mb": round(peak / 1e6),
    }


def table(figures: dict[str, Any]) -> str:
    """Return the tables of docs/self-measurement.md."""
    lines = [
        "| enrolled | twice | FPIR at α 0.8 | estimate | within the interval | FNIR | "
        "`auto`: α | FPIR | most | FNIR | pairs reported |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for group in figures["galleries"]:
        fixed = [each["fixed"] for each in group["draws"]]
        auto = [each["auto"] for each in group["draws"]]
        inside = sum(each["low"] <= each["truth"] <= each["high"] for each in fixed)
        alphas = [each["alpha"] for each in auto]
        named, rightly, twice = (
            sum(each[key] for each in group["draws"]) for key in ("named", "named_rightly", "twice")
        )
        lines.append(
            f"| {group['people']:,} | {group['duplicates']:.0%} "
            f"| {_mean(fixed, 'truth'):.2%} | {_mean(fixed, 'estimate'):.2%} "
            f"| {inside} of {len(fixed)} | {_mean(fixed, 'fnir'):.1%} "
            f"| {min(alphas):.3f} to {max(alphas):.3f} | {_mean(auto, 'truth'):.2%} "
            f"| {max(each['truth'] for each in auto):.2%} | {_mean(auto, 'fnir'):.1%} "
            f"| {named} ({rightly} of {twice}) |"
        )
    lines += ["", "| employees | seconds | CPU seconds | of these, reading | memory |"]
    lines.append("|---:|---:|---:|---:|---:|")
    lines += [
        f"| {each['people']:,} | {each['seconds']} | {each['cpu_seconds']} "
        f"| {2 * each['reading_once_seconds']:.2f} | {each['peak_mb']} MB |"
        for each in figures["costs"]
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--seed", type=int, default=9_000, help="of the first draw")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    vectors, names = photo_vectors(FACES, MODELS_DIR, VECTORS)
    galleries = [
        {
            "people": size,
            "duplicates": share,
            "draws": [
                outcome(draw(vectors, names, size, share, options.seed + number))
                for number in range(options.draws)
            ],
        }
        for size in SIZES
        for share in DUPLICATES
    ]
    costs = [cost(people) for people in COSTS]
    figures = {"machine": describe(), "galleries": galleries, "costs": costs}
    options.out.write_text(json.dumps(figures, indent=1) + "\n")
    print(table(figures))


def _distances(probes: Vectors, gallery: Vectors) -> NDArray[np.float64]:
    squares = 2 - 2 * (probes @ gallery.T).astype(np.float64)
    return np.asarray(np.sqrt(np.maximum(squares, 0)) * MODEL.distance_scale)


def _employees(vectors: Vectors) -> Iterator[Employee]:
    for number, vector in enumerate(vectors):
        yield Employee(number, "Ada", "Lovelace", vector[None], MODEL.name)


def _mean(rows: list[dict[str, float]], key: str) -> float:
    return float(np.mean([row[key] for row in rows]))


if __name__ == "__main__":
    main()
