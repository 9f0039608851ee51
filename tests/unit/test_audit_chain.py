"""The chain of the audit log: it goes on whatever happens, and tampering is found."""

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from app.audit import AuditLog, AuditUnavailable, Caller
from app.audit.chain import BEGINNING, digest, link, verify
from app.audit.sinks import ChainedFile, open_sink


def test_a_log_that_cannot_be_opened_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(AuditUnavailable, match=r"AUDIT_LOG.*Is a directory"):
        open_sink(str(tmp_path))


def test_a_crash_in_the_middle_of_a_line_is_seen_and_the_chain_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    AuditLog(ChainedFile(path)).write("test", "ok")
    with path.open("ab") as file:
        file.write(b'{"time":"20')
    AuditLog(ChainedFile(path)).write("test", "ok")
    AuditLog(ChainedFile(path)).write("test", "ok")
    (finding,) = verify([path]).findings
    assert "line 2 is not an entry" in finding


def written(path: Path, count: int) -> list[bytes]:
    """A log of so many entries, and its lines."""
    log = AuditLog(ChainedFile(path))
    log.called_by(Caller("front-desk", "10.0.0.1", "r"))
    for number in range(count):
        log.write("delete", "ok", employee_id=number)
    return path.read_bytes().splitlines()


Tampering = Callable[[list[bytes]], list[bytes]]


@pytest.mark.parametrize(
    ("tamper", "line"),
    [
        pytest.param(lambda it: [*it[:3], it[3].replace(b"ok", b"no"), *it[4:]], 5, id="altered"),
        pytest.param(lambda it: it[:3] + it[4:], 4, id="removed"),
        pytest.param(lambda it: it[:1] + it[2:], 2, id="the second removed"),
        pytest.param(lambda it: [*it[:3], it[3], it[3], *it[4:]], 5, id="inserted"),
        pytest.param(lambda it: [*it[:3], it[4], it[3], *it[5:]], 4, id="reordered"),
        pytest.param(lambda it: [*it[:3], b"", *it[3:]], 4, id="an empty line"),
        pytest.param(lambda it: [*it[:9], it[9][:-7]], 10, id="the last one cut short"),
    ],
)
def test_tampering_is_found_where_it_was_done(tmp_path: Path, tamper: Tampering, line: int) -> None:
    path = tmp_path / "audit.log"
    lines = written(path, 10)
    assert verify([path]).findings == []
    path.write_bytes(b"".join(entry + b"\n" for entry in tamper(lines)))
    assert f"line {line} " in verify([path]).findings[0]


