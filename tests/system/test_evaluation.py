"""`flask --app entry calibrate` as a process: Ctrl-C ends it."""

import signal
import subprocess
import sys
import time
from pathlib import Path

from testbed.photos import ASTRONAUT
from testbed.serving import ROOT, environment


def test_ctrl_c_ends_it_and_leaves_no_report(tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    for person in range(500):
        (photos / str(person)).mkdir(parents=True)
        for photo in "12":
            (photos / str(person) / f"{photo}.png").symlink_to(ASTRONAUT)
    out.mkdir()
    words = ("calibrate", str(photos), "--report", str(out / "report.html"))
    process = subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "entry", *words],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert process.stderr.readline().startswith("model dlib")
    time.sleep(1)  # by then, photos are being processed
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=20)
    assert (process.returncode, stdout, stderr.strip()) == (1, "", "Aborted!")
    assert list(out.iterdir()) == []
