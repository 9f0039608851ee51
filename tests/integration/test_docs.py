"""The documentation is consistent: links resolve, and commands, calls and settings exist."""

import json
import re
import subprocess
from pathlib import Path

import click
import pytest
from flask import Flask

from app.commands import create_command_app
from app.settings import Settings
from benchmarks import accuracy_report, pad, report, scaling_report
from benchmarks.__main__ import figures_in
from testbed.serving import ROOT

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEXT = "\n".join(page.read_text() for page in PAGES)
BLOCKS = re.findall(r"^ *```sh\n(.*?)^ *```", TEXT, re.DOTALL | re.MULTILINE)
# Names in capitals that are not settings: of glibc, of the Dockerfile, of Milvus, of the template,
# in fields and in examples of mistakes.
OTHER_NAMES = {
    *("MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"),
    *("FLOAT_VECTOR", "HNSW_SQ"),
    *("MONGO_URL", "API_KEY", "MATCH_THRESHOLD"),
    "COMPREFACE_API_KEY",
}


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page, as GitHub derives them from headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", heading)).strip().lower().replace(" ", "-")
        for heading in headings
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


def test_generated_pages_agree_with_the_figures_next_to_them() -> None:
    docs = ROOT / "docs"
    figures = json.loads((docs / "accuracy.json").read_text())
    page = accuracy_report.markdown(figures, "accuracy.png")
    assert page == (docs / "accuracy.md").read_text()
    figures = json.loads((docs / "benchmarks/scaling.json").read_text())
    assert scaling_report.page(figures) == (docs / "benchmarks/scaling.md").read_text()
    page = report.page(figures_in(docs / "benchmarks"))
    assert page == (docs / "benchmarks/README.md").read_text()
    figures = json.loads((docs / "fraud.json").read_text())
    assert pad.table(figures["logins"]) in (docs / "fraud.md").read_text()


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs/README.md").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"({page.name})" in index, page.name


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().split()) <= 1_000


@pytest.mark.parametrize("block", BLOCKS)
def test_shell_commands_are_valid_bash(block: str) -> None:
    """Those of the pages for operators also run: tests/system/test_operators_pages.py."""
    subprocess.run(["bash", "-n"], input=block, text=True, check=True)


@pytest.mark.parametrize(
    "command", sorted(set(re.findall(r"flask --app entry ((?:[a-z]+(?:-[a-z]+)*\b ?)+)", TEXT)))
)
def test_flask_commands_exist(command: str) -> None:
    found: click.Command = create_command_app().cli
    for word in command.split():
        if not isinstance(found, click.Group):
            return  # arguments follow
        assert word in found.commands, command
        found = found.commands[word]


def test_make_targets_exist() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"(?:`|^)(?:\w+=\S+ )?make ([a-z-]+)", TEXT, re.MULTILINE)) <= {*targets}


def test_every_call_is_in_an_api_page(app: Flask) -> None:
    pages = "".join((ROOT / "docs" / page).read_text() for page in ("api.md", "api-v2.md"))
    calls = re.sub(r"<(?:\w+:)?\w+>", "<>", pages)
    for rule in app.url_map.iter_rules():
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            assert f"`{method} {re.sub(r'<[^>]+>', '<>', rule.rule)}`" in calls


def test_names_of_settings_are_right() -> None:
    settings = {name.upper() for name in Settings.model_fields}
    named = set(re.findall(r"`([A-Z]+(?:_[A-Z0-9]*)+)(?:=[^`]*)?`", TEXT))
    assert named <= settings | OTHER_NAMES
