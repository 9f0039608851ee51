"""docs/runbooks.md has every sentence of a 503."""

import ast
from collections.abc import Iterator

import pytest

from testbed.serving import ROOT

PAGE = (ROOT / "docs/runbooks.md").read_text()
MODULES = (
    *("api/errors", "lifecycle", "readiness", "gallery/memory_gallery", "liveness/client"),
    "server/adapter",
)
# What a 503 is made of: calls, and names that sentences are assigned to.
CALLS = {"NotReady", "Reason", "GalleryLoading", "LivenessUnavailable", "_unavailable"}
NAMES = {"_KNOWN", "_LOADING", "_UNAVAILABLE", "_UNCLEAR", "_OVERLOADED"}


def name_of(node: ast.expr) -> str:
    return getattr(node, "id", "") or getattr(node, "attr", "")


def is_of_a_503(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=func):
            return name_of(func) in CALLS
        case ast.Assign(targets=[target]) | ast.AnnAssign(target=target):
            return name_of(target) in NAMES
    return False


def texts(node: ast.AST) -> Iterator[str]:
    """What is said in it to clients; a `cause` is for the log alone."""
    if isinstance(node, ast.Constant) and " " in str(node.value):
        yield str(node.value).removeprefix("not ready yet: ")
    for inner in ast.iter_child_nodes(node):
        if not (isinstance(inner, ast.keyword) and inner.arg == "cause"):
            yield from texts(inner)


def sentences() -> Iterator[str]:
    for module in MODULES:
        tree = ast.parse((ROOT / f"app/{module}.py").read_text())
        for node in filter(is_of_a_503, ast.walk(tree)):
            yield from texts(node)


@pytest.mark.parametrize("sentence", sorted({*sentences()} - {""}))
def test_each_sentence_of_a_503_has_a_line(sentence: str) -> None:
    assert f"{sentence}`" in PAGE


def test_the_sentences_are_found() -> None:
    """So that the test above tests something."""
    assert len({*sentences()}) >= 15
    assert "too many requests at once, try again" in sentences()
