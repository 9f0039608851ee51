"""Every example of the client's README runs, in order, against a service on a free port."""

import base64
import re
from pathlib import Path

import pytest

from testbed.serving import ROOT, RunningService
from tests.support import sent_photos as photos

README = (ROOT / "client/README.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
PHOTOS = {
    "grace.jpg": photos.admiral,
    "eileen.png": photos.astronaut,
    "coffee.png": photos.coffee,
}


def printed(block: str) -> list[str]:
    """What an example says it prints: comments after `print`, and comments of their own."""
    return re.findall(r"^ *(?:print\(.*\)  )?# (.*)", block, re.MULTILINE)


def test_the_examples_do_what_the_readme_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, photo in PHOTOS.items():
        (tmp_path / name).write_bytes(base64.b64decode(photo()))
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    assert len(BLOCKS) > 5
    with RunningService(tmp_path, AUDIT_LOG=str(tmp_path / "audit.log")) as service:
        for block in BLOCKS:
            exec(block.replace("http://localhost:5005", service.url), names)
            assert capsys.readouterr().out.splitlines() == printed(block)
