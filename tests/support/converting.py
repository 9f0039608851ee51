"""What tests of converted networks share."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from models.network import NetworkSource


def unbuildable(source: NetworkSource) -> NetworkSource:
    """The same network, for a cache that has it already."""

    def build() -> None:
        pytest.fail("the network was converted again")

    return replace(source, build=build)


def write_checksum(folder: Path) -> None:
    """Write a checksum file as earlier releases did, which trusted it."""
    files = (folder / "network.xml", folder / "network.bin")
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files))
    (folder / "sha256").write_text(digest.hexdigest())
