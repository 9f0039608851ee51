"""What is installed: pinned with hashes, under licences we accept, and in a read-only container."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import audit, licences
from tests.serving import MODELS_DIR, ROOT, RunningService

LOCKS = ["requirements.lock", "requirements-dev.lock", "requirements-cpu.lock"]
TORCH = re.compile(r"torch|torchvision|triton|(nvidia|cuda)-.+")


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


@pytest.mark.parametrize("requirements", ["requirements.txt", "requirements-dev.txt"])
def test_what_is_required_is_locked(requirements: str) -> None:
    wanted = re.findall(r"^([\w-]+)==([\w.]+)", (ROOT / requirements).read_text(), re.MULTILINE)
    locked = pins(requirements.replace(".txt", ".lock"))
    versions = {re.sub(r"[-_.]+", "-", name.split(" ;")[0]) for name in locked}
    for name, version in wanted:
        assert re.sub(r"[-_.]+", "-", f"{name}=={version}").lower() in versions


def test_the_locks_agree() -> None:
    run, dev, cpu = (pins(lock) for lock in LOCKS)
    assert {name: entry for name, entry in dev.items() if name in run} == run
    without = {name: pin for name, pin in run.items() if not TORCH.fullmatch(name.split("==")[0])}
    assert cpu == without
    assert 0 < len(cpu) < len(run) < len(dev)


def test_licences_are_accepted_and_the_page_is_current() -> None:
    page = (ROOT / "docs" / "licences.md").read_text().splitlines()
    for lock in LOCKS[:2]:
        for name in licences.locked(lock):
            said = licences.licence(name)
            if said is not None:
                assert f"| {name} | {said} |" in page, "run make licences"
                assert lock != "requirements.lock" or not licences.refused(name, said), name


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


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_random_user_runs_it_from_a_tree_that_cannot_be_written(tmp_path: Path) -> None:
    """As in the container: any uid, group 0, a read-only root, and data to write."""
    tree, data = tmp_path / "app", tmp_path / "data"
    tree.mkdir(), data.mkdir()
    for name in ("app", "models", "entry.py"):
        source = ROOT / name
        ignored = shutil.ignore_patterns("__pycache__", "weights")
        shutil.copytree(source, tree / name, ignore=ignored) if source.is_dir() else shutil.copy(
            source, tree
        )
    shutil.copytree(MODELS_DIR, tree / "models" / "weights")
    subprocess.run(["chmod", "-R", "a-w,a+rX", tree], check=True)
    os.chown(data, 1_234_567, 0)
    for folder in [tmp_path, *tmp_path.parents]:
        if not folder.stat().st_mode & 0o001:
            folder.chmod(0o711)
    if subprocess.run(
        ["setpriv", "--reuid=1234567", "--clear-groups", sys.executable, "-c", "import flask"],
        check=False,
        capture_output=True,
    ).returncode:
        pytest.skip("this Python cannot be read by another user")
    user = ["setpriv", "--reuid=1234567", "--regid=0", "--clear-groups", "--no-new-privs"]
    variables = {"MODELS_DIR": "models/weights", "HOME": "/nonexistent"}
    variables["PYTHONDONTWRITEBYTECODE"] = "1"
    with RunningService(data, tree=tree, wrapper=user, **variables) as service:
        assert Path(f"/proc/{service.process.pid}").stat().st_uid == 1_234_567
        assert service.call("GET", "/readyz").json()["employees"] == 0
        written = [path for path in tree.rglob("*") if path.stat().st_uid == 1_234_567]
        assert not written
