"""Every setting of the service can be set in the OpenShift template."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from app.settings import Settings
from testbed.serving import ROOT

TEMPLATE = ROOT / "openshift" / "template.yaml"
FIXED = {"HOST", "PORT", "SQLITE_PATH", "MODELS_DIR"}  # set by the image


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(TEMPLATE.read_text())
    return loaded


@pytest.fixture(scope="module")
def variables(template: dict[str, Any]) -> list[dict[str, Any]]:
    """The environment of the service's container."""
    (deployment,) = (each for each in template["objects"] if each["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    found: list[dict[str, Any]] = container["env"]
    return found


def test_parameters_are_exactly_those_that_are_used(template: dict[str, Any]) -> None:
    parameters = [each["name"] for each in template["parameters"]]
    used = re.findall(r"\$\{+(\w+)\}+", yaml.safe_dump([template["labels"], template["objects"]]))
    assert set(parameters) == set(used)
    assert len(parameters) == len(set(parameters))


def test_every_setting_is_set_exactly_once(variables: list[dict[str, Any]]) -> None:
    names = [each["name"] for each in variables if not each["name"].startswith("MALLOC_")]
    assert set(names) == {name.upper() for name in Settings.model_fields} - FIXED
    assert len(names) == len(set(names))


def test_memory_settings_are_the_same_everywhere(variables: list[dict[str, Any]]) -> None:
    template = {each["name"]: each["value"] for each in variables if "MALLOC_" in each["name"]}
    assert len(template) == 3
    for name, value in template.items():
        for file, text in {
            "Dockerfile": f"{name}={value}",
            "Makefile": f"{name} ?= {value}\n",
            "docs/operations.md": f"export {name}={value} ",
        }.items():
            assert text in (ROOT / file).read_text(), (name, file)


def test_the_default_parameters_are_valid_settings(
    template: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for parameter in template["parameters"]:
        if parameter["name"].lower() in Settings.model_fields:
            monkeypatch.setenv(parameter["name"], parameter.get("value", ""))
    monkeypatch.setenv("MONGO_DB_URL", "mongo:27017/people")
    assert Settings().trusted_proxies == 1
