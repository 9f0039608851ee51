"""A process whose first photos come all at once answers them."""

import subprocess
import sys

import pytest

from testbed.serving import ROOT

# Python changes threads as often as it can, so that what may deadlock does.
ALL_AT_ONCE = """
import sys
from pathlib import Path
from threading import Barrier, Thread

import numpy as np

from models.catalogue import Catalogue
from models.openvino import OpenVinoRuntime

network = Catalogue(Path("/nowhere")).get("dlib").network()
embed = OpenVinoRuntime().compile(network)
barrier = Barrier(8)

def first():
    barrier.wait()
    embed(np.zeros((1, network.side, network.side, 3), np.uint8))

sys.setswitchinterval(1e-6)
threads = [Thread(target=first) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("done")
"""


@pytest.mark.parametrize("time", range(5))
def test_threads_that_are_first_do_not_hold_each_other_up(time: int) -> None:
    command = [sys.executable, "-c", ALL_AT_ONCE]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "done\n", done.stderr
