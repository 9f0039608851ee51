"""The arrows between the packages run one way."""

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from testbed.serving import ROOT

HTTP = {"flask", "werkzeug", "gunicorn"}

# What each package or module of `app` may import of `app`, in addition to itself.
MAY_IMPORT = {
    "sentences": set[str](),
    "machine": set[str](),
    "settings": {"sentences", "machine"},
    "log": set[str](),
    "limiter": set[str](),
    "private_files": set[str](),
    "server": set[str](),
    "traces": set[str](),
    "metrics": {"traces"},
    "stages": set[str](),
    "version": set[str](),
    "people_fields": set[str](),
    "compreface": set[str](),
    "trace_export": {"traces", "stages", "version"},
    "access": {"people_fields"},
    "liveness": {"stages", "traces"},
    "audit": {"private_files"},
    "recognition": {"limiter"},
    "storage": {"settings", "private_files"},
    "gallery": {"storage", "stages"},
    "evaluation": {"recognition", "gallery", "storage", "limiter", "private_files"},
    "watchdog": {"limiter"},
    "model_check": {"storage"},
    "readiness": {"gallery", "storage"},
    "lifecycle": {
        "readiness",
        "gallery",
        "recognition",
        "storage",
        "limiter",
        "model_check",
        "watchdog",
    }
    | {"stages"},
    "usecases": {"lifecycle", "recognition", "gallery", "liveness", "audit", "storage", "stages"}
    | {"people_fields", "sentences", "limiter", "private_files"},
    # it tells errors by their type
    "api": {"usecases", "lifecycle", "readiness", "recognition", "gallery", "storage", "liveness"}
    | {"access", "audit", "server", "limiter", "sentences", "metrics", "stages", "version"}
    | {"traces", "trace_export", "settings", "people_fields"},
    "console": {"api"},
    "bootstrap": {"server", "settings", "sentences", "log", "access", "audit", "storage", "gallery"}
    | {"recognition", "liveness", "limiter", "watchdog", "lifecycle", "machine"}
    | {"trace_export"},
    "commands": {"bootstrap", "settings", "log", "access", "audit", "storage", "gallery"}
    | {"evaluation", "usecases", "lifecycle", "people_fields", "sentences"}
    | {"private_files", "readiness", "compreface"},
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
    "part", [part for part in PARTS if part not in ("api", "commands", "console", "server")]
)
def test_only_the_api_the_console_and_the_server_know_http(part: str) -> None:
    for path in files(part):
        assert not roots(path) & HTTP, path


@pytest.mark.parametrize("part", ["gallery", "lifecycle", "usecases", "api"])
def test_only_the_contract_of_the_stores_is_known(part: str) -> None:
    for path in files(part):
        stores = re.compile(r"app\.storage\.(sqlite|mongodb|sealing)\b")
        assert not list(filter(stores.match, imports(path))), path


@pytest.mark.parametrize("part", ["storage", "api", "settings", "log", "liveness"])
def test_these_parts_know_no_networks(part: str) -> None:
    for path in files(part):
        assert "models" not in roots(path), path


def test_the_networks_know_nothing_of_the_service() -> None:
    for path in (ROOT / "models").rglob("*.py"):
        assert not roots(path) & ({"app"} | HTTP), path


# What no file of a folder may import.
_PROGRAMS = {"demo", "pytest"}
FOREIGN = {
    "app": {"tests", "testbed", "tools", "benchmarks", "entry"} | _PROGRAMS,
    "models": {"tests", "testbed", "tools", "benchmarks", "entry"} | _PROGRAMS,
    "testbed": {"tests", "tools", "benchmarks"} | _PROGRAMS,
    "tools": {"tests", "benchmarks"} | _PROGRAMS,
    "benchmarks": {"tests"} | _PROGRAMS,
    "tests": {"demo"},
}


@pytest.mark.parametrize("folder", FOREIGN)
def test_a_folder_imports_nothing_that_is_built_on_it(folder: str) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        assert not roots(path) & FOREIGN[folder], path


def test_the_demo_needs_the_service_alone() -> None:
    assert roots(ROOT / "demo.py") & {*FOREIGN, "entry"} == {"app"}


# A unit test must not import these: they start processes, use the network or load networks.
OUTSIDE = {"flask", "multiprocessing", "openvino", "pymongo", "redis", "requests", "socket"} | {
    "sqlite3",
    "subprocess",
    "torch",
}
SERVERS = {"serving", "mongod", "milvus", "redis_server", "crowd", "outages", "killing"}


def test_unit_tests_start_no_process_and_use_no_network() -> None:
    for path in (ROOT / "tests" / "unit").rglob("*.py"):
        assert not roots(path) & OUTSIDE, path
        for module in set(imports(path)) - {"testbed.serving.ROOT"}:
            package, _, rest = module.partition(".")
            assert package != "testbed" or rest.partition(".")[0] not in SERVERS, path


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
