"""A start of the service that fails."""

import subprocess
import sys

from testbed.serving import ROOT, environment, free_port


def start(**variables: str) -> tuple[int, str]:
    """Exit code and output of a start that fails."""
    process = subprocess.run(
        [sys.executable, "entry.py"],
        cwd=ROOT,
        env=environment(**{"HOST": "127.0.0.1", "PORT": str(free_port())} | variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert process.returncode != 0
    assert "Traceback" not in process.stdout
    return process.returncode, process.stdout
