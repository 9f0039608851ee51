"""The search for secrets in logs finds them."""

import base64
import json

import numpy as np
import pytest

from app.access import Role
from app.access.api_keys import new_key
from testbed.employees import VECTOR_KEY
from testbed.log_scan import leaks
from tests.support import sent_photos as photos
from tests.support.features import random_vector

KEY, LINE = new_key([Role.ADMIN], "the-admin")

VECTOR = random_vector(1)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(photos.admiral()[:300], id="picture"),
        pytest.param(repr(base64.b64decode(photos.admiral())[:40]), id="bytes of a picture"),
        pytest.param(json.dumps(VECTOR), id="vector"),
        pytest.param(str(VECTOR[:8]), id="a part of a vector"),
        pytest.param(str(np.array(VECTOR, np.float32)), id="array"),
        pytest.param(repr(np.array(VECTOR, np.float32).tobytes()), id="bytes of a vector"),
        pytest.param(f"Authorization: Bearer {KEY}", id="API key"),
        pytest.param(f"VECTOR_KEYS={VECTOR_KEY}", id="key of vectors"),
    ],
)
def test_the_search_would_find_it(text: str) -> None:
    assert leaks(f"2026-01-01 [info] something {text} else")
