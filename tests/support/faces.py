"""Marks of tests that need the photos of ../shared/faces."""

import pytest

from testbed.photos import FACES

needs_faces = [
    pytest.mark.faces,
    pytest.mark.skipif(not FACES.is_dir(), reason="the photos of ../shared/faces are missing"),
]
