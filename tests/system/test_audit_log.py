"""The audit log of several processes, and the command that verifies it."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from app.audit.chain import verify
from app.audit.sinks import ChainedFile
from testbed.serving import ROOT, RunningService
from tests.support.features import random_vector

WHO = {"name": "Grace", "surname": "Hopper"}


def entries(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


WRITE = """
import sys
from pathlib import Path
from threading import Thread
from app.audit import AuditLog
from app.audit.sinks import ChainedFile

log = AuditLog(ChainedFile(Path(sys.argv[1])))

def write(thread):
    for number in range(int(sys.argv[3])):
        log.write("test", "ok", process=sys.argv[2], thread=thread, number=number)

threads = [Thread(target=write, args=(number,)) for number in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def writing(path: Path, process: int, each: int) -> subprocess.Popen[bytes]:
    arguments = [str(path), str(process), str(each)]
    return subprocess.Popen([sys.executable, "-c", WRITE, *arguments], cwd=ROOT)


def test_threads_of_several_processes_write_one_chain_while_it_is_rotated(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    ChainedFile(path)
    writers = [writing(path, process, each=50) for process in range(3)]
    renamed = []
    while any(writer.poll() is None for writer in writers):
        if path.exists() and path.stat().st_size > 20_000:
            renamed.append(path.rename(tmp_path / f"audit.log.{len(renamed)}"))
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    files = [*renamed, path] if path.exists() else renamed
    assert len(files) > 2
    assert verify(files).findings == []
    written = {
        (entry["process"], entry["thread"], entry["number"])
        for part in files
        for entry in entries(part)
    }
    assert len(written) == verify(files).lines == 3 * 4 * 50


def test_standard_output_has_a_chain_for_each_process(tmp_path: Path) -> None:
    with RunningService(tmp_path, AUDIT_LOG="stdout", WORKERS="2", LOG_FORMAT="json") as service:
        for _ in range(20):
            service.call("DELETE", "/api/1")
        service.stop()
        lines = [line for line in service.log.splitlines() if '"previous":' in line]
    log = tmp_path / "collected.log"
    log.write_text("".join(line + "\n" for line in lines))
    assert len(lines) == 20
    assert verify([log]).findings == []
    assert verify([log]).begins == []
    log.write_text("".join(line + "\n" for line in lines[10:]))  # the older ones have expired
    assert verify([log]).findings == []
    assert verify([log]).begins
    chains = [json.loads(line)["chain"] for line in lines]
    longest = max(chains, key=chains.count)
    _, removed, *_ = (number for number, chain in enumerate(chains) if chain == longest)
    log.write_text("".join(line + "\n" for line in lines[:removed] + lines[removed + 1 :]))
    assert len(verify([log]).findings) == 1


def test_several_workers_of_a_service_write_one_log(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    with RunningService(tmp_path, AUDIT_LOG=str(path), WORKERS="2") as service:
        service.wait_workers(2)

        def enrol(employee_id: int) -> int:
            body = WHO | {"img_features": [random_vector(employee_id)]}
            return service.call("POST", f"/api/store/{employee_id}", json=body).status_code

        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(enrol, range(40)))
        service.kill()  # as a crash: what was acknowledged has its entry
    assert answers == [200] * 40
    enrolled = [entry["employee_id"] for entry in entries(path) if entry["action"] == "enrol"]
    assert sorted(enrolled) == list(range(40))
    assert verify([path]).findings == []
    assert path.stat().st_mode & 0o007 == 0
