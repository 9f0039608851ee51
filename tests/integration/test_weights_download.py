"""Weights are downloaded once, and used only if they are complete and verified."""

import time
from pathlib import Path
from threading import Event, Thread

import pytest

from models.weights import WeightsFile, WeightsUnavailable, fetch, read
from tests.support import commands
from tests.support.weights_server import (
    CONTENT,
    OTHER,
    Answer,
    WeightsServer,
    sha256,
    start_fetching,
)

TIMEOUT_S = 2.0, 0.3


def fetched(weights: WeightsFile, folder: Path) -> bytes:
    path = fetch(weights, folder, TIMEOUT_S)
    assert path == folder / "net.pt"
    return path.read_bytes()


def cause_of_failure(weights: WeightsFile, folder: Path) -> str:
    with pytest.raises(WeightsUnavailable) as failure:
        fetch(weights, folder, TIMEOUT_S)
    assert not (folder / "net.pt").exists()
    assert "\n" not in str(failure.value)
    return str(failure.value)


def test_fetches_once(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there" / "yet"
    with WeightsServer(CONTENT) as server:
        for _ in range(2):
            assert fetched(server.offer("/moved"), folder) == CONTENT
        assert len(server.requests) == 1
    assert [path.name for path in folder.iterdir()] == ["net.pt"]


def test_a_verified_file_needs_neither_server_nor_writing(tmp_path: Path) -> None:
    (tmp_path / "net.pt").write_bytes(CONTENT)
    weights = WeightsFile("net.pt", "http://127.0.0.1:1/net.pt", sha256(CONTENT).upper())
    assert fetched(weights, tmp_path) == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["net.pt"]


@pytest.mark.parametrize("failure", [Answer(cut_at=655_360), Answer(stall_at=655_360)])
def test_an_interrupted_download_continues_where_it_ended(tmp_path: Path, failure: Answer) -> None:
    with WeightsServer(CONTENT, [failure, Answer()]) as server:
        assert fetched(server.offer(), tmp_path) == CONTENT
        assert server.ranges == ["bytes=0-", "bytes=655360-"]


def test_the_next_start_continues_where_the_last_one_ended(tmp_path: Path) -> None:
    """A slow download may take longer than a worker has for its start."""
    (tmp_path / "net.pt.part").write_bytes(CONTENT[:1000])
    with WeightsServer(CONTENT) as server:
        assert fetched(server.offer("/moved"), tmp_path) == CONTENT
        assert server.ranges == ["bytes=1000-"]


def test_a_complete_part_is_not_fetched_again(tmp_path: Path) -> None:
    (tmp_path / "net.pt.part").write_bytes(CONTENT)
    with WeightsServer(CONTENT) as server:
        assert fetched(server.offer(), tmp_path) == CONTENT
        assert [request.sent for request in server.requests] == [0]


def test_a_server_without_ranges_sends_everything_again(tmp_path: Path) -> None:
    answers = [Answer(cut_at=300_000, ranges=False), Answer(ranges=False)]
    with WeightsServer(CONTENT, answers) as server:
        assert fetched(server.offer(), tmp_path) == CONTENT
        assert [request.sent for request in server.requests] == [300_000, len(CONTENT)]


def test_a_part_of_another_file_is_thrown_away(tmp_path: Path) -> None:
    (tmp_path / "net.pt.part").write_bytes(OTHER[:1000])
    with WeightsServer(CONTENT) as server:
        assert "wrong SHA-256" in cause_of_failure(server.offer(), tmp_path)
        assert fetched(server.offer(), tmp_path) == CONTENT


def test_the_wrong_file_is_never_used(tmp_path: Path) -> None:
    with WeightsServer(OTHER) as server:
        cause = cause_of_failure(server.offer(), tmp_path)
        assert len(server.requests) == 1
    assert sha256(CONTENT) in cause
    assert sha256(OTHER) in cause
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_is_replaced_once_the_right_one_is_complete(tmp_path: Path) -> None:
    (tmp_path / "net.pt").write_bytes(OTHER)
    with WeightsServer(CONTENT, [Answer(status=404), Answer()]) as server:
        with pytest.raises(WeightsUnavailable):
            fetch(server.offer(), tmp_path, TIMEOUT_S)
        assert (tmp_path / "net.pt").read_bytes() == OTHER
        assert fetched(server.offer(), tmp_path) == CONTENT


@pytest.mark.parametrize(
    ("answer", "cause", "requests"),
    [
        (Answer(status=404), "cannot fetch net.pt from 127.0.0.1: it answered 404 Not Found", 1),
        (Answer(status=503), "it answered 503 Service Unavailable", 3),
        (Answer(content=b"<p>Log in to this network"), "wrong SHA-256", 1),
        (Answer(cut_at=10), "cannot fetch net.pt from 127.0.0.1", 3),
    ],
)
def test_a_failing_server_is_asked_again_only_if_that_may_help(
    tmp_path: Path, answer: Answer, cause: str, requests: int
) -> None:
    with WeightsServer(CONTENT, [answer]) as server:
        assert cause in cause_of_failure(server.offer(), tmp_path)
        assert len(server.requests) == requests


def test_a_server_that_recovers_is_used(tmp_path: Path) -> None:
    with WeightsServer(CONTENT, [Answer(status=503), Answer()]) as server:
        assert fetched(server.offer(), tmp_path) == CONTENT


def test_a_silent_server_is_given_up(tmp_path: Path) -> None:
    with WeightsServer(CONTENT, [Answer(held=Event())]) as server:
        start = time.monotonic()
        assert "timed out" in cause_of_failure(server.offer(), tmp_path)
        assert time.monotonic() - start < 2
        assert len(server.requests) == 1


@pytest.mark.parametrize("host", ["127.0.0.1:1", "weights.invalid"])
def test_an_unreachable_host_is_named(tmp_path: Path, host: str) -> None:
    weights = WeightsFile("net.pt", f"http://{host}/net.pt", sha256(CONTENT))
    name = host.partition(":")[0]
    assert f"cannot fetch net.pt from {name}: " in cause_of_failure(weights, tmp_path)


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    (tmp_path / "net.pt.part").symlink_to("/dev/full")
    with WeightsServer(CONTENT) as server:
        assert "net.pt: No space left on device" in cause_of_failure(server.offer(), tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with WeightsServer(CONTENT) as server, pytest.raises(WeightsUnavailable) as failure:
        fetch(server.offer(), tmp_path / "file" / "folder", TIMEOUT_S)
    assert "net.pt: Not a directory" in str(failure.value)


def test_the_proxy_of_the_environment_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with WeightsServer(CONTENT) as server:
        monkeypatch.setenv("http_proxy", server.address)
        url = "http://weights.invalid/net.pt"
        assert fetched(WeightsFile("net.pt", url, sha256(CONTENT)), tmp_path) == CONTENT
        assert server.requests[0].path == url


def test_secrets_in_a_url_stay_out_of_the_message(tmp_path: Path) -> None:
    url = "http://someone:s3cret@127.0.0.1:1/net.pt?signature=s3cret"
    cause = cause_of_failure(WeightsFile("net.pt", url, sha256(CONTENT)), tmp_path)
    assert "Connection refused" in cause
    assert "s3cret" not in cause


def test_no_reader_ever_sees_an_incomplete_file(tmp_path: Path) -> None:
    done, seen = Event(), set()

    def watch() -> None:
        while not done.is_set():
            if (tmp_path / "net.pt").exists():
                seen.add((tmp_path / "net.pt").read_bytes() == CONTENT)

    watcher = Thread(target=watch)
    watcher.start()
    try:
        with WeightsServer(CONTENT, [Answer(cut_at=500_000), Answer()]) as server:
            fetched(server.offer(), tmp_path)
    finally:
        done.set()
        watcher.join()
    assert seen <= {True}


@pytest.mark.parametrize(
    ("status", "outcomes"),
    [
        (200, ["fetched ", "fetched "]),
        (404, ["failed cannot fetch net.pt", "failed another process could not fetch"]),
    ],
)
def test_processes_that_start_at_once_ask_once(
    tmp_path: Path, status: int, outcomes: list[str]
) -> None:
    held = Event()
    with WeightsServer(CONTENT, [Answer(status=status, held=held)]) as server:
        with start_fetching(server.offer(), tmp_path) as first:
            assert server.asked.wait(20)
            with start_fetching(server.offer(), tmp_path) as second:
                assert second.stdout is not None
                assert "waiting for another process" in second.stdout.readline()
                held.set()
                outputs = [process.communicate(timeout=20)[0] for process in (first, second)]
        assert len(server.requests) == 1
    for output, outcome in zip(outputs, outcomes, strict=True):
        assert output.splitlines()[-1].startswith(outcome)


def test_if_a_process_is_killed_the_one_that_waits_continues(tmp_path: Path) -> None:
    with WeightsServer(CONTENT, [Answer(stall_at=500_000), Answer()]) as server:
        with start_fetching(server.offer(), tmp_path) as first:
            part = tmp_path / "net.pt.part"
            while not (part.exists() and part.stat().st_size):
                time.sleep(0.01)
            with start_fetching(server.offer(), tmp_path) as second:
                assert second.stdout is not None
                assert "waiting for another process" in second.stdout.readline()
                first.kill()
                assert second.communicate(timeout=20)[0].splitlines()[-1].startswith("fetched ")
        assert len(server.requests) == 2
    assert (tmp_path / "net.pt").read_bytes() == CONTENT


def test_read_names_the_file_and_both_checksums(tmp_path: Path) -> None:
    path = tmp_path / "own.pt"
    with pytest.raises(WeightsUnavailable, match=r"own\.pt is missing"):
        read(path, sha256(CONTENT))
    path.write_bytes(CONTENT)
    assert read(path, sha256(CONTENT).upper()) == CONTENT
    with pytest.raises(WeightsUnavailable) as failure:
        read(path, sha256(OTHER))
    for part in (str(path), sha256(CONTENT), sha256(OTHER)):
        assert part in str(failure.value)


def test_a_build_ends_with_an_error_if_the_weights_of_a_named_model_are_missing(
    tmp_path: Path,
) -> None:
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:1", "MODELS_DIR": str(tmp_path)}
    done = commands.run("models", "fetch", "dlib", **nowhere)
    assert (done.returncode, done.stdout) == (0, "dlib: its weights are here\n")
    done = commands.run("models", "fetch", "dlib", "vggface2", **nowhere)
    assert done.returncode == 1
    assert "Error: cannot fetch 20180402-114759-vggface2.pt from github.com" in done.stderr
    assert commands.run("models", "fetch", **nowhere).returncode == 0
