"""Measure how fast and how reliably the gallery index finds the nearest employee.

`python -m benchmarks.search [--quick]` searches galleries of growing size, with vectors of 512 and
of 128 numbers, and compares NumPy's float32 product and faiss's flat index in the same run. It also
loads the largest gallery from an SQLite file. It prints a table and writes
docs/benchmarks/search.json. The largest gallery needs 7 GB of memory and 3 GB of disk. MODELS_DIR
comes from the environment, as in the service.

Photos in --faces make the 128-dimensional galleries realistic. Those of 512 dimensions, whose
network must be downloaded, are random.
"""

import argparse
import gc
import json
import os
import platform
import sqlite3
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from tqdm import tqdm

from app.gallery.memory_gallery import MemoryGallery
from app.gallery.memory_index import MemoryIndex
from app.settings import load_settings
from app.storage.sqlite.store import SqliteStore
from benchmarks.galleries import Gallery, Vectors, drawn, photographed
from benchmarks.rounds import Effort, interleave
from testbed.employees import face_model

ALPHA = 1.0  # the largest α; beyond it nobody matches, so nobody need be found
COUNT = 8  # employees that a search returns
LOADED_AT_ONCE = 4_096
UPDATES = 100
MEASURABLE = 1_000_000  # fewer people may fit into memory that the process had already
EARLY_BYTES = 32  # of a row's code that every search reads
SIZES = (1_000, 10_000, 100_000, 1_000_000)
OURS, NUMPY, FLAT = "index", "numpy", "faiss flat"


def measure(gallery: Gallery, effort: Effort, bandwidth: float) -> dict[str, Any]:
    """Return the figures of one gallery."""
    people = len(gallery.vectors)
    before, began = _resident_bytes(), time.perf_counter()
    index = MemoryIndex(gallery.vectors.shape[1])
    for start in range(0, people, LOADED_AT_ONCE):
        part = gallery.vectors[start : start + LOADED_AT_ONCE]
        index.put(np.arange(start, start + len(part)), part)
    build_s = time.perf_counter() - began
    memory = (_resident_bytes() - before) / people
    found = [index.nearest(probe, COUNT) for probe in tqdm(gallery.probes, unit=" searches")]
    return {
        "dimension": gallery.vectors.shape[1],
        "people": people,
        "origin": gallery.origin,
        "recall": recall(gallery, found),
        "search": side_by_side(gallery, index, effort(9, 25)),
        "searches_per_s": {
            str(threads): round(throughput(gallery, index, threads, effort(1, 3)))
            for threads in (1, 2, 8)
        },
        "build_s": round(build_s, 2),
        "bytes_per_vector": round(memory) if people >= MEASURABLE else None,
        "roofline_ms": round(people * EARLY_BYTES / bandwidth * 1e3, 3),
        "updates": updates(gallery, index),
    }


def recall(gallery: Gallery, found: list[list[int]]) -> dict[str, Any]:
    """Return which share of the nearest employees below α was found, and of the nearest mates."""
    nearest = gallery.nearest()
    proposed = np.array([row in rows for row, rows in zip(nearest, found, strict=True)])
    below = gallery.distances(nearest) < ALPHA
    mated = below & (nearest == gallery.mates)
    return {
        "nearest": float(proposed[below].mean()),
        "of_nearest": int(below.sum()),
        "mates": float(proposed[mated].mean()),
        "of_mates": int(mated.sum()),
    }


def side_by_side(gallery: Gallery, index: MemoryIndex, rounds: int) -> dict[str, Any]:
    """Time searches for the nearest COUNT, and NumPy's product for the nearest one."""
    vectors, probes = gallery.vectors, gallery.probes
    flat = faiss.IndexFlatIP(vectors.shape[1])
    flat.add(vectors)

    def probe(number: int) -> Vectors:
        vector: Vectors = probes[number % len(probes)]
        return vector

    timings = interleave(
        {
            OURS: lambda number: index.nearest(probe(number), COUNT),
            NUMPY: lambda number: np.argmax(vectors @ probe(number)),
            FLAT: lambda number: flat.search(probe(number)[None], COUNT),
        },
        rounds,
    )
    return {
        case: {
            "median_ms": round(timings.median_ms(case), 3),
            "least_ms": round(min(seconds) * 1e3, 3),
            "p95_ms": round(float(np.quantile(seconds, 0.95)) * 1e3, 3),
        }
        for case, seconds in timings.seconds.items()
    }


def throughput(gallery: Gallery, index: MemoryIndex, threads: int, seconds: float) -> float:
    """Return the searches a second of so many threads together."""
    end = time.perf_counter() + seconds

    def search(first: int) -> int:
        number = 0
        while time.perf_counter() < end:
            index.nearest(gallery.probes[(first + number) % len(gallery.probes)], COUNT)
            number += 1
        return number

    with ThreadPoolExecutor(threads) as pool:
        began = time.perf_counter()
        done = sum(pool.map(search, range(threads)))
    return done / (time.perf_counter() - began)


