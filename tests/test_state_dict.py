"""State dicts are read without PyTorch as PyTorch reads them."""

import io
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from models import state_dict
from models.package_data import package_file

SHARED = torch.arange(24.0).reshape(4, 6)
TENSORS = {
    "plain": torch.randn(3, 4, generator=torch.Generator().manual_seed(0)),
    "turned": SHARED.T,
    "part": SHARED[1:3, 2:],
    "number": torch.tensor(7),
    "nothing": torch.zeros(0, 3),
    "half": torch.ones(2, dtype=torch.float16),
    "double": torch.ones(2, dtype=torch.float64),
    "parameter": torch.nn.Parameter(torch.ones(2, 2)),
}


def saved(content: object, archive: bool) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=archive)
    return file.getvalue()


def assert_same(data: bytes, expected: dict[str, torch.Tensor]) -> None:
    found = state_dict.read(data)
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        numbers = tensor.detach().numpy()
        assert found[name].dtype == numbers.dtype
        np.testing.assert_array_equal(found[name], numbers)


@pytest.mark.parametrize("archive", [True, False])
@pytest.mark.parametrize("kind", [dict, OrderedDict])
def test_a_state_dict_is_read(archive: bool, kind: type) -> None:
    assert_same(saved(kind(TENSORS), archive), TENSORS)


@pytest.mark.parametrize("name", ["pnet", "rnet", "onet"])
def test_files_of_old_releases_are_read(name: str) -> None:
    path: Path = package_file("facenet_pytorch", f"data/{name}.pt")
    assert_same(path.read_bytes(), torch.load(path, weights_only=True))


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("/tmp/harm"),)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK",
        b"no file of tensors",
        pickle.dumps({"a": 1}),
        saved({"a": 1}, archive=True),
        saved([1], archive=False),
        saved(TENSORS, archive=True)[:-100],
        saved(TENSORS, archive=False)[:-100],
        pickle.dumps(Harmful()),
    ],
    ids=range(9),
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="state dict"):
        state_dict.read(data)
    assert not Path("/tmp/harm").exists()
