"""Reads PyTorch state dicts without PyTorch, which takes seconds to import."""

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tensor = NDArray[Any]

_DTYPES = {
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
}


def read(data: bytes) -> dict[str, Tensor]:
    """Return the tensors of a state dict by their names.

    data: the content of a file that `torch.save` of PyTorch 0.4 or later wrote: a zip archive, or
    in older releases a sequence of pickles. Raise ValueError if it is not a plain state dict.
    """
    try:
        found = _from_zip(data) if data.startswith(b"PK") else _from_pickles(data)
        return {str(name): tensor() for name, tensor in found.items()}
    except Exception as error:  # on a damaged file the unpickler may raise any type
        raise ValueError(f"not a state dict ({type(error).__name__})") from error


class _Storage:
    """The numbers that one or more tensors view. In older files they come after the tensors."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self.numbers: Tensor | None = None


class _Unpickler(pickle.Unpickler):
    """Unpickles state dicts and refuses everything else, so that no code in a file runs."""

    def __init__(self, file: io.BytesIO, storages: dict[str, _Storage]) -> None:
        super().__init__(file)
        self._storages = storages

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return lambda tensor, *_: tensor
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        raise pickle.UnpicklingError(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> _Storage:  # noqa: ANN401
        _, dtype, key, *_ = pid
        return self._storages.setdefault(key, _Storage(dtype))


def _tensor(
    storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object
) -> Callable[[], Tensor]:
    """Return a function that makes the tensor once its storage has been read."""

    def make() -> Tensor:
        assert storage.numbers is not None
        rest = storage.numbers[offset:]
        reach = 1 + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
        if offset < 0 or min(strides, default=0) < 0 or (reach > len(rest) and 0 not in shape):
            raise ValueError("a tensor reaches beyond its numbers")
        steps = [step * rest.itemsize for step in strides]
        return np.lib.stride_tricks.as_strided(rest, shape, steps, writeable=False)

    return make


def _from_zip(data: bytes) -> Any:  # noqa: ANN401
    storages: dict[str, _Storage] = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        (main,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        folder = main.removesuffix("data.pkl")
        found = _Unpickler(io.BytesIO(archive.read(main)), storages).load()
        for key, storage in storages.items():
            storage.numbers = np.frombuffer(archive.read(f"{folder}data/{key}"), storage.dtype)
    return found


def _from_pickles(data: bytes) -> Any:  # noqa: ANN401
    storages: dict[str, _Storage] = {}
    file = io.BytesIO(data)
    for _ in range(3):  # magic number, version of the format, description of the machine
        _Unpickler(file, storages).load()
    found = _Unpickler(file, storages).load()
    for key in _Unpickler(file, storages).load():
        storage = storages[key]
        count = int.from_bytes(file.read(8), "little")
        size = count * storage.dtype.itemsize
        storage.numbers = np.frombuffer(file.read(size), storage.dtype)
    return found
