"""`make demo` shows real logins, reports unexpected answers, and leaves nothing running."""

import os
import re
import signal
import socket
import subprocess
import sys

import pytest

from testbed.serving import ROOT


def start(**settings: str) -> subprocess.Popen[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONIOENCODING": "utf-8",
        "PYTHONUNBUFFERED": "1",
        "MODELS_DIR": str(ROOT / ".cache/models"),
        **settings,
    }
    return subprocess.Popen(
        [sys.executable, "demo.py"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def demonstrate(**settings: str) -> tuple[int, str]:
    """Run the demonstration; return its exit status and output."""
    with start(**settings) as demo:
        try:
            output, _ = demo.communicate(timeout=120)
        finally:
            demo.terminate()
    return demo.returncode, output


def table(output: str) -> list[str]:
    """Return the lines that show calls."""
    return [line for line in output.splitlines() if line[:1] in ("✓", "✗")]


def assert_ended(output: str) -> None:
    """Assert that nothing listens any more at the address in the output."""
    named = re.search(r"http://127\.0\.0\.1:(\d+)", output)
    assert named, output
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(named[1]))) != 0


@pytest.fixture(scope="module")
def demonstration() -> tuple[int, str]:
    """The outcome of one run, in an environment that names a real database."""
    return demonstrate(MONGO_DB_URL="127.0.0.1:1/production", SQLITE_PATH="/no/such/file")


def test_every_answer_is_as_expected(demonstration: tuple[int, str]) -> None:
    status, output = demonstration
    assert status == 0, output
    assert "✗" not in output
    rows = table(output)
    assert f"{len(rows)} of {len(rows)} answers were as expected" in output
    logins = [row for row in rows if "find_match" in row]
    assert sum("1: Grace Hopper" in row for row in logins) >= 5
    assert sum("2: Eileen Collins" in row for row in logins) >= 5
    assert_ended(output)


def test_the_table_is_aligned(demonstration: tuple[int, str]) -> None:
    _, output = demonstration
    header = next(line for line in output.splitlines() if "request" in line and "status" in line)
    end = header.index("status") + len("status")
    assert table(output)
    for row in table(output):
        assert re.fullmatch(r"\d{3}", row[end - 3 : end]), row
        assert row[end : end + 2] == "  ", row


def test_an_unexpected_answer_is_shown_and_the_demo_fails() -> None:
    status, output = demonstrate(LOGIN_MATCH_THRESHOLD="0")
    assert status == 1
    assert "✗" in output
    assert "no matches found  (expected: 200 1: Grace Hopper)" in output
    assert_ended(output)


def test_the_log_is_shown_if_the_service_cannot_start() -> None:
    status, output = demonstrate(FACE_MODEL="facenet")
    assert status == 1
    assert "Cannot start: FACE_MODEL is facenet: set FACENET_WEIGHTS" in output
    assert "Traceback" not in output


def test_ctrl_c_also_ends_the_service() -> None:
    with start() as demo:
        assert demo.stdout
        shown = ""
        for line in demo.stdout:
            shown += line
            if line.startswith("✓"):
                demo.send_signal(signal.SIGINT)
                break
        rest, _ = demo.communicate(timeout=60)
    assert demo.returncode == 130
    assert "Traceback" not in rest
    assert_ended(shown)