def test_a_cut_off_end_is_found_where_a_hash_was_kept(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    lines = written(path, 10)
    kept = verify([path]).last
    assert kept == digest(lines[-1])
    AuditLog(ChainedFile(path)).write("test", "ok")
    assert verify([path], [kept]).findings == []
    path.write_bytes(b"".join(entry + b"\n" for entry in lines[:7]))
    assert verify([path]).findings == []  # that cannot be known
    assert "the end was cut off" in verify([path], [kept]).findings[0]


def test_a_log_written_anew_is_found_where_a_hash_was_kept(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    written(path, 10)
    kept = verify([path]).last
    previous, forged = BEGINNING, []
    for number in range(10):
        forged.append(link(previous, {"action": "delete", "outcome": "ok", "employee_id": number}))
        previous = digest(forged[-1])
    path.write_bytes(b"".join(entry + b"\n" for entry in forged))
    assert verify([path]).findings == []
    assert verify([path], [kept]).findings


@given(seed=st.integers(0, 2**32), data=st.data())
def test_no_change_of_a_byte_goes_unnoticed(
    tmp_path_factory: pytest.TempPathFactory, seed: int, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "property.log"
    if not path.exists():
        written(path, 6)
    log = path.read_bytes()
    kept = digest(log.splitlines()[-1])
    where = data.draw(st.integers(0, len(log) - 1))
    changed = bytearray(log)
    changed[where] ^= random.Random(seed).randrange(1, 256)
    other = path.with_suffix(".changed")
    other.write_bytes(changed)
    assert verify([other], [kept]).findings


def note(path: Path, count: int = 1) -> None:
    """Entries by a process that has just started."""
    log = AuditLog(ChainedFile(path))
    for _ in range(count):
        log.write("test", "ok")


def rotate(path: Path) -> None:
    """As logrotate does: audit.log becomes audit.log.1, and that one audit.log.2."""
    for old in parts(path):
        number = int(old.suffix[1:]) + 1 if old != path else 1
        old.rename(f"{path}.{number}")


def parts(path: Path) -> list[Path]:
    """The files of a log, the oldest first."""
    old = sorted(path.parent.glob("audit.log.*"), key=lambda each: -int(each.suffix[1:]))
    return [*old, path] if path.exists() else old


def test_a_service_that_starts_after_a_rotation_continues_the_chain(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    for _ in range(3):
        note(path, 2)
        rotate(path)
    note(path)
    report = verify(parts(path))
    assert (report.lines, report.findings, report.begins) == (7, [], [])


def test_a_worker_that_was_silent_for_two_rotations_continues_the_chain(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    silent, busy = AuditLog(ChainedFile(path)), AuditLog(ChainedFile(path))
    silent.write("test", "ok")
    for _ in range(2):
        busy.write("test", "ok")
        rotate(path)
        busy.write("test", "ok")
        rotate(path)
        silent.write("test", "ok")
    report = verify(parts(path))
    assert (report.lines, report.findings) == (7, [])


def test_a_file_that_was_made_for_us_continues_the_chain(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    note(path)
    rotate(path)
    path.touch()
    note(path)
    assert verify(parts(path)).findings == []


def test_a_log_that_was_copied_and_emptied_continues_the_chain(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    silent, busy = AuditLog(ChainedFile(path)), AuditLog(ChainedFile(path))
    silent.write("test", "ok")
    busy.write("test", "ok")
    (tmp_path / "audit.log.1").write_bytes(path.read_bytes())
    os.truncate(path, 0)
    silent.write("test", "ok")
    busy.write("test", "ok")
    assert verify(parts(path)).findings == []
    assert verify(parts(path)).lines == 4


def test_files_that_have_expired_are_no_tampering(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    for _ in range(3):
        note(path, 2)
        rotate(path)
    oldest, *rest = parts(path)
    last = verify([oldest]).last
    report = verify(rest)
    assert report.findings == []
    (begins,) = report.begins
    assert f"audit.log.2, line 1 follows the line {last}" in begins
    assert verify(rest, [last, report.last]).findings == []
    lines = rest[0].read_bytes().splitlines(keepends=True)
    rest[0].write_bytes(lines[1])
    assert verify(rest).findings == []  # that cannot be known
    assert len(verify(rest, [last]).findings) == 1


def test_a_file_that_is_missing_between_two_others_is_found(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    for _ in range(3):
        note(path, 2)
        rotate(path)
    oldest, _, newest = parts(path)
    (finding,) = verify([oldest, newest]).findings
    assert finding.startswith("audit.log.1, line 1 does not follow the end of audit.log.3")
    assert verify([newest, oldest]).findings


@pytest.mark.parametrize("lines", [1, 3])
def test_a_crash_before_the_chain_is_updated_is_not_tampering(tmp_path: Path, lines: int) -> None:
    path = tmp_path / "audit.log"
    note(path)
    chain = tmp_path / ".audit.log.chain"
    before = chain.read_bytes()
    note(path, lines)
    chain.write_bytes(before)
    note(path)
    assert verify([path]).findings == []
    assert verify([path]).lines == lines + 2


def test_a_cut_off_end_is_found_when_the_next_entry_is_written(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    lines = written(path, 4)
    path.write_bytes(b"".join(line + b"\n" for line in lines[:2]))
    note(path, 2)
    (finding,) = verify([path]).findings
    assert finding.startswith("audit.log, line 3 does not follow")


def test_without_the_file_of_the_chain_the_log_itself_is_continued(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    running = AuditLog(ChainedFile(path))
    running.write("test", "ok")
    (tmp_path / ".audit.log.chain").unlink()
    running.write("test", "ok")
    note(path)
    assert verify([path]).findings == []
    rotate(path)
    (tmp_path / ".audit.log.chain").unlink()
    running.write("test", "ok")
    (finding,) = verify(parts(path)).findings
    assert finding.startswith("audit.log, line 1 does not follow the end of audit.log.1")


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_others_cannot_read_it(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "made" / "for it" / "audit.log"
    before = os.umask(umask)
    try:
        note(path)
    finally:
        os.umask(before)
    made = [path, path.parent, path.parent.parent, path.with_name(".audit.log.chain")]
    assert [each.stat().st_mode & 0o007 for each in made] == [0] * 4


def test_a_log_that_others_can_read_already_is_warned_of(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.touch()
    path.chmod(0o644)
    with capture_logs() as logged:
        note(path)
    assert [(each["path"], "AUDIT_LOG" in each["event"]) for each in logged] == [(str(path), True)]
    assert path.stat().st_mode & 0o777 == 0o644
