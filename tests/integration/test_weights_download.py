"""Weights are fetched once, whole and verified, or not at all, and nobody waits for long."""

import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import pytest

from models.weights import Patience, WeightsFile, WeightsUnavailable, fetch, load_state_dict, verify
from tests.support.weights_server import (
    CONTENT,
    OTHER,
    Answer,
    WeightsServer,
    sha256,
    start_fetching,
)

HURRIED = Patience(answer_s=2.0, stall_s=0.3, attempts=3, backoff_s=0.01)


def seconds_to_give_up(weights: WeightsFile, folder: Path, patience: Patience) -> float:
    start = time.monotonic()
    with pytest.raises(WeightsUnavailable, match=r"cannot fetch net\.pt from"):
        fetch(weights, folder, patience)
    assert not (folder / "net.pt").exists()
    return time.monotonic() - start


def test_fetches_once(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there" / "yet"
    with WeightsServer(CONTENT) as server:
        path = fetch(server.offer(), folder, HURRIED)
        assert fetch(server.offer(), folder, HURRIED) == path == folder / "net.pt"
        assert server.ranges == [None]
    assert path.read_bytes() == CONTENT
    assert not (folder / "net.pt.part").exists()


def test_a_verified_file_needs_neither_server_nor_writing(tmp_path: Path) -> None:
    (tmp_path / "net.pt").write_bytes(CONTENT)
    weights = WeightsFile("net.pt", None, None, sha256(CONTENT).upper())
    assert fetch(weights, tmp_path) == tmp_path / "net.pt"
    assert [path.name for path in tmp_path.iterdir()] == ["net.pt"]


def test_a_file_without_an_address_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable, match=r"net\.pt is missing, and no address"):
        fetch(WeightsFile("net.pt", None, None, sha256(CONTENT)), tmp_path)


@pytest.mark.parametrize("failure", [Answer(cut_at=300_000), Answer(stall_at=300_000)])
def test_a_cut_off_download_goes_on_where_it_ended(tmp_path: Path, failure: Answer) -> None:
    with WeightsServer(CONTENT, [failure, Answer()]) as server:
        path = fetch(server.offer(), tmp_path, HURRIED)
        assert server.ranges == [None, "bytes=300000-"]
        assert [request.sent for request in server.requests] == [300_000, 700_000]
    assert path.read_bytes() == CONTENT


def test_the_next_start_goes_on_where_the_last_one_gave_up(tmp_path: Path) -> None:
    with WeightsServer(CONTENT, [Answer(cut_at=10), Answer(cut_at=20), Answer()]) as server:
        once = Patience(answer_s=2.0, attempts=1)
        for _ in range(2):
            seconds_to_give_up(server.offer(), tmp_path, once)
        path = fetch(server.offer("/moved"), tmp_path, once)
        assert server.ranges == [None, "bytes=10-", "bytes=30-"]
    assert path.read_bytes() == CONTENT


def test_a_part_that_lacks_nothing_is_not_fetched_again(tmp_path: Path) -> None:
    (tmp_path / "net.pt.part").write_bytes(CONTENT)
    with WeightsServer(CONTENT) as server:
        path = fetch(server.offer(), tmp_path, HURRIED)
        assert [request.sent for request in server.requests] == [0]
    assert path.read_bytes() == CONTENT


def test_a_server_without_ranges_sends_everything_again(tmp_path: Path) -> None:
    answers = [Answer(cut_at=300_000), Answer(ranges=False)]
    with WeightsServer(CONTENT, answers) as server:
        path = fetch(server.offer(), tmp_path, HURRIED)
        assert server.ranges == [None, "bytes=300000-"]
    assert path.read_bytes() == CONTENT


def test_a_part_of_another_file_is_thrown_away(tmp_path: Path) -> None:
    (tmp_path / "net.pt.part").write_bytes(OTHER[:1000])
    with WeightsServer(CONTENT) as server:
        path = fetch(server.offer(), tmp_path, HURRIED)
        assert server.ranges == ["bytes=1000-", None]
    assert path.read_bytes() == CONTENT


