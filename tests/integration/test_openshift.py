"""What is deployed: valid for the cluster, the same from Kustomize and Helm, and of one piece."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml  # type: ignore[import-untyped]

from app.server import leaving_s
from app.settings import Settings
from app.version import VERSION
from testbed import kubernetes
from testbed.kubernetes import Object
from testbed.serving import ROOT
from tests.support.openshift_schemas import SCHEMAS

FOLDER = ROOT / "openshift"
NAME = "image-registration-service"
WORKER_GB = 1.7  # what a worker takes at most: docs/operations.md#memory
# The oldest and the newest Kubernetes: OpenShift 4.16 and later.
VERSIONS = ["1.29", "1.35"]
RENDERED = {
    "base": lambda: kubernetes.kustomize(FOLDER / "base"),
    "public": lambda: kubernetes.kustomize(FOLDER / "overlays/public"),
    "example": lambda: kubernetes.kustomize(FOLDER / "overlays/example"),
    "chart": lambda: kubernetes.helm(FOLDER),
    "public chart": lambda: kubernetes.helm(FOLDER, public="true"),
    "two workers": lambda: kubernetes.helm(FOLDER, settings__WORKERS="2"),
}
SECRET = {name.upper() for name, field in Settings.model_fields.items() if "Secret" in str(field)}
SECRET |= {"MONGO_DB_USERNAME", "LIVENESS_USERNAME", "REDIS_URL"}


@pytest.fixture(scope="module", params=RENDERED)
def objects(request: pytest.FixtureRequest) -> list[Object]:
    rendered: list[Object] = RENDERED[request.param]()
    return rendered


@pytest.fixture(scope="module")
def template() -> Object:
    loaded: Object = yaml.safe_load((FOLDER / "build.yaml").read_text())
    return loaded


def the(objects: list[Object], kind: str) -> Object:
    """The object of a kind, of which there is one."""
    (found,) = (each for each in objects if each["kind"] == kind)
    return found


def container(objects: list[Object]) -> Object:
    (found,) = the(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    return dict(found)


def validate(each: Object, version: str) -> None:
    if each["kind"] in SCHEMAS:
        jsonschema.validate(each, SCHEMAS[each["kind"]])
    else:
        kubernetes_validate.validate(each, version, strict=True)


def processed(template: Object, **parameters: str) -> list[Object]:
    """The template's objects, as `oc process` makes them."""
    given = {each["name"]: each.get("value", "") for each in template["parameters"]} | parameters
    missing = [each["name"] for each in template["parameters"] if each.get("required")]
    assert all(given[name] for name in missing)

    def fill(value: Any) -> Any:  # noqa: ANN401
        if isinstance(value, dict):
            filled = {key: fill(inner) for key, inner in value.items()}
            return {key: inner for key, inner in filled.items() if inner is not None}
        if isinstance(value, list):
            return [fill(inner) for inner in value]
        if not isinstance(value, str):
            return value
        if whole := re.fullmatch(r"\$\{\{(\w+)\}\}", value):
            return json.loads(given[whole[1]])
        return re.sub(r"\$\{(\w+)\}", lambda match: given[match[1]], value)

    made: list[Object] = fill(template["objects"])
    return made


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_valid(objects: list[Object], version: str) -> None:
    for each in objects:
        validate(each, version)


def test_misspelt_members_are_found() -> None:
    objects = RENDERED["public"]()
    for kind in ("Deployment", "NetworkPolicy", "Route"):
        each = next(each for each in objects if each["kind"] == kind)
        each["spec"]["polices"] = []
        with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
            validate(each, VERSIONS[0])


