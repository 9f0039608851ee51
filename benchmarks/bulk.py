"""Enrol thousands of photos by command, killed twice, and carry everybody into another database.

`python -m benchmarks.bulk` (`make bulk`) checks that each photo of `shared/faces/lfw_dev` is stored
once or refused, measures the command against the recogniser alone, asks services on SQLite and on
MongoDB the same, and writes a table to docs/bulk.md.
"""

import argparse
import filecmp
import re
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections import Counter
from contextlib import closing
from pathlib import Path

import cv2

from app.bootstrap import open_store
from benchmarks import sections
from benchmarks.bulk_account import Account, Drawn, account, drawn, write_list
from benchmarks.bulk_speed import Alone, cpu_of_ended, in_turns
from testbed.mongod import Mongod
from testbed.photos import FACES
from testbed.serving import ROOT, RunningService, environment, only

LFW = FACES / "lfw_dev"
DOCUMENT = ROOT / "docs" / "bulk.md"
CALLS = {"/api/find_match": "img_base64", "/api/v2/candidates": "photo"}  # and the photo's member
KILLED_AT = (0.15, 0.3)  # shares of the people who are stored then
EXAMINED = re.compile(r"(\d+) photos examined in ([\d.]+) s")


def command(store: dict[str, str], *words: str) -> "subprocess.Popen[str]":
    """Start a command on a store."""
    return subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "entry", *words],
        cwd=ROOT,
        env=environment(**store, LOG_LEVEL="error"),
        stdout=subprocess.PIPE,
        text=True,
    )


def ended(store: dict[str, str], *words: str) -> tuple[str, float]:
    """Run a command, which must succeed. Return its output and how many seconds it took."""
    began, process = time.monotonic(), command(store, *words)
    output, _ = process.communicate()
    assert process.returncode == 0, f"{words[0]} failed: {process.returncode}"
    return output, time.monotonic() - began


def killed(store: dict[str, str], people: int, *words: str) -> None:
    """Run a command, and kill it once so many people are stored."""
    process = command(store, *words)
    with closing(open_store(only(sqlite_path=Path(store["SQLITE_PATH"])))) as employees:
        while employees.count() < people:
            assert process.poll() is None, "the command ended before it could be killed"
            time.sleep(0.05)
    process.kill()
    process.communicate()


def enrolled(who: Drawn, folder: Path, store: dict[str, str]) -> tuple[list[str], Account]:
    """Enrol everybody, and return rows of the table and what became of the photos."""
    file, report = folder / "people.csv", folder / "refused.csv"
    write_list(who.people, file)
    words = ("enrol", str(file), "--report", str(report))
    for share in KILLED_AT:
        killed(store, round(share * len(who.people)), *words)
    done = round(KILLED_AT[-1] * len(who.photos))
    alone = Alone(who.photos[done:] + who.photos[:done])  # those of the third run first
    with closing(open_store(only(sqlite_path=Path(store["SQLITE_PATH"])))) as employees:
        cpu_before = cpu_of_ended()
        written = report.stat().st_mtime_ns
        process = command(store, *words)
        while process.poll() is None and report.stat().st_mtime_ns == written:
            time.sleep(0.05)  # it begins the report anew, and then with the photos
        stopped_s = in_turns(process, alone, lambda: employees.count() > 0.85 * len(who.people))
        output, _ = process.communicate()
        cpu_s = cpu_of_ended() - cpu_before
        print(output, file=sys.stderr)
        said = EXAMINED.search(output)
        assert said, output
        examined, seconds = int(said[1]), float(said[2]) - stopped_s
        compared = len(alone.recognised)
        limit, limit_cpu_s = compared / alone.seconds, alone.cpu_s / compared
        alone.go_on(len(who.photos))
        found = account(who.people, report, employees, alone.recognised)
        people = employees.count()
    codes = ", ".join(f"{count} {code}" for code, count in found.codes.most_common())
    rows = [
        f"| photos to enrol, and people | {len(who.photos):,}, {len(who.people):,} |",
        f"| people stored when the command was killed | {_shares(len(who.people))} |",
        f"| photos stored, and people, after the third run | {found.stored:,}, {people:,} |",
        f"| photos refused, alone or with their person | {found.refused:,} |",
        f"| rows of the report | {codes} |",
        f"| photos missing, stored twice, or stored as another | {len(found.faults)} |",
        f"| photos a second in the third run, of {examined:,} | {examined / seconds:.1f} |",
        f"| the recogniser alone, in turn with it | {limit:.1f} |",
        f"| the command's share of that | {examined / seconds / limit:.0%} |",
        "| CPU time of a photo: the command with its start, the recogniser alone "
        f"| {cpu_s / examined * 1e3:.0f} ms, {limit_cpu_s * 1e3:.0f} ms |",
    ]
    return rows, found


