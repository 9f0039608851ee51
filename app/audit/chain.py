"""The chain that makes the audit log tamper-evident: each line holds the hash of the one before."""

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
    """The line of an entry that follows the line with the hash `previous`, without its end."""
    return json.dumps({**fields, "previous": previous}, separators=(",", ":")).encode()


def digest(line: bytes) -> str:
    """The hash of a line without its end."""
    return sha256(line).hexdigest()


@dataclass(slots=True)
class Verdict:
    """What `verify` found.

    last: the hash of the last line; kept elsewhere, it proves later that no end was cut off.
    findings: a sentence for each place where the log is not as it was written.
    begins: a sentence for each chain whose first lines are not in the files.
    """

    lines: int = 0
    last: str = BEGINNING
    findings: list[str] = field(default_factory=list)
    begins: list[str] = field(default_factory=list)


def verify(files: Iterable[Path], kept: Collection[str] = ()) -> Verdict:
    """Check files of one log, the oldest first; those that end in .gz are unpacked.

    It finds altered, inserted, removed and moved lines, and missing files between two others. The
    first file may follow one that is not here any more. That lines were cut off at the beginning
    or at the end, or that all was written anew from some line on, only hashes can prove that were
    kept elsewhere. kept: those hashes; each must be a line's, or the one the first line follows.
    Raises OSError.
    """
    verdict = Verdict()
    last_of_chain: dict[str | None, str] = {}
    missing = set(kept)
    before = "the line before"
    for path in files:
        for number, raw in enumerate(_lines(path), start=1):
            line = raw.removesuffix(b"\n")
            where = f"{path.name}, line {number}"
            chain, previous = _links(line)
            if previous is None:
                verdict.findings.append(
                    f"{where} is no entry: it was altered, or cut off by a crash"
                )
            elif chain not in last_of_chain:
                missing.discard(previous)
                if previous != BEGINNING:
                    verdict.begins.append(
                        f"{where} follows the line {previous}, which is not in these files"
                    )
            elif previous != last_of_chain[chain]:
                verdict.findings.append(
                    f"{where} does not follow {before}: one of the two was altered, or lines "
                    "were removed, inserted or moved here"
                )
            verdict.lines += 1
            verdict.last = last_of_chain[chain] = digest(line)
            missing.discard(verdict.last)
            before = "the line before"
            if raw == line:
                verdict.findings.append(f"{where} has no end: it is cut off")
        before = f"the end of {path.name} (is a file missing, or the oldest not the first?)"
    verdict.findings += [
        f"no line has the hash {each}: the end was cut off, or the log was written anew"
        for each in sorted(missing)
    ]
    return verdict


def _lines(path: Path) -> Iterator[bytes]:
    """The lines of a file with their ends. Raises OSError, also if a .gz is damaged."""
    with path.open("rb") as plain:
        lines = gzip.GzipFile(fileobj=plain) if path.suffix == ".gz" else plain
        try:
            yield from lines
        except (EOFError, zlib.error) as error:
            raise OSError(errno.EIO, f"it cannot be unpacked: {error}", str(path)) from error


def _links(line: bytes) -> tuple[str | None, str | None]:
    """The chain a line belongs to, and the hash of the line before; None where it is no entry."""
    try:
        entry = json.loads(line)
        chain = entry.get("chain")
        return chain and str(chain), str(entry["previous"])
    except (ValueError, KeyError, AttributeError, RecursionError):
        return None, None
