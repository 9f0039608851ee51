"""The chain that makes the audit log tamper-evident: each line holds the hash of the one before."""

import json
from collections.abc import Iterable, Mapping
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
    """

    lines: int = 0
    last: str = BEGINNING
    findings: list[str] = field(default_factory=list)


def verify(files: Iterable[Path], kept: str | None = None) -> Verdict:
    """Check files of one log, the oldest first.

    It finds altered, inserted, removed and moved lines. It cannot know of lines that were cut off
    at the end, or of a log that was written anew from some line on, unless the hash of a later
    line was kept elsewhere. kept: that hash. Raises OSError.
    """
    verdict = Verdict()
    last_of_chain: dict[str | None, str] = {}
    seen_kept = kept is None
    for path in files:
        with path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                line = raw.removesuffix(b"\n")
                where = f"{path.name}, line {number}"
                verdict.lines += 1
                verdict.last = digest(line)
                seen_kept |= verdict.last == kept
                chain, previous = _links(line)
                if previous is None:
                    verdict.findings.append(
                        f"{where} is no entry: it was altered, or cut off by a crash"
                    )
                elif previous != last_of_chain.get(chain, BEGINNING):
                    verdict.findings.append(
                        f"{where} does not follow the line before: one of the two was altered, "
                        "or lines were removed, inserted or moved here"
                    )
                last_of_chain[chain] = verdict.last
                if raw == line:
                    verdict.findings.append(f"{where} has no end: it is cut off")
    if not seen_kept:
        verdict.findings.append(
            f"no line has the hash {kept}: the end was cut off, or the log was written anew"
        )
    return verdict


def _links(line: bytes) -> tuple[str | None, str | None]:
    """The chain a line belongs to, and the hash of the line before; None where it is no entry."""
    try:
        entry = json.loads(line)
        return entry.get("chain"), str(entry["previous"])
    except (ValueError, KeyError, AttributeError):
        return None, None
