"""The examples of docs/api-v2.md run from top to bottom, and answer as the page shows."""

import json
import re
import sys
from pathlib import Path
from typing import Any

from testbed.serving import ROOT, RunningService
from tests.support.operator_shell import Operator

PAGE = (ROOT / "docs/api-v2.md").read_text()
# Blocks of commands, each with the block of JSON that follows it, if any.
EXAMPLES = re.findall(r"^```sh\n(.*?)^```\n(?:\n```json\n(.*?)^```\n)?", PAGE, re.DOTALL | re.M)
VARIES = {"took_ms", "time", "enrolled_at", "updated_at", "expires_at", "session_id", "sample_id"}
VARIES |= {"challenge", "moves", "next_cursor"}
SAMPLE_ID = "0d6a3f81c95b27e4"  # in the page; another CPU may make another one
FAIL = 'curl() { command curl --silent --show-error --fail-with-body "$@"; echo; }\n'


def test_the_examples(tmp_path: Path) -> None:
    shown = 0
    with RunningService(tmp_path, AUDIT_LOG=str(tmp_path / "audit.log")) as service:
        operator = Operator(tmp_path, service)
        (operator.folder / ".venv").symlink_to(sys.prefix)
        sample_id = SAMPLE_ID
        for commands, answer in EXAMPLES:
            for part in parts(commands):
                printed = operator.run(FAIL + part.replace(SAMPLE_ID, sample_id))
                expected = re.findall(r"^# (\{.*)", part, re.M) or [answer][: bool(answer)]
                for text in expected:
                    found = json.loads(printed)
                    sample_id = found.get("sample_id", sample_id)
                    check(parsed(text), found)
                    shown += 1
    assert shown >= 10


def parts(commands: str) -> list[str]:
    """Return the commands, each with the answer that follows it as a comment."""
    if "\n# " not in commands:
        return [commands]
    return [part for part in re.split(r"(?<=\n)(?=curl)", commands) if part]


def parsed(text: str) -> Any:  # noqa: ANN401  any JSON
    """Return an answer of the page, in which … is a member or an entry that may be anything."""
    members = re.sub(r"…(?=\})", '"…": 0', text)
    return json.loads(re.sub(r"(?<=[,\[])…(?=\])", '"…"', members))


def check(shown: Any, found: Any, name: str = "") -> None:  # noqa: ANN401  any part of an answer
    """Assert that an answer is as shown, but for what varies and for rounding."""
    if name in VARIES:
        assert type(shown) is type(found), name
    elif isinstance(shown, dict):
        is_part = shown.pop("…", None) is not None
        assert {*shown} <= {*found} if is_part else {*shown} == {*found}, name
        for each in shown:
            check(shown[each], found[each], each)
    elif shown == ["…"]:
        assert found, name
    elif isinstance(shown, list):
        assert len(shown) == len(found), name
        for one, other in zip(shown, found, strict=True):
            check(one, other, name)
    elif isinstance(shown, float):
        assert abs(shown - found) < 0.02 * max(1, abs(shown)), (name, shown, found)
    else:
        assert shown == found, name
