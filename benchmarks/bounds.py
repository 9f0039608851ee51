"""Say what limits the figures on this machine: the least time of a step, whatever its code."""

from typing import Any

Figures = dict[str, Any]


def sentences(measured: dict[str, Figures]) -> list[str]:
    """Return a sentence for each figure that has such a limit."""
    found = []
    if "embedding" in measured:
        found += _embedding(measured["embedding"]["figures"])
    if "http_login" in measured:
        found += _phone_photo(measured["http_login"]["figures"])
        found += _twenty_times(measured["http_login"]["figures"])
    if "stages" in measured:
        found += _login(measured["stages"]["figures"]["stages"])
    if "search" in measured:
        found += _search(measured["search"]["figures"]["galleries"])
    return found


def _embedding(figures: Figures) -> list[str]:
    """The roofline: arithmetic of the network over the fastest matrix product."""
    products = figures["matrix_product_gigaflop_per_second"]
    work = figures["gigaflop"]
    eager = figures["times"]["eager PyTorch"]["median_ms"]
    found = []
    for precision, size in (("float32", 4), ("bfloat16", 2)):
        peak = max(rate for case, rate in products.items() if case.startswith(precision))
        own = figures["times"][f"this service, {precision}"]["median_ms"]
        least = work / peak * 1e3
        megabytes = figures["weights"] * size / 1e6
        reading = megabytes / figures["read_gigabyte_per_second"]
        found.append(
            f"InceptionResnetV1 is {work:.2f} GFLOP a face. A large matrix product in {precision} "
            f"runs at {peak:.0f} GFLOP/s here, so the network takes at least {least:.1f} ms; it "
            f"was measured at {own:.1f} ms, {least / own:.0%} of that peak. Eager PyTorch takes "
            f"{eager:.1f} ms, so no code that does this arithmetic in {precision} can be more than "
            f"{eager / least:.1f} times as fast on this machine, or "
            f"{eager / (least + reading):.1f} times if nothing hides the {reading:.1f} ms of "
            f"reading {megabytes:.0f} MB of weights."
        )
    return found


def _phone_photo(figures: Figures) -> list[str]:
    requests, size = figures["requests"], figures["photo_bytes"]
    small = requests["this service, dlib: JPEG"]["median_ms"]
    large = requests["this service, dlib: 12 MP JPEG"]["median_ms"]
    entropy = figures["decoding"]["1/8"]["median_ms"]
    return [
        f"Of the {large:.0f} ms for a 12-megapixel JPEG of {size['12 MP JPEG'] / 1e6:.1f} MB "
        f"(dlib), {entropy:.0f} ms are libjpeg's entropy decoding, which decoding to a smaller "
        f"size does not avoid (measured alone, to an eighth). A 640×480 JPEG takes {small:.0f} ms "
        f"in all, so the ratio is at least about {(small + entropy) / small:.1f}."
    ]


def _twenty_times(figures: Figures) -> list[str]:
    requests = figures["requests"]
    one, paged = (requests[f"straightforward{how}: JPEG"]["median_ms"] for how in ("", ", paged"))
    return [
        f"The straightforward login takes {paged:.0f} ms if it reads its table 50 rows a "
        f"statement, and {one:.0f} ms if it reads it in one, with vectors as bytes. Twenty times "
        f"as fast as that would be {one / 20:.1f} ms, HTTP included."
    ]


def _search(galleries: list[Figures]) -> list[str]:
    largest = max(galleries, key=lambda row: (row["people"], row["dimension"]))
    people, dimension = largest["people"], largest["dimension"]
    own, product = (largest["search"][which]["median_ms"] for which in ("index", "numpy"))
    gigabytes = people * dimension * 4 / 1e9
    least = largest["roofline_ms"]
    return [
        f"A search of {people:,} × {dimension} reads 32 bytes of each row, which takes "
        f"at least {least:.1f} ms at the speed of one core here. It was measured at {own:.1f} ms, "
        f"on one core, so that concurrent searches do not wait for each other. NumPy's product "
        f"reads {gigabytes:.1f} GB on all cores in {product:.0f} ms, "
        f"{gigabytes / product * 1e3:.0f} GB/s."
    ]


def _login(stages: Figures) -> list[str]:
    found = []
    for model in ("dlib", "facenet"):
        own = {
            stage: times["median_ms"]
            for stage, times in stages[f"this service, {model}"]["JPEG"].items()
        }
        share = (own["detect"] + own["embed"]) / own["total"]
        found.append(
            f"Of a login's {own['total']:.1f} ms in process ({model}, JPEG), {share:.0%} are "
            f"detection ({own['detect']:.1f} ms) and embedding ({own['embed']:.1f} ms); the "
            f"search of 10,000 employees takes {own['search']:.2f} ms."
        )
    return found