def test_the_wrong_file_is_never_used(tmp_path: Path) -> None:
    with WeightsServer(OTHER) as server:
        with pytest.raises(WeightsUnavailable) as failure:
            fetch(server.offer(), tmp_path, HURRIED)
        assert len(server.requests) == 1
    assert sha256(CONTENT) in str(failure.value)
    assert sha256(OTHER) in str(failure.value)
    assert not (tmp_path / "net.pt").exists()
    assert not (tmp_path / "net.pt.part").exists()


def test_a_damaged_file_is_replaced_once_the_right_one_has_come(tmp_path: Path) -> None:
    (tmp_path / "net.pt").write_bytes(OTHER)
    with WeightsServer(CONTENT, [Answer(status=404), Answer()]) as server:
        with pytest.raises(WeightsUnavailable):
            fetch(server.offer(), tmp_path, HURRIED)
        assert (tmp_path / "net.pt").read_bytes() == OTHER
        assert fetch(server.offer(), tmp_path, HURRIED).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("answer", "cause", "requests"),
    [
        (Answer(status=404), "it answered 404 Not Found", 1),
        (Answer(status=503), "it answered 503 Service Unavailable", 3),
        (Answer(content=b"<p>Log in to this network"), "it offers 25 bytes", 1),
        (Answer(cut_at=10), "cannot fetch net.pt from 127.0.0.1", 3),
    ],
)
def test_a_server_that_fails_is_asked_again_only_where_that_helps(
    tmp_path: Path, answer: Answer, cause: str, requests: int
) -> None:
    with WeightsServer(CONTENT, [answer]) as server:
        with pytest.raises(WeightsUnavailable, match=cause):
            fetch(server.offer(), tmp_path, HURRIED)
        assert len(server.requests) == requests


def test_a_server_that_recovers_is_used(tmp_path: Path) -> None:
    with WeightsServer(CONTENT, [Answer(status=503), Answer()]) as server:
        assert fetch(server.offer(), tmp_path, HURRIED).read_bytes() == CONTENT


def test_a_slow_but_steady_server_is_waited_for(tmp_path: Path) -> None:
    steady = Answer(piece=100_000, pause_s=0.08)
    patience = Patience(answer_s=0.5, stall_s=0.5, attempts=1)
    with WeightsServer(CONTENT, [steady]) as server:
        start = time.monotonic()
        assert fetch(server.offer(), tmp_path, patience).read_bytes() == CONTENT
    assert time.monotonic() - start > patience.answer_s


@pytest.mark.parametrize(
    "answer", [Answer(held=Event()), Answer(trickles=True), Answer(stall_at=0)]
)
def test_a_server_that_does_not_get_to_the_point_is_given_up(
    tmp_path: Path, answer: Answer
) -> None:
    with WeightsServer(CONTENT, [answer]) as server:
        patience = Patience(answer_s=0.3, stall_s=9)
        assert seconds_to_give_up(server.offer(), tmp_path, patience) < 1.0
        assert len(server.requests) == 1


@pytest.mark.parametrize("host", ["127.0.0.1:1", "192.0.2.1", "weights.invalid"])
def test_a_host_out_of_reach_is_given_up(tmp_path: Path, host: str) -> None:
    weights = WeightsFile("net.pt", f"http://{host}/net.pt", None, sha256(CONTENT))
    assert seconds_to_give_up(weights, tmp_path, Patience(answer_s=0.3)) < 1.0


def test_by_default_a_silent_host_is_given_up_within_ten_seconds(tmp_path: Path) -> None:
    with WeightsServer(CONTENT, [Answer(held=Event())]) as server:
        assert seconds_to_give_up(server.offer(), tmp_path, Patience()) < 10


def test_a_full_disk_is_said_before_anything_is_fetched(tmp_path: Path) -> None:
    petabyte = 10**15
    with WeightsServer(CONTENT, [Answer(declared=petabyte)]) as server:
        weights = WeightsFile("net.pt", f"{server.address}/net.pt", petabyte, sha256(CONTENT))
        with pytest.raises(WeightsUnavailable, match="1000000000 MB are needed in"):
            fetch(weights, tmp_path, HURRIED)


