"""docs/settings.md is generated from the settings, and the README agrees with it."""

import re

import pytest

from app.settings import Settings
from testbed.serving import ROOT
from tools import settings_page


def test_the_page_is_what_the_generator_makes() -> None:
    assert settings_page.PAGE.read_text() == settings_page.page(), "run make settings"


def test_the_page_does_not_depend_on_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    page = settings_page.page()
    monkeypatch.setenv("PORT", "8080")
    monkeypatch.setenv("MAX_BODY_MB", "128")
    monkeypatch.setenv("MONGO_DB_PASSWORD", "hunter2")
    assert settings_page.page() == page


def test_every_setting_is_described_in_a_sentence() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert re.fullmatch(r"(?s)[A-Z0-9α`\[].+\.", field.description), name


def test_the_readme_names_settings_with_their_defaults() -> None:
    rows = re.findall(
        r"^\| `([A-Z_]+)` \| (.*?) ?\|", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    assert len(rows) >= 10
    for name, default in rows:
        assert default == settings_page.default(name.lower()), name
