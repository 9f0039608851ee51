"""The service as a container runs it: any user, and a tree that cannot be written."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.serving import ROOT, RunningService


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
    (tree / "models" / "weights").mkdir()
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
