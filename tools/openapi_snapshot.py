"""Write docs/openapi.json, so that each change of the API is reviewed: make openapi."""

import json
import tempfile
from pathlib import Path

from flask import Flask

from app.api.openapi import document
from testbed.serving import ROOT, ready_app

FILE = ROOT / "docs" / "openapi.json"


def text(app: Flask) -> str:
    """Return the text of the file."""
    return json.dumps(document(app), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        served = ready_app(Path(folder), log_level="error")
        FILE.write_text(text(served))
        served.extensions["service"].stop()
