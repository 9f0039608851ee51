"""Sealed vectors open to the bit, and nothing else does."""

from dataclasses import replace

import numpy as np
import pytest

from app.storage.sealing import PLAIN, CannotOpen, VectorKeys
from testbed.employees import someone
from tests.support.vector_keys import new_key

OLD, NEW = new_key(), new_key()


def test_opened_vectors_equal_the_sealed_ones_exactly() -> None:
    employee = someone(7, vectors=3, dimension=512)
    for setting in (None, PLAIN, OLD, f"{OLD},{NEW}", f"{PLAIN} {OLD}"):
        keys = VectorKeys(setting)
        opened = keys.open(keys.seal(7, employee.reference), 7, "dlib", 512)
        assert opened.tobytes() == employee.vectors.tobytes()
        assert opened.dtype == np.float32


def test_the_same_vectors_never_look_the_same() -> None:
    keys = VectorKeys(OLD)
    sealed = {keys.seal(1, someone(1).reference).vectors for _ in range(100)}
    assert len(sealed) == 100


@pytest.mark.parametrize("spoilt", ["employee", "model", "dimension", "vectors", "seal", "key"])
def test_altered_records_do_not_open(spoilt: str) -> None:
    keys = VectorKeys(f"{OLD} {NEW}")
    stored = keys.seal(7, someone(7, vectors=2, dimension=8).reference)
    employee_id, model, dimension = 7, "dlib", 8
    match spoilt:
        case "employee":
            employee_id = 8
        case "model":
            model = "vggface2"
        case "dimension":
            dimension = 16
        case "vectors":
            stored = replace(stored, vectors=stored.vectors[:-1] + b"\0")
        case "seal":
            stored = replace(stored, seal=stored.seal[:-1])
        case "key":
            stored = replace(stored, sealed_with=VectorKeys(NEW).first)
    with pytest.raises(CannotOpen):
        keys.open(stored, employee_id, model, dimension)


@pytest.mark.parametrize(
    "setting",
    ["hunter2", new_key()[:-4], f"{OLD} plane", f"{OLD[:-1]}!"],
    ids=["short", "cut", "misspelt", "no base64"],
)
def test_an_invalid_key_is_refused_and_not_quoted(setting: str) -> None:
    with pytest.raises(
        ValueError, match=r"entry \d must be 32 bytes in base64, or plain"
    ) as caught:
        VectorKeys(setting)
    assert setting not in str(caught.value)
