"""Fixtures of the tests of single parts."""

import os

import pytest

# what pytest, Python and hypothesis use
_KEPT = ("PYTEST", "PYTHON", "PATH", "HOME", "TMPDIR", "COVERAGE")


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without settings, nor anything else that looks like one."""
    for name in [name for name in os.environ if not name.startswith(_KEPT)]:
        monkeypatch.delenv(name)