@pytest.mark.parametrize("secret", ["null", '{"name": "git"}'])
def test_the_build_is_valid(template: Object, secret: str) -> None:
    validate(template, VERSIONS[0])
    given = {"GIT_URL": "https://git.example/people.git", "GIT_REF": "v1", "TAG": "1"}
    made = processed(template, SOURCE_SECRET=secret, **given)
    for each in made:
        validate(each, VERSIONS[0])
    build, stream = the(made, "BuildConfig"), the(made, "ImageStream")
    assert build["spec"]["output"]["to"]["name"] == f"{stream['metadata']['name']}:1"
    arguments = {each["name"] for each in build["spec"]["strategy"]["dockerStrategy"]["buildArgs"]}
    declared = re.findall(r"^ARG (\w+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert arguments <= set(declared)


def test_the_parameters_of_the_build_are_those_that_are_used(template: Object) -> None:
    parameters = [each["name"] for each in template["parameters"]]
    used = re.findall(r"\$\{+(\w+)\}+", yaml.safe_dump([template["labels"], template["objects"]]))
    assert set(parameters) == set(used)
    assert len(parameters) == len(set(parameters))


@pytest.mark.parametrize("public", ["", "public "])
def test_the_chart_makes_what_kustomize_makes(public: str) -> None:
    chart = RENDERED[f"{public}chart"]()
    hashed = re.escape(NAME) + "-[a-z0-9]{10}"  # Kustomize's name for a config map
    plain = re.sub(hashed, NAME, json.dumps(RENDERED[public.strip() or "base"]()))
    annotations = the(chart, "Deployment")["spec"]["template"]["metadata"].pop("annotations")
    assert re.fullmatch("[0-9a-f]{64}", annotations["settings"])

    def place(each: Object) -> tuple[str, str]:
        return each["kind"], each["metadata"]["name"]

    assert sorted(chart, key=place) == sorted(json.loads(plain), key=place)


def test_a_changed_setting_replaces_the_pods() -> None:
    def pod(**settings: str) -> str:
        changed = the(kubernetes.helm(FOLDER, **settings), "Deployment")
        return json.dumps(changed["spec"]["template"])

    assert pod() != pod(settings__QUALITY="strict")


def test_the_chart_takes_an_image_and_members_of_objects() -> None:
    values = {"objects__autoscaler__spec__maxReplicas": "20", "image": "mirror/it:2"}
    made = kubernetes.helm(FOLDER, **values)
    assert the(made, "HorizontalPodAutoscaler")["spec"]["maxReplicas"] == 20
    assert the(made, "HorizontalPodAutoscaler")["spec"]["minReplicas"] == 2
    assert container(made)["image"] == "mirror/it:2"


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"publik": "true"}, "publik"),
        ({"public": "yes"}, "/public"),  # any text would count as true
        ({"settings__WORKERS": "two"}, "/settings/WORKERS"),  # the memory limit would be 0
        ({"settings__WORKERS": "0"}, "/settings/WORKERS"),
        ({"memoryPerWorkerGi": "1.5"}, "/memoryPerWorkerGi"),
        ({"objects__deploymnt__spec": "1"}, "deploymnt"),
        *(({f"settings__{name}": "word"}, name) for name in sorted(SECRET)),
    ],
    ids=str,
)
def test_wrong_values_of_the_chart_are_refused(values: dict[str, str], word: str) -> None:
    with pytest.raises(kubernetes.Refused, match=word):
        kubernetes.helm(FOLDER, **values)