def _shares(people: int) -> str:
    return " and ".join(f"{round(share * people):,}" for share in KILLED_AT)


def carried(source: dict[str, str], target: dict[str, str], folder: Path) -> list[str]:
    """Export everybody and import them elsewhere. Return rows of the table."""
    files = folder / "first.export", folder / "second.export"
    _, export_s = ended(source, "export", str(files[0]))
    output, import_s = ended(target, "import", str(files[0]))
    ended(target, "export", str(files[1]))
    is_same = filecmp.cmp(*files, shallow=False)
    megabytes = files[0].stat().st_size / 1e6
    return [
        f"| export from SQLite | {export_s:.1f} s, {megabytes:.1f} MB |",
        f"| import into MongoDB | {import_s:.1f} s, {output.count('created'):,} people |",
        f"| an export from MongoDB is the same, byte for byte | {'yes' if is_same else 'no'} |",
    ]


def asked(who: Drawn, folder: Path, other: dict[str, str]) -> list[str]:
    """Send the probes to services on SQLite, in the folder, and on the other store.

    Return rows of the table.
    """
    same, came = Counter[str](), Counter[str]()
    with (
        RunningService(folder, LOG_LEVEL="info") as one,
        RunningService(folder, LOG_LEVEL="info", **other) as two,
    ):
        for photo, person in who.probes:
            picture = b64encode(photo.read_bytes()).decode()
            for call, member in CALLS.items():
                first, second = (_answer(each, call, {member: picture}) for each in (one, two))
                same[call] += first == second
                if call == "/api/find_match":
                    came[_outcome(*first, person)] += 1
    mated = sum(person is not None for _, person in who.probes)
    rows = [f"| probes of people enrolled, and of others | {mated}, {len(who.probes) - mated} |"]
    rows += [
        f"| same status and answer of `POST {call}` on both | {same[call]} of {len(who.probes)} |"
        for call in CALLS
    ]
    outcomes = ", ".join(f"{count} {what}" for what, count in sorted(came.items()))
    return [*rows, f"| what `find_match` answered | {outcomes} |"]


def _answer(service: RunningService, path: str, body: dict[str, str]) -> tuple[int, object]:
    """Return the status and all of the answer but the number of the request."""
    answer = service.call("POST", path, json=body)
    said = answer.json() if answer.headers["Content-Type"].endswith("json") else answer.text
    if isinstance(said, dict):
        said.pop("request_id", None)
    return answer.status_code, said


def _outcome(status: int, said: object, person: int | None) -> str:
    """Return what became of a probe. person: its id, if it is of somebody enrolled."""
    whose = "others" if person is None else "people enrolled"
    if status != 200:
        return f"{whose} refused ({status})"
    assert isinstance(said, dict)
    return f"{whose} let in" + ("" if said["_id"] == person else " as somebody else")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=5_000, help="to enrol, at most")
    parser.add_argument("--probes", type=int, default=500)
    parser.add_argument("--print", action="store_true", help="print the table, and do not write it")
    options = parser.parse_args()
    if not LFW.is_dir():
        raise SystemExit(f"{LFW} is missing: it holds a folder of photos for each person")
    cv2.setNumThreads(1)  # as the command does
    who = drawn(LFW, options.photos, options.probes)
    with tempfile.TemporaryDirectory() as name, Mongod() as mongod:
        folder = Path(name)
        sqlite = {"SQLITE_PATH": str(folder / "employees.db")}
        mongodb = {"MONGO_DB_URL": f"{mongod.address}/bulk", "MONGO_DB_TIMEOUT_S": "20"}
        rows, found = enrolled(who, folder, sqlite)
        rows += carried(sqlite, mongodb, folder)
        rows += asked(who, folder, mongodb)
    print(*rows, *found.faults, sep="\n")
    if not options.print:
        sections.write(DOCUMENT, "bulk", ["| | |", "|---|---:|", *rows])


if __name__ == "__main__":
    main()
