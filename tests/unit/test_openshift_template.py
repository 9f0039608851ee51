"""The OpenShift template: YAML, and every setting of the service can be set in it."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from app.settings import Settings
from testbed.serving import ROOT

TEMPLATE = ROOT / "openshift" / "template.yaml"
FIXED = {"HOST", "PORT", "SQLITE_PATH", "MODELS_DIR"}  # the container's own


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


def test_every_parameter_is_used_and_every_used_one_is_there(template: dict[str, Any]) -> None:
    parameters = [each["name"] for each in template["parameters"]]
    used = re.findall(r"\$\{+(\w+)\}+", yaml.safe_dump([template["labels"], template["objects"]]))
    assert set(parameters) == set(used)
    assert len(parameters) == len(set(parameters))


def test_every_setting_can_be_set_once(variables: list[dict[str, Any]]) -> None:
    names = [each["name"] for each in variables]
    assert set(names) == {name.upper() for name in Settings.model_fields} - FIXED
    assert len(names) == len(set(names))


def test_defaults_are_values_the_service_takes(
    template: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for parameter in template["parameters"]:
        if parameter["name"].lower() in Settings.model_fields:
            monkeypatch.setenv(parameter["name"], parameter.get("value", ""))
    monkeypatch.setenv("MONGO_DB_URL", "mongo:27017/people")
    assert Settings().trusted_proxies == 1
