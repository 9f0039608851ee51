"""A software bill of materials (CycloneDX) of the machine that this runs on.

`python -m tools.sbom` prints it: the Python packages of this environment, the weights in
models/weights, and Debian's packages. The image's build runs it.
"""

import json
import sys
from collections.abc import Iterable
from hashlib import file_digest
from importlib.metadata import Distribution, distributions
from pathlib import Path
from platform import python_version
from typing import Any
from urllib.parse import quote

from app.version import VERSION
from tools import licences

Component = dict[str, Any]

_DEBIAN = Path("/var/lib/dpkg/status")
_VGGFACE2 = "MIT; trained on VGGFace2, whose pictures are for research"


def bill(packages: Iterable[Distribution], weights: Iterable[Path], debian: str) -> Component:
    """Return the bill as CycloneDX 1.6.

    debian: the text of dpkg's status file, "" if there is none.
    """
    python = _component("library", "python", python_version(), "generic", "PSF-2.0")
    parts = [python, *map(_package, packages), *map(_weights, weights), *_debian(debian)]
    service = {"type": "application", "name": "image-registration-service", "version": VERSION}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": service},
        "components": sorted(parts, key=lambda part: str(part.get("purl", part["name"]))),
    }


def _component(kind: str, name: str, version: str, where: str, licence: str | None) -> Component:
    found: Component = {"type": kind, "name": name, "version": version}
    found["purl"] = f"pkg:{where}/{quote(name)}@{quote(version)}"
    if licence:
        found["licenses"] = [{"license": {"name": licence}}]
    return found


def _package(package: Distribution) -> Component:
    name = licences.normalised(package.name)
    found = _component("library", name, package.version, "pypi", licences.licence(name))
    if expression := package.metadata.get("License-Expression"):
        found["licenses"] = [{"expression": expression}]
    return found


def _weights(file: Path) -> Component:
    with file.open("rb") as content:
        digest = file_digest(content, "sha256").hexdigest()
    return {
        "type": "machine-learning-model",
        "name": file.name,
        "hashes": [{"alg": "SHA-256", "content": digest}],
        "licenses": [{"license": {"name": _VGGFACE2 if "vggface2" in file.name else "not known"}}],
    }


def _debian(status: str) -> Iterable[Component]:
    """Yield Debian's packages; their licences are in /usr/share/doc."""
    for block in status.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if fields.get("Status", "").endswith(" installed"):
            yield _component("library", fields["Package"], fields["Version"], "deb/debian", None)


def main() -> None:
    debian = _DEBIAN.read_text() if _DEBIAN.exists() else ""
    weights = (licences.ROOT / "models/weights").glob("*.pt")
    json.dump(bill(distributions(), weights, debian), sys.stdout, indent=1)


if __name__ == "__main__":
    main()
