"""Build the image and use it as OpenShift would: any user in group 0, read-only root, no internet.

`make image-test` prints the sizes of the layers, the time to the first login, and memory. It takes
root, podman and debootstrap, and 5 GB below the temporary folder. BASE_IMAGE names the image to
build on; by default Debian's Python is installed with debootstrap, for machines that reach no
registry.
"""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from testbed.photos import ASTRONAUT
from testbed.serving import ROOT, free_port
from tools import licences

_IMAGE = "localhost/image-registration-service:test"
_USER = "1000660000:0"
# What pip needs to reach an index of this machine.
_PIP = ("/etc/pip.conf", "/etc/xdg/pip", "/etc/ssl/certs")
_SUITE = "bookworm"  # Debian with Python 3.11
_READY_S = 60


class Podman:
    """podman with storage of its own, in a folder that is deleted afterwards."""

    def __init__(self, folder: Path) -> None:
        self._command = [
            *("podman", "--root", str(folder / "storage"), "--runroot", str(folder / "run")),
            *("--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--runtime", "runc"),
        ]

    def __call__(self, *words: str) -> str:
        done = subprocess.run([*self._command, *words], stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise SystemExit(f"podman {words[0]} failed")
        return done.stdout.strip()


def base_image(podman: Podman, folder: Path) -> str:
    """Return the image to build on; make one of Debian's packages if none is named."""
    if named := os.environ.get("BASE_IMAGE"):
        return named
    root = folder / "debian"
    packages = "python3,python3-pip,python3-venv,ca-certificates"
    words = ["debootstrap", "--variant=minbase", f"--include={packages}", _SUITE, str(root)]
    subprocess.run([*words, *_mirror()], check=True, stdout=subprocess.DEVNULL)
    (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    for unneeded in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man"):
        shutil.rmtree(root / unneeded, ignore_errors=True)
    archive = folder / "debian.tar"
    subprocess.run(["tar", "-C", str(root), "-cf", str(archive), "."], check=True)
    shutil.rmtree(root)
    podman("import", str(archive), "localhost/python:debian")
    archive.unlink()
    return "localhost/python:debian"


def _mirror() -> list[str]:
    """Return the address from which this machine gets Debian's packages, if it is one."""
    words = ["apt-get", "indextargets", "--format", "$(SITE) $(CODENAME)", "Created-By: Packages"]
    found = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False).stdout.split("\n")
    return [site for site, _, suite in (line.partition(" ") for line in found) if suite == _SUITE][
        :1
    ]


def build(podman: Podman, base: str) -> None:
    """Build the image with the bundled model, and print its layers."""
    volumes = [f"--volume={path}:{path}:ro" for path in _PIP if Path(path).exists()]
    began = time.monotonic()
    words = ("--isolation=chroot", "--format=docker", "--pull-never", "--network=host", *volumes)
    podman("build", *words, f"--build-arg=BASE_IMAGE={base}", "--build-arg=MODELS=dlib",
           f"--tag={_IMAGE}", str(ROOT))  # fmt: skip
    print(f"built in {time.monotonic() - began:.0f} s")
    print(podman("history", "--human=true", "--format={{.Size}}\t{{.CreatedBy}}", _IMAGE))
    size = int(podman("image", "inspect", "--format={{.Size}}", _IMAGE))
    of_base = int(podman("image", "inspect", "--format={{.Size}}", base))
    print(f"image {size / 1e6:.0f} MB, of which the base {of_base / 1e6:.0f} MB")


@contextmanager
def running(podman: Podman) -> Iterator[tuple[str, str]]:
    """Run the image; yield the container's id and its address."""
    port = free_port()
    variables = [f"--env={each}" for each in (f"PORT={port}", "HOST=127.0.0.1", "FACE_MODEL=dlib")]
    limits = (
        "--read-only",
        f"--user={_USER}",
        "--cap-drop=all",
        "--security-opt=no-new-privileges",
    )
    # Low ones, because raising them takes a right that root may lack.
    ulimits = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024")
    places = ("--tmpfs=/tmp", "--network=host", *ulimits, "--no-healthcheck")
    shares = ("--cpus=2", "--memory=2g")
    container = podman("run", "--detach", *limits, *places, *shares, *variables, _IMAGE)
    try:
        yield container, f"http://127.0.0.1:{port}"
    finally:
        print(podman("logs", container), file=sys.stderr)
        podman("rm", "--force", container)


def use(podman: Podman) -> None:
    """Enrol a person, log them in, and end the service. Raise AssertionError if that fails."""
    photo = base64.b64encode(ASTRONAUT.read_bytes()).decode()
    began = time.monotonic()
    with running(podman) as (container, address):
        while not _is_ready(address):
            assert time.monotonic() - began < _READY_S, "not ready"
            time.sleep(0.1)
        ready_s = time.monotonic() - began
        person = {"name": "Eileen", "surname": "Collins", "img_base64": photo}
        assert requests.post(f"{address}/api/store/1", json=person, timeout=30).text == "ok"
        login = requests.post(f"{address}/api/find_match", json={"img_base64": photo}, timeout=30)
        assert login.json() == {"_id": 1, "name": "Eileen", "surname": "Collins"}
        print(f"ready after {ready_s:.1f} s, logged in after {time.monotonic() - began:.1f} s")
        print(f"memory: {_memory_mb(podman, container):.0f} MB (PSS)")
        _check_bill(podman, container)
        began = time.monotonic()
        podman("stop", "--time=40", container)
        code = podman("inspect", "--format={{.State.ExitCode}}", container)
        print(f"ended {time.monotonic() - began:.1f} s after SIGTERM, exit code {code}")
        assert code == "0"


def _check_bill(podman: Podman, container: str) -> None:
    """Compare the bill of materials with the packages that are there; each has its licence."""
    bill = json.loads(podman("exec", container, "cat", "sbom.cdx.json"))
    parts = {part["name"]: part for part in bill["components"]}
    where = ("/venv/lib", "-maxdepth", "5", "-type", "f", "-path", "*.dist-info/*")
    found = podman("exec", container, "find", *where).splitlines()
    folders = {re.search(r"/([^/]+)-[^-/]+\.dist-info", path)[1] for path in found}  # type: ignore[index]
    assert {licences.normalised(folder) for folder in folders} <= set(parts)
    assert set(licences.locked("requirements.lock")) - set(parts) <= {"async-timeout", "colorama"}
    with_licence = {p for p in found if re.search("LICEN|COPYING", p.rpartition("/")[2].upper())}
    print(f"bill of materials: {len(parts)} parts; {len(with_licence)} files of licences")
    assert len({path.partition(".dist-info")[0] for path in with_licence}) == len(folders)
    assert podman("exec", container, "head", "-n", "1", "docs/licences.md") == "# Licences"


def _is_ready(address: str) -> bool:
    try:
        return requests.get(f"{address}/readyz", timeout=5).status_code == 200
    except requests.ConnectionError:
        return False


def _memory_mb(podman: Podman, container: str) -> float:
    """Return the memory of all processes of the container."""
    pids = podman("top", container, "hpid").split()[1:]
    rollups = (Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids)
    lines = (line for rollup in rollups for line in rollup.splitlines() if line[:4] == "Pss:")
    return sum(int(line.split()[1]) for line in lines) / 1e3


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="image-") as name:
        folder = Path(name)
        podman = Podman(folder)
        build(podman, base_image(podman, folder))
        use(podman)


if __name__ == "__main__":
    main()