def updates(gallery: Gallery, index: MemoryIndex) -> dict[str, Any]:
    """Return the median and the longest milliseconds of updates, which change the index."""
    people = len(gallery.vectors)
    chosen = np.random.default_rng(1).permutation(people)[: 2 * UPDATES].tolist()
    cases = {
        "add": lambda number: index.put(np.array([people + number]), gallery.probes[:1]),
        "replace": lambda number: index.put(
            np.array(chosen[number : number + 1]), gallery.probes[:1]
        ),
        "remove": lambda number: index.remove([chosen[UPDATES + number]]),
    }
    timings = interleave(cases, UPDATES, warm=0)
    return {
        case: {
            "median_ms": round(timings.median_ms(case), 3),
            "most_ms": round(max(seconds) * 1e3, 3),
        }
        for case, seconds in timings.seconds.items()
    }


def load_from_store(vectors: Vectors) -> dict[str, Any]:
    """Measure how long loading all employees from an SQLite file takes."""
    people, dimension = vectors.shape
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "employees.db"
        store = SqliteStore(path)
        database = sqlite3.connect(path)
        with database:
            database.execute("PRAGMA synchronous = OFF")
            database.executemany(
                "INSERT INTO employees (employee_id, name, surname, model, dimension, vectors) "
                "VALUES (?, 'Ada', 'Lovelace', 'm', ?, ?)",
                ((row + 1, dimension, vector.tobytes()) for row, vector in enumerate(vectors)),
            )
        database.close()
        began = time.perf_counter()
        MemoryGallery(store, face_model("m", dimension)).load()
        seconds = time.perf_counter() - began
        store.close()
    return {"people": people, "dimension": dimension, "seconds": round(seconds, 1)}


def bandwidth_bytes_per_s() -> float:
    """Measure how fast one core reads memory: the best of several sums over 256 MB."""
    numbers = np.ones(2**25, np.uint64)
    timings = interleave({"sum": lambda number: numbers.sum()}, 15)
    return numbers.nbytes / min(timings.seconds["sum"])


def table(figures: dict[str, Any]) -> str:
    head = (
        "people × numbers",
        "index ms (p95)",
        "NumPy ms",
        "faiss flat ms",
        "× NumPy",
        "recall: nearest, mates",
        "bytes/vector",
        "build s",
        "add, replace, remove ms",
        "searches/s on 1, 2, 8 threads",
    )
    lines = [f"| {' | '.join(head)} |", "|---:" * len(head) + "|"]
    for row in figures["galleries"]:
        search, found = row["search"], row["recall"]
        speedup = search[NUMPY]["median_ms"] / search[OURS]["median_ms"]
        cells = [
            f"{row['people']:,} × {row['dimension']}",
            f"{search[OURS]['median_ms']:.2f} ({search[OURS]['p95_ms']:.2f})",
            f"{search[NUMPY]['median_ms']:.2f}",
            f"{search[FLAT]['median_ms']:.2f}",
            f"{speedup:.1f}",
            f"{found['nearest']:.4f}, {found['mates']:.4f}",
            f"{row['bytes_per_vector'] or ''}",
            f"{row['build_s']}",
            ", ".join(f"{case['median_ms']:.2f}" for case in row["updates"].values()),
            ", ".join(f"{rate:,}" for rate in row["searches_per_s"].values()),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    loads = [
        f"{load['people']:,} × {load['dimension']} loaded from SQLite in {load['seconds']} s."
        for load in figures["loads"]
    ]
    return "\n".join([*lines, "", *loads])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="up to 100,000 people, few rounds")
    parser.add_argument("--faces", type=Path, default=Path("../shared/faces/lfw_dev"))
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks/search.json"))
    options = parser.parse_args()
    effort = Effort(options.quick)
    sizes, probes = SIZES[: effort(3, 4)], effort(300, 1_800)
    models_dir, cache = load_settings().models_dir, Path(".cache/benchmarks/dlib_photos.npz")

    bandwidth = bandwidth_bytes_per_s()
    figures: dict[str, Any] = {
        "cpu_count": os.cpu_count(),
        "machine": platform.machine(),
        "load_average": os.getloadavg()[0],
        "numpy": np.__version__,
        "faiss": faiss.__version__,
        "one_core_reads_gb_per_s": round(bandwidth / 1e9, 1),
        "galleries": [],
        "loads": [],
    }
    for dimension in (512, 128):
        for people in sizes:
            if dimension == 128 and options.faces.is_dir():
                gallery = photographed(options.faces, models_dir, people, probes, cache)
            else:
                gallery = drawn(dimension, people, probes)
            figures["galleries"].append(measure(gallery, effort, bandwidth))
            if people == sizes[-1]:
                figures["loads"].append(load_from_store(gallery.vectors))
            del gallery
            gc.collect()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(figures, indent=2) + "\n")
    print(table(figures))


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
