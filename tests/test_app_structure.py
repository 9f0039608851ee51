"""The arrows between the packages run one way."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.serving import ROOT

HTTP = {"flask", "werkzeug", "gunicorn"}

# What each package or module of `app` may import of `app`, beside itself.
MAY_IMPORT = {
    "sentences": set[str](),
    "spelling": set[str](),
    "values": set[str](),
    "settings": {"sentences", "spelling", "values"},
    "log": set[str](),
    "liveness": set[str](),
    "private": set[str](),
    "access": set[str](),
    "audit": {"private"},
    "gallery": set[str](),
    "recognition": set[str](),
    "storage": {"settings", "private"},
    "usecases": {"gallery", "recognition", "storage", "liveness", "audit"},
    # errors are told by their type
    "api": {"usecases", "recognition", "gallery", "storage", "liveness", "sentences"}
    | {"access", "audit", "server"},
    "server": set[str](),
    "parts": {"settings", "values", "storage", "gallery", "recognition", "usecases", "liveness"},
    "commands": {"access", "audit", "settings", "storage", "log", "usecases", "gallery", "parts"},
}

PARTS = sorted(MAY_IMPORT)


def files(part: str) -> list[Path]:
    """The Python files of a package or module of `app`."""
    module = ROOT / "app" / f"{part}.py"
    return [module] if module.exists() else sorted((ROOT / "app" / part).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module
            # `from app import log` imports app.log
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def roots(path: Path) -> set[str]:
    """The top packages that a file imports."""
    return {module.partition(".")[0] for module in imports(path)}


def test_every_part_of_the_app_is_in_the_table() -> None:
    found = {path.stem for path in (ROOT / "app").iterdir() if path.stem[:2] != "__"}
    assert found == set(PARTS)


@pytest.mark.parametrize("part", PARTS)
def test_a_part_imports_only_what_lies_below_it(part: str) -> None:
    allowed = MAY_IMPORT[part] | {part}
    for path in files(part):
        for module in imports(path):
            if module.startswith("app."):
                assert module.split(".")[1] in allowed, f"{path.relative_to(ROOT)}: {module}"


@pytest.mark.parametrize(
    "part", [part for part in PARTS if part not in ("api", "commands", "server")]
)
def test_only_the_api_and_the_server_know_http(part: str) -> None:
    for path in files(part):
        assert not roots(path) & HTTP, path


@pytest.mark.parametrize("part", ["storage", "gallery", "api", "settings", "log", "liveness"])
def test_these_parts_know_no_networks(part: str) -> None:
    for path in files(part):
        assert "models" not in roots(path), path


def test_the_networks_know_nothing_of_the_service() -> None:
    for path in (ROOT / "models").rglob("*.py"):
        assert not roots(path) & ({"app"} | HTTP), path


def test_the_service_knows_no_tests() -> None:
    for folder in ("app", "models"):
        for path in (ROOT / folder).rglob("*.py"):
            assert not roots(path) & {"tests", "benchmarks", "pytest", "entry"}, path


@pytest.mark.parametrize("package", ["app", "models"])
def test_no_modules_import_each_other(package: str) -> None:
    """Imports inside functions count as well."""
    paths = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path
        for path in (ROOT / package).rglob("*.py")
    }
    modules = {name.removesuffix(".__init__"): path for name, path in paths.items()}
    graph = {}
    for module, path in modules.items():
        # `a.b.c` is a module, or a name in the module `a.b`
        found = {name if name in modules else name.rpartition(".")[0] for name in imports(path)}
        graph[module] = found & set(modules)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"import circle: {' -> '.join(reversed(error.args[1]))}")