def test_a_disk_that_fills_up_is_said(tmp_path: Path) -> None:
    (tmp_path / "net.pt.part").symlink_to("/dev/full")
    no_space = pytest.raises(WeightsUnavailable, match=r"net\.pt: No space left on device")
    with WeightsServer(CONTENT) as server, no_space:
        fetch(server.offer(), tmp_path, HURRIED)


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    not_writable = pytest.raises(WeightsUnavailable, match=r"net\.pt: Not a directory")
    with WeightsServer(CONTENT) as server, not_writable:
        fetch(server.offer(), tmp_path / "file" / "folder", HURRIED)


def test_the_proxy_of_the_environment_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with WeightsServer(CONTENT) as server:
        monkeypatch.setenv("http_proxy", server.address)
        url = "http://weights.invalid/net.pt"
        fetch(WeightsFile("net.pt", url, None, sha256(CONTENT)), tmp_path, HURRIED)
        assert server.requests[0].path == url


def test_secrets_of_an_address_stay_out_of_the_message(tmp_path: Path) -> None:
    url = "http://someone:s3cret@127.0.0.1:1/net.pt?signature=s3cret"
    with pytest.raises(WeightsUnavailable, match="Connection refused") as failure:
        fetch(WeightsFile("net.pt", url, None, sha256(CONTENT)), tmp_path, HURRIED)
    assert "s3cret" not in str(failure.value)


def test_no_reader_ever_sees_a_part_under_the_final_name(tmp_path: Path) -> None:
    done, seen = Event(), set()

    def watch() -> None:
        while not done.is_set():
            if (tmp_path / "net.pt").exists():
                seen.add((tmp_path / "net.pt").read_bytes() == CONTENT)

    answers = [Answer(piece=50_000, pause_s=0.005, cut_at=500_000), Answer(piece=50_000)]
    watcher = Thread(target=watch)
    watcher.start()
    try:
        with WeightsServer(CONTENT, answers) as server:
            fetch(server.offer(), tmp_path, HURRIED)
    finally:
        done.set()
        watcher.join()
    assert seen <= {True}


@pytest.mark.parametrize(("status", "outcome"), [(200, "fetched"), (404, "failed")])
def test_processes_that_start_at_once_ask_once(tmp_path: Path, status: int, outcome: str) -> None:
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
    last_lines = [output.splitlines()[-1] for output in outputs]
    assert last_lines[0].startswith(outcome)
    assert last_lines[0] == last_lines[1]


def test_verify_says_which_file_and_which_hash(tmp_path: Path) -> None:
    path = tmp_path / "own.pt"
    with pytest.raises(WeightsUnavailable, match=r"own\.pt is missing"):
        verify(path, sha256(CONTENT))
    path.write_bytes(CONTENT)
    verify(path, sha256(CONTENT))
    with pytest.raises(WeightsUnavailable) as failure:
        verify(path, sha256(OTHER))
    for part in (str(path), sha256(CONTENT), sha256(OTHER)):
        assert part in str(failure.value)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_state_dict_is_loaded(tmp_path: Path, zipped: bool) -> None:
    import torch

    state = torch.nn.Linear(3, 2).state_dict()
    torch.save(state, tmp_path / "net.pt", _use_new_zipfile_serialization=zipped)
    loaded = load_state_dict(tmp_path / "net.pt")
    assert list(loaded) == ["weight", "bias"]
    assert torch.equal(loaded["weight"], state["weight"])


class Exploit:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.mark),)


def test_code_in_a_weights_file_is_not_run(tmp_path: Path) -> None:
    import torch

    mark = tmp_path / "mark"
    torch.save({"weight": Exploit(mark)}, tmp_path / "zipped.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps({"weight": Exploit(mark)}, protocol=2))
    for name in ("zipped.pt", "plain.pt"):
        with pytest.raises(WeightsUnavailable, match="not a PyTorch state dict"):
            load_state_dict(tmp_path / name)
    assert not mark.exists()
    pickle.loads((tmp_path / "plain.pt").read_bytes())
    assert mark.exists(), "the exploit works where it is allowed to"


@pytest.mark.parametrize("content", [b"", b"no pickle", CONTENT, [1.0], {}, {"weight": 1.0}])
def test_a_file_that_is_no_state_dict_is_refused(tmp_path: Path, content: object) -> None:
    import torch

    path = tmp_path / "net.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(WeightsUnavailable, match=r"net\.pt .* state dict"):
        load_state_dict(path)
