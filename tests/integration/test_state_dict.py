"""State dicts are read without PyTorch as PyTorch reads them."""

import io
import pickle
from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from models import state_dict
from models.package_data import package_file

if TYPE_CHECKING:
    import torch


@cache
def tensors() -> dict[str, "torch.Tensor"]:
    import torch

    shared = torch.arange(24.0).reshape(4, 6)
    return {
        "plain": torch.randn(3, 4, generator=torch.Generator().manual_seed(0)),
        "turned": shared.T,
        "part": shared[1:3, 2:],
        "number": torch.tensor(7),
        "nothing": torch.zeros(0, 3),
        "half": torch.ones(2, dtype=torch.float16),
        "double": torch.ones(2, dtype=torch.float64),
        "parameter": torch.nn.Parameter(torch.ones(2, 2)),
    }


def saved(content: object, archive: bool) -> bytes:
    import torch

    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=archive)
    return file.getvalue()


def assert_same(data: bytes, expected: dict[str, "torch.Tensor"]) -> None:
    found = state_dict.read(data)
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        numbers = tensor.detach().numpy()
        assert found[name].dtype == numbers.dtype
        np.testing.assert_array_equal(found[name], numbers)


@pytest.mark.parametrize("archive", [True, False])
@pytest.mark.parametrize("kind", [dict, OrderedDict])
def test_a_state_dict_is_read(archive: bool, kind: type) -> None:
    assert_same(saved(kind(tensors()), archive), tensors())


@pytest.mark.parametrize("name", ["pnet", "rnet", "onet"])
def test_files_of_old_releases_are_read(name: str) -> None:
    import torch

    path: Path = package_file("facenet_pytorch", f"data/{name}.pt")
    assert_same(path.read_bytes(), torch.load(path, weights_only=True))


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("/tmp/harm"),)


@pytest.mark.parametrize(
    "data",
    [
        lambda: b"",
        lambda: b"PK",
        lambda: b"no file of tensors",
        lambda: pickle.dumps({"a": 1}),
        lambda: saved({"a": 1}, archive=True),
        lambda: saved([1], archive=False),
        lambda: saved(tensors(), archive=True)[:-100],
        lambda: saved(tensors(), archive=False)[:-100],
        lambda: pickle.dumps(Harmful()),
    ],
    ids=range(9),
)
def test_anything_else_is_refused(data: Callable[[], bytes]) -> None:
    with pytest.raises(ValueError, match="state dict"):
        state_dict.read(data())
    assert not Path("/tmp/harm").exists()
