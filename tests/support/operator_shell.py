"""An operator who types the commands of a page, in a copy of the repository."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

from testbed.serving import ROOT, RunningService, environment

_STAND_INS = ("oc", "helm", "pip", "python3.11")
_LEFT_OUT = shutil.ignore_patterns(
    ".*", "data", "docs", "tests", "benchmarks", "weights", "__pycache__"
)


class Page:
    """The blocks of a page, or of one section of it, to be run in order."""

    def __init__(self, name: str, section: str = "") -> None:
        text = (ROOT / "docs" / name).read_text()
        if section:
            text = text.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
        found = re.findall(r"^( *)```sh\n(.*?)^\1```", text, re.DOTALL | re.MULTILINE)
        self.blocks = [textwrap.dedent(block) for _, block in found]

    def next(self, part: str = "") -> str:
        """Return the next block, which contains that text."""
        block = self.blocks.pop(0)
        assert part in block, block
        return block


class Operator:
    """A shell whose variables outlive a block.

    folder: where the copy is made. service: what is at port 5005 of the page, and whose settings
    the commands have. variables: more of the environment.
    """

    def __init__(
        self, folder: Path, service: RunningService | None = None, **variables: str
    ) -> None:
        self.folder = folder / "repository"
        shutil.copytree(ROOT, self.folder, ignore=_LEFT_OUT)
        self._service = service
        self._state = folder / "state"
        settings = service.environment if service else environment()
        self.variables = {"MONGO_DB_URL": "", "KEY": ""} | settings | variables
        self.variables["PATH"] = (
            f"{_stand_ins(folder)}:{Path(sys.executable).parent}:" + (os.environ["PATH"])
        )
        if service:
            self.variables["SERVICE_LOG"] = str(service.log_file)
        self.variables |= {"STAND_INS_ROOT": str(ROOT), "POD_FOLDER": str(folder / "pod")}
        (folder / "pod/tmp").mkdir(parents=True)

    def run(self, block: str, *, fails: bool = False) -> str:
        """Run a block as it is, except for the port; return what it printed."""
        if self._service:
            block = block.replace("localhost:5005", f"localhost:{self._service.port}")
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f"set -a\n{block}\nenv -0 >{self._state}"],
            cwd=self.folder,
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        assert (done.returncode != 0) == fails, f"{block}\n{done.stdout}"
        if not fails:
            pairs = self._state.read_text().split("\0")[:-1]
            self.variables = dict(pair.split("=", 1) for pair in pairs)
        return done.stdout


def _stand_ins(folder: Path) -> Path:
    """Make a folder with the programs that cannot run here; see tests/support/stand_ins.py."""
    made = folder / "stand-ins"
    made.mkdir()
    for name in _STAND_INS:
        path = made / name
        words = (sys.executable, ROOT / "tests/support/stand_ins.py", name)
        path.write_text(f'#!/bin/sh\nexec {shlex.join(map(str, words))} "$@"\n')
        path.chmod(0o755)
    return made
