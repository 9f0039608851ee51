"""Compare the service with a straightforward one: `python -m benchmarks`, or `make bench`.

Write figures as JSON, plots, and a page with tables. A part can be measured again alone; the page
shows the figures of all parts measured so far.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import (
    detection,
    embedding,
    http_login,
    load,
    machine,
    plots,
    report,
    stages,
    starting,
)
from benchmarks.rounds import Effort
from testbed.serving import MODELS_DIR, ROOT

PARTS: dict[str, Callable[[Effort], dict[str, Any]]] = {
    "embedding": embedding.measure,
    "detection": detection.measure,
    "stages": stages.measure,
    "http_login": http_login.measure,
    "load": load.measure,
    "starting": starting.measure,
}
QUICK, FULL = ROOT / ".cache" / "benchmarks" / "quick", ROOT / "docs" / "benchmarks"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rounds, into .cache")
    parser.add_argument("--only", nargs="*", choices=[*PARTS, "search"], help="default: all")
    parser.add_argument("--out", type=Path, help="folder (default: docs/benchmarks)")
    options = parser.parse_args()
    out = options.out or (QUICK if options.quick else FULL)
    out.mkdir(parents=True, exist_ok=True)
    wanted = [*PARTS, "search"] if options.only is None else options.only

    for part in wanted:
        began = time.monotonic()
        if part == "search":
            _search(out, options.quick)
        else:
            before = machine.describe()
            figures = PARTS[part](Effort(options.quick))
            made = {"quick": options.quick, "machine": before, "figures": figures}
            (out / f"{part}.json").write_text(json.dumps(made, indent=1) + "\n")
        print(f"{part}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)

    measured = figures_in(out, quick=options.quick)
    plots.draw(measured, out)
    page = report.page(measured)
    (out / "README.md").write_text(page)
    print(page)


def figures_in(folder: Path, *, quick: bool = False) -> dict[str, Any]:
    """Return the contents of each part's file in a folder of figures."""
    files = {part: folder / f"{part}.json" for part in [*PARTS, "search"]}
    measured = {part: json.loads(file.read_text()) for part, file in files.items() if file.exists()}
    if "search" in measured:  # that part writes its file itself
        measured["search"] = {"quick": quick, "figures": measured["search"]}
    return measured


def _search(out: Path, quick: bool) -> None:
    command = [
        sys.executable,
        "-m",
        "benchmarks.search",
        "--out",
        str(out.resolve() / "search.json"),
    ]
    if quick:
        command.append("--quick")
    variables = os.environ | {"MODELS_DIR": str(MODELS_DIR)}
    subprocess.run(command, cwd=ROOT, env=variables, stdout=subprocess.DEVNULL, check=True)


if __name__ == "__main__":
    main()
