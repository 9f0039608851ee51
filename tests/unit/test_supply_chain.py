"""What is installed: pinned with hashes, under licences we accept, and in a read-only container."""

import json
import re
from hashlib import sha256
from importlib.metadata import distribution
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from app.version import VERSION
from testbed.serving import ROOT
from tools import audit, licences, sbom

LOCKS = ["requirements.lock", "requirements-dev.lock", "requirements-cuda.lock"]


def pins(lock: str) -> dict[str, str]:
    """What stands in a lock file for each package, markers and hashes included."""
    blocks = re.split(r"^(?=[a-z0-9])", (ROOT / lock).read_text(), flags=re.MULTILINE)[1:]
    entries = [re.sub(r"\s*#.*", "", block).strip() for block in blocks]
    return {entry.partition(" \\")[0]: entry for entry in entries}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_is_pinned_with_hashes(lock: str) -> None:
    for name, entry in pins(lock).items():
        assert re.match(r"[a-z0-9._-]+==\S+( ; .+)?$", name), name
        assert "--hash=sha256:" in entry, name


@pytest.mark.parametrize("lock", LOCKS)
def test_what_is_required_is_locked(lock: str) -> None:
    required = (ROOT / lock.replace(".lock", ".txt")).read_text()
    wanted = re.findall(r"^([\w-]+)==([\w.]+)", required, re.MULTILINE)
    locked = pins(lock)
    versions = {re.sub(r"[-_.]+", "-", name.split(" ;")[0]) for name in locked}
    for name, version in wanted:
        assert re.sub(r"[-_.]+", "-", f"{name}=={version}").lower() in versions


def test_the_locks_agree() -> None:
    run, dev, cuda = (pins(lock) for lock in LOCKS)
    for part in (run, cuda):
        assert 0 < len(part) < len(dev)
        assert {name: entry for name, entry in dev.items() if name in part} == part


def test_serving_on_a_cpu_installs_no_pytorch() -> None:
    """facenet-pytorch wants it, so the packages are installed without what they want."""
    assert not [name for name in pins("requirements.lock") if re.match("torch|triton|nvidia", name)]
    for file in ("Makefile", "Dockerfile"):
        text = (ROOT / file).read_text()
        assert re.search(r"install .*--only-binary :all:", text, re.IGNORECASE)
        installs = re.findall(r"^.*--require-hashes.*$", text, re.MULTILINE)
        assert installs
        assert all("--no-deps --require-hashes" in command for command in installs)


def test_licences_are_accepted_and_the_page_is_current() -> None:
    page = (ROOT / "docs" / "licences.md").read_text().splitlines()
    for lock in LOCKS:
        for name in licences.locked(lock):
            said = licences.licence(name)
            if said is not None:
                assert f"| {name} | {said} |" in page, "run make licences"
                assert lock == "requirements-dev.lock" or not licences.refused(name, said), name


@pytest.mark.parametrize("said", ["GPL-3.0-only", "AGPLv3", "SSPL-1.0", "CC BY-NC 4.0", "not said"])
def test_licences_that_are_refused(said: str) -> None:
    assert licences.refused("new", said)


def test_an_audit_tells_what_it_found_and_when_it_could_not() -> None:
    vulnerable = {
        "dependencies": [
            {"name": "a", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]},
            {"name": "b", "version": "1", "vulns": []},
            {"name": "c", "skip_reason": "not found"},
        ]
    }
    assert audit.vulnerabilities(vulnerable) == (
        ["a 1: CVE-1, fixed in 2"],
        "2 of 3 packages audited, 1 findings",
    )
    for none in ({"dependencies": [{"name": "c", "skip_reason": "not found"}]}, "no network"):
        found, sentence = audit.vulnerabilities(none)
        assert not found
        assert sentence.startswith("NOT AUDITED")


ELSEWHERE = {"async-timeout", "colorama"}  # which only older Pythons and Windows need
DEPLOYED = sorted({*licences.locked("requirements.lock")} - ELSEWHERE)
DEBIAN = """\
Package: libc6
Status: install ok installed
Description: GNU C Library: Shared libraries
 more
Version: 2.41-12+deb13u1

Package: removed
Status: deinstall ok config-files
"""


def test_the_bill_of_materials_is_valid_and_holds_all_that_is_deployed(tmp_path: Path) -> None:
    weights = tmp_path / "vggface2.pt"
    weights.write_bytes(b"weights")
    text = json.dumps(sbom.bill(map(distribution, DEPLOYED), [weights], DEBIAN))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    assert bill["metadata"]["component"]["version"] == VERSION
    found = {part["name"]: part for part in bill["components"]}
    for name in DEPLOYED:
        part = found[name]
        pin = f"{name}=={part['version']}"
        assert pin in {each.partition(" ;")[0] for each in pins("requirements.lock")}
        assert part["purl"] == f"pkg:pypi/{name}@{part['version']}"
        (licence,) = part["licenses"]
        assert licence.get("expression") or licence["license"]["name"] == licences.licence(name)
    assert found["vggface2.pt"]["hashes"][0]["content"] == sha256(b"weights").hexdigest()
    assert found["libc6"]["purl"] == "pkg:deb/debian/libc6@2.41-12%2Bdeb13u1"
    assert {*found} == {*DEPLOYED, "python", "vggface2.pt", "libc6"}


@pytest.mark.parametrize("name", DEPLOYED)
def test_every_package_brings_its_licence_into_the_image(name: str) -> None:
    files = [file.name.upper() for file in distribution(name).files or []]
    assert any(word in file for file in files for word in ("LICEN", "COPYING")), name


def test_the_newest_part_of_the_changelog_is_of_this_version_or_a_later_one() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings.pop(0) == "Unreleased"
    released = [re.fullmatch(r"(\d+\.\d+\.\d+), \d{4}-\d\d-\d\d", each) for each in headings]
    assert all(released), headings
    assert not released or (released[0] and released[0][1] == VERSION)


def test_travis_does_what_ci_run_does() -> None:
    travis = yaml.safe_load((ROOT / ".travis.yml").read_text())
    assert (travis["install"], travis["script"]) == ("skip", ".ci/run")
    missing = re.findall(r"packages\+=\((.+)\)", (ROOT / ".ci/run").read_text())
    assert travis["addons"]["apt"]["packages"] == " ".join(missing).split()
