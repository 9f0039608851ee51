"""The hash chain that makes the audit log tamper-evident: each line holds the previous one's hash.

A line is hashed without its line end.
"""

import errno
import gzip
import json
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

BEGINNING = "0" * 64


def link(previous: str, fields: Mapping[str, Any]) -> bytes:
    """Return an entry as a line that follows the line with the hash `previous`."""
    return json.dumps({**fields, "previous": previous}, separators=(",", ":")).encode()


def digest(line: bytes) -> str:
    """Return the hash of a line."""
    return sha256(line).hexdigest()


@dataclass(slots=True)
class Report:
    """The result of `verify`.

    last: hash of the last line. If it is kept elsewhere, it proves later that nothing before it was
    cut off. findings: a sentence for each place where the log was altered or damaged. begins: a
    sentence for each chain whose first lines are not in the files.
    """

    lines: int = 0
    last: str = BEGINNING
    findings: list[str] = field(default_factory=list)
    begins: list[str] = field(default_factory=list)


def verify(files: Iterable[Path], kept: Collection[str] = ()) -> Report:
    """Check the files of one log, the oldest first; .gz files are unpacked. Raises OSError.

    This finds altered, inserted, removed and moved lines, and missing files between two others. The
    first file may follow one that has expired. Only hashes kept elsewhere can prove that lines were
    cut off at the beginning or the end, or that the log was rewritten from some line on.

    kept: such hashes. Each must be the hash of a line, or of the line that the first one follows.
    """
    report = Report()
    last_of_chain: dict[str | None, str] = {}
    missing = set(kept)
    before = "the line before"
    for path in files:
        for number, raw in enumerate(_lines(path), start=1):
            line = raw.removesuffix(b"\n")
            where = f"{path.name}, line {number}"
            chain, previous = _chain_and_previous(line)
            if previous is None:
                report.findings.append(
                    f"{where} is not an entry: it was altered, or cut off by a crash"
                )
            elif chain not in last_of_chain:
                missing.discard(previous)
                if previous != BEGINNING:
                    report.begins.append(
                        f"{where} follows the line {previous}, which is not in these files"
                    )
            elif previous != last_of_chain[chain]:
                report.findings.append(
                    f"{where} does not follow {before}: one of the two was altered, or lines "
                    "were removed, inserted or moved here"
                )
            report.lines += 1
            report.last = last_of_chain[chain] = digest(line)
            missing.discard(report.last)
            before = "the line before"
            if raw == line:
                report.findings.append(f"{where} has no line end: it was cut off")
        before = f"the end of {path.name} (is a file missing, or the oldest not the first?)"
    report.findings += [
        f"no line has the hash {each}: the end was cut off, or the log was rewritten"
        for each in sorted(missing)
    ]
    return report


def _lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file with their ends. Raises OSError, also for a damaged .gz file."""
    with path.open("rb") as plain:
        lines = gzip.GzipFile(fileobj=plain) if path.suffix == ".gz" else plain
        try:
            yield from lines
        except (EOFError, zlib.error) as error:
            raise OSError(errno.EIO, f"it cannot be unpacked: {error}", str(path)) from error


def _chain_and_previous(line: bytes) -> tuple[str | None, str | None]:
    """Return a line's chain (None if unnamed) and previous hash (None if it is not an entry)."""
    try:
        entry = json.loads(line)
        chain = entry.get("chain")
        return chain and str(chain), str(entry["previous"])
    except (ValueError, KeyError, AttributeError, RecursionError):
        return None, None
