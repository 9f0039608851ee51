"""Show the figures of all parts as a page."""

from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks import bounds
from benchmarks.targets import targets

Figures = dict[str, Any]

_HOW = """\
Times are medians. Things that are compared are measured in one run, in turns (A, B, C, A, B, C …),
so that other load on the machine affects all of them alike. Photos show a dozen different people,
640×480, as JPEG (quality 90) and as PNG, which browsers send. *This service* runs with the model
`dlib`, and, as `facenet`, with an InceptionResnetV1 with random weights: arithmetic takes as long
with any weights. The people of the photos are enrolled, and 10,000 employees with random vectors.

*Straightforward* is [benchmarks/straightforward.py](../../benchmarks/straightforward.py):
facenet-pytorch's MTCNN, built for each request and run twice (to detect, to crop); the same
InceptionResnetV1 in eager PyTorch, in float32, with as many threads as there are cores; and the
whole table of employees, read from SQLite and compared with scikit-learn. It reads the table in
one statement with vectors as bytes; *paged*, it reads 50 rows a statement with LIMIT and OFFSET.
It runs under gunicorn, as this service does. *dlib* is dlib's HOG detector, landmarks and network,
in process, without a search."""


def page(measured: dict[str, Figures]) -> str:
    """Return the page. measured: the contents of each part's file."""
    parts = {
        "http_login": _http_login,
        "stages": _stages,
        "embedding": _embedding,
        "detection": _detection,
        "load": _load,
        "starting": _starting,
        "search": _search,
    }
    found = [part(measured[name]) for name, part in parts.items() if name in measured]
    quick = any(figures.get("quick") for figures in measured.values())
    note = ["**A quick run with few rounds: for trying things out, not for conclusions.**"] * quick
    head = [
        "# Benchmarks",
        "`make bench` generates this page, the plots and the JSON files next to it.",
    ]
    return "\n\n".join([*head, *note, _summary(measured), _HOW, *found, _machine(measured)]) + "\n"


def _summary(measured: dict[str, Figures]) -> str:
    rows = [target.row for target in targets(measured)]
    found = [_table(("target", "", "measured", "met"), rows)]
    if sentences := bounds.sentences(measured):
        found += ["What limits these figures on this machine:", _list(sentences)]
    return "\n\n".join(found)


def _http_login(made: Figures) -> str:
    requests = made["figures"]["requests"]
    forms = ("JPEG", "PNG", "12 MP JPEG")
    names = dict.fromkeys(case.rpartition(": ")[0] for case in requests)
    rows = [(name, *(_ms(requests.get(f"{name}: {form}")) for form in forms)) for name in names]
    decoding = made["figures"]["decoding"]
    sizes = ", ".join(
        f"{form} {size:,} bytes" for form, size in made["figures"]["photo_bytes"].items()
    )
    return "\n\n".join(
        (
            "## A login over HTTP, one client",
            "![Requests](http_login.png)",
            _table(("median ms (quartiles)", *forms), rows),
            f"Photos: {sizes} (median).",
            "libjpeg alone, decoding a 12-megapixel JPEG to a smaller size: "
            + ", ".join(f"to {case} {_ms(times)} ms" for case, times in decoding.items())
            + ".",
        )
    )


def _stages(made: Figures) -> str:
    tables = ["## Where the time goes, in process", "![Stages](stages.png)"]
    for form in ("JPEG", "PNG"):
        pipelines = {name: by[form] for name, by in made["figures"]["stages"].items()}
        stages = dict.fromkeys(stage for by in pipelines.values() for stage in by)
        rows = [
            (
                f"**{stage}**" if stage == "total" else stage,
                *(_ms(by.get(stage)) for by in pipelines.values()),
            )
            for stage in stages
        ]
        rows.sort(key=lambda row: row[0] == "**total**")
        tables.append(_table((f"{form}: median ms (quartiles)", *pipelines), rows))
    searches = made["figures"]["search"]
    tables += [
        "Other forms of the straightforward search of 10,000 employees:",
        _table(("", "median ms (quartiles)"), [(n, _ms(times)) for n, times in searches.items()]),
    ]
    return "\n\n".join(tables)


def _embedding(made: Figures) -> str:
    figures = made["figures"]
    rows = [
        (case, _ms(times), f"{figures['gigaflop_per_second'][case]:.0f}")
        for case, times in figures["times"].items()
    ]
    products = [
        (f"1024×1024 matrix product, {case} (fastest run)", "", f"{rate:.0f}")
        for case, rate in figures["matrix_product_gigaflop_per_second"].items()
    ]
    return "\n\n".join(
        (
            "## InceptionResnetV1, one face",
            _table(("", "median ms (quartiles)", "GFLOP/s"), [*rows, *products]),
            "Cosine between the vectors in float32 and bfloat16: "
            f"{figures['cosine_of_precisions']:.6f}.",
        )
    )