def test_every_variable_is_a_valid_setting(
    objects: list[Object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    given = the(objects, "ConfigMap")["data"]
    assert set(given) <= {name.upper() for name in Settings.model_fields} - SECRET
    assert given["MONGO_DB_URL"], "a pod's own disk does not last"
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    Settings()


def test_every_secret_setting_is_in_the_example_or_a_file() -> None:
    lines = (FOLDER / "secret.example.env").read_text().splitlines()
    names = [line.removesuffix("=") for line in lines if not line.startswith("#")]
    assert sorted(names) == sorted(SECRET - {"API_KEYS"})


def test_settings_come_from_the_config_map_and_the_secret(objects: list[Object]) -> None:
    sources = container(objects)["envFrom"]
    assert sources[0]["configMapRef"]["name"] == the(objects, "ConfigMap")["metadata"]["name"]
    # without the secret no pod starts, rather than one that reaches no database
    assert sources[1] == {"secretRef": {"name": NAME}}


def test_memory_is_enough_for_the_workers(objects: list[Object]) -> None:
    workers = int(the(objects, "ConfigMap")["data"]["WORKERS"])
    resources = container(objects)["resources"]
    limit = float(resources["limits"]["memory"].removesuffix("Gi"))
    assert limit * 1.074 >= workers * (WORKER_GB + 0.3)  # and a gallery of 450,000 vectors
    assert resources["requests"]["memory"] == resources["limits"]["memory"]


def test_times_fit_those_of_the_server(objects: list[Object]) -> None:
    graceful = leaving_s(Settings.model_fields["drain_s"].default)
    match = re.search(r'"timeout": (\d+),', (ROOT / "entry.py").read_text())
    assert match
    hanging = int(match[1])
    pod, service = the(objects, "Deployment")["spec"]["template"]["spec"], container(objects)
    (_, pause) = service["lifecycle"]["preStop"]["exec"]["command"]
    assert pod["terminationGracePeriodSeconds"] >= int(pause) + graceful + 5
    probe = service["livenessProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= hanging
    databases = (
        Settings.model_fields["mongo_db_timeout_s"],
        Settings.model_fields["milvus_timeout_s"],
    )
    assert service["readinessProbe"]["timeoutSeconds"] > sum(each.default for each in databases)


def test_objects_are_about_the_same_pods(objects: list[Object]) -> None:
    deployment = the(objects, "Deployment")
    labels, name = (
        deployment["spec"]["template"]["metadata"]["labels"],
        deployment["metadata"]["name"],
    )
    policies = [each["spec"]["podSelector"] for each in objects if each["kind"] == "NetworkPolicy"]
    for selector in (
        deployment["spec"]["selector"],
        the(objects, "PodDisruptionBudget")["spec"]["selector"],
        {"matchLabels": the(objects, "Service")["spec"]["selector"]},
        *policies,
    ):
        assert selector == {"matchLabels": labels}
    assert the(objects, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"] == name
    (port,) = the(objects, "Service")["spec"]["ports"]
    (listening,) = container(objects)["ports"]
    assert (port["port"], port["targetPort"]) == (8080, 5005)
    assert listening["containerPort"] == Settings.model_fields["port"].default == 5005


@pytest.mark.parametrize("rendered", ["base", "public"])
def test_a_public_address_needs_keys_and_only_then_a_proxy_is_trusted(rendered: str) -> None:
    objects = RENDERED[rendered]()
    settings, public = the(objects, "ConfigMap")["data"], rendered == "public"
    assert public == any(each["kind"] == "Route" for each in objects)
    assert public == ("router" in json.dumps([each["metadata"]["name"] for each in objects]))
    assert settings.get("TRUSTED_PROXIES") == ("1" if public else None)
    mounts = {each["name"]: each["mountPath"] for each in container(objects)["volumeMounts"]}
    file = settings.get("API_KEYS_FILE")
    assert file == (f"{mounts['api-keys']}/api-keys" if public else None)


def versions() -> Iterator[str]:
    chart = yaml.safe_load((FOLDER / "Chart.yaml").read_text())
    yield from (chart["version"], chart["appVersion"])
    for file, pattern in {
        "Dockerfile": r"ARG VERSION=(\S+)",
        "app/api/openapi.py": r'"version": "([^"]+)"',
    }.items():
        yield from re.findall(pattern, (ROOT / file).read_text())
    for rendered in ("base", "example"):
        yield container(RENDERED[rendered]())["image"].partition(":")[2]


def test_versions_agree() -> None:
    assert set(versions()) == {VERSION}


def test_source_builds_start_the_service_on_its_port() -> None:
    lines = (ROOT / ".s2i/environment").read_text().split()
    given = dict(line.split("=", 1) for line in lines)
    assert (ROOT / given["APP_FILE"]).is_file()
    assert given["PORT"] == "5005"


def test_memory_settings_are_the_same_everywhere() -> None:
    for name, value in re.findall(r"(MALLOC_\w+)=(\d+)", (ROOT / ".s2i/environment").read_text()):
        for file, text in {
            "Dockerfile": f"{name}={value}",
            "Makefile": f"{name} ?= {value}\n",
            "docs/operations.md": f"export {name}={value} ",
        }.items():
            assert text in (ROOT / file).read_text(), (name, file)