def _detection(made: Figures) -> str:
    figures = made["figures"]
    same = figures["same_faces"]
    rows = []
    for name, times in figures["times"].items():
        count = same.get(name)
        agreement = (
            ("", "", "")
            if count is None
            else (
                f"{count['largest']} of {count['photos']}",
                f"{count['found']} of {count['faces']}",
                str(count["others"]),
            )
        )
        rows.append((name, _ms(times), *agreement))
    heads = ("640×480", "median ms (quartiles)", "same largest face", "same faces", "others")
    found = [
        "## MTCNN",
        "*As in a login*: faces much smaller than the largest one found are not searched for. "
        "*Every face*: from 30 px at 640×480. facenet-pytorch searches from 20 px unless stated "
        "otherwise. Faces are the same if they overlap facenet-pytorch's (IoU > 0.5).",
        _table(heads, rows),
    ]
    if "groups" in figures:
        names = list(figures["groups"][0]["found"])
        rows = [
            (row["photo"], str(row["faces"]), *(str(row["found"][name]) for name in names))
            for row in figures["groups"]
        ]
        found += ["Faces found in group photos:", _table(("", "faces", *names), rows)]
    if "portraits" in figures:
        portraits = figures["portraits"]
        rows = [
            (kind, *(f"{count} of {portraits['photos']}" for count in by.values()))
            for kind, by in portraits["found"].items()
        ]
        found += [
            "Portraits (Labeled Faces in the Wild) whose face is found in the right place, that "
            "is, where facenet-pytorch finds it in the whole photo (IoU > 0.5):",
            _table(("", *portraits["found"]["whole photos"]), rows),
        ]
    return "\n\n".join(found)


def _load(made: Figures) -> str:
    found = [
        "## Under load",
        "Clients run on the same machine, keep their connections, and send the next photo "
        "(640×480, JPEG) when they have an answer; after a 503 they wait as Retry-After says. "
        "*Answered*: requests answered 200. *Logged in*: from the first attempt, including waits. "
        "Rates are medians of the rounds; everything else covers all rounds.",
        "![Load](load.png)",
    ]
    for model, figures in made["figures"].items():
        rows = []
        for clients, tally in figures["clients"].items():
            statuses = ", ".join(
                f"{n} × {status}" for status, n in sorted(tally["statuses"].items())
            )
            times = (_percentiles(tally[key]) for key in ("answered_ms", "logged_in_ms"))
            rows.append((clients, f"{tally['logins_per_second']:.0f}", *times, statuses))
        heads = (
            f"{model}: clients",
            "logins/s",
            "answered, p50 / p95 / p99 ms",
            "logged in",
            "answers",
        )
        found.append(_table(heads, rows))
    return "\n\n".join(found)


def _starting(made: Figures) -> str:
    rows = []
    for model, figures in made["figures"].items():
        seconds = f"{figures['times']['start']['median_ms'] / 1e3:.1f}"
        memory = (f"{value:.0f}" for value in figures["memory"].values())
        rows.append((model, seconds, *memory))
    heads = (
        "model",
        "seconds to the first login",
        "RSS of the worker",
        "peak",
        "PSS of all processes",
    )
    return "\n\n".join(
        (
            "## Start-up time and memory",
            "From `python entry.py` to the answer to the first login, with 10,000 employees. "
            "Memory in MB.",
            _table(heads, rows),
        )
    )


def _search(made: Figures) -> str:
    from benchmarks import search  # faiss, which nothing else needs

    return "\n\n".join(
        (
            "## Searching the gallery",
            "Finding the nearest employees of a probe, without the database "
            "(`python -m benchmarks.search`). NumPy and faiss compare every vector in float32, on "
            "all cores.",
            search.table(made["figures"]),
        )
    )


def _machine(measured: dict[str, Figures]) -> str:
    found = next((made["machine"] for made in measured.values() if "machine" in made), None)
    if found is None:
        return ""
    flags = ", ".join(
        f"{name} {'yes' if has else 'no'}" for name, has in found["instructions"].items()
    )
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    loads = [made["machine"]["load_average"] for made in measured.values() if "machine" in made]
    lines = (
        f"{found['cpu']} (family/model {found['family_model']}), {found['cores']} cores, "
        f"{found['memory_gb']} GB. Instructions: {flags}.",
        f"Python {found['python']}, {versions}.",
        f"Load average before each part: {', '.join(f'{load:.1f}' for load in loads)}.",
    )
    return "## The machine\n\n" + _list(lines)


def _ms(times: Figures | None) -> str:
    if times is None:
        return ""
    low, high = times["lower_quartile_ms"], times["upper_quartile_ms"]
    return f"{_number(times['median_ms'])} ({_number(low)}–{_number(high)})"


def _number(ms: float) -> str:
    return f"{ms:,.0f}" if ms >= 100 else f"{ms:.1f}" if ms >= 1 else f"{ms:.2f}"


def _percentiles(times: dict[str, float]) -> str:
    return " / ".join(f"{ms:,.0f}" for ms in times.values())


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in (heads, *rows)]
    lines.insert(1, "|---|" + "---:|" * (len(heads) - 1))
    return "\n".join(lines)


def _list(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)
