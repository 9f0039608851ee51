"""Small ONNX networks, written without the package onnx."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SIDE, PATCH, CHANNELS, DIMENSION = 112, 8, 8, 64
_CELLS = (SIDE // PATCH) ** 2
_FLOAT, _INT64 = 1, 7  # TensorProto.DataType

Weights = dict[str, NDArray[np.generic]]


def weights(seed: int = 0) -> Weights:
    """Random weights of a convolution of 8×8 patches and of a fully connected layer."""
    rng = np.random.default_rng(seed)
    return {
        "kernels": rng.normal(0, 0.1, (CHANNELS, 3, PATCH, PATCH)).astype(np.float32),
        "matrix": rng.normal(0, 0.1, (CHANNELS * _CELLS, DIMENSION)).astype(np.float32),
        "shape": np.array([-1, CHANNELS * _CELLS], np.int64),
    }


def onnx(tensors: Weights, batch: int | None = 1, *, rows_last: bool = False) -> bytes:
    """Return the file of a network that takes faces of 112×112 and gives 64 numbers.

    batch: faces that its input takes, as exporters note it; None for any number.
    rows_last: whether the input is (n, rows, columns, 3) instead of (n, 3, rows, columns).
    """
    shape = (batch, SIDE, SIDE, 3) if rows_last else (batch, 3, SIDE, SIDE)
    nodes = [
        _node("Conv", ("pixels", "kernels"), "patches", strides=(PATCH, PATCH)),
        _node("Reshape", ("patches", "shape"), "flat"),
        _node("Relu", ("flat",), "rectified"),
        _node("MatMul", ("rectified", "matrix"), "vector"),
    ]
    if rows_last:
        nodes.insert(0, _node("Transpose", ("input",), "pixels", perm=(0, 3, 1, 2)))
    graph = [
        *(_bytes(1, node) for node in nodes),
        _bytes(2, b"faces"),
        *(_bytes(5, _tensor(name, values)) for name, values in tensors.items()),
        _bytes(11, _value("input" if rows_last else "pixels", shape)),
        _bytes(12, _value("vector", (batch, DIMENSION))),
    ]
    opset = _bytes(1, b"") + _number(2, 13)
    return _number(1, 8) + _bytes(7, b"".join(graph)) + _bytes(8, opset)


def write(folder: Path, content: bytes, **changes: object) -> Path:
    """Write a network with its description, and return the path of the description.

    changes: fields of the description to set; None removes the field.
    """
    (folder / "net.onnx").write_bytes(content)
    fields = {
        "file": "net.onnx",
        "sha256": hashlib.sha256(content).hexdigest(),
        "licence": "none needed: the weights are random",
        "side": SIDE,
        "dimension": DIMENSION,
        "colours": "RGB",
        "mean": 127.5,
        "scale": 128,
        "alignment": "arcface",
        "mirrored": False,
        "distance_scale": 2.0,
    }
    description = folder / "net.json"
    kept = {name: value for name, value in (fields | changes).items() if value is not None}
    description.write_text(json.dumps(kept))
    return description


def vector(tensors: Weights, pixels: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return what the network makes of normalised pixels (rows, columns, 3)."""
    cells = pixels.reshape(SIDE // PATCH, PATCH, SIDE // PATCH, PATCH, 3)
    patches = np.einsum("icjdk,okcd->oij", cells, tensors["kernels"])
    return np.maximum(patches, 0).reshape(-1) @ tensors["matrix"]


def _node(kind: str, inputs: Iterable[str], output: str, **attributes: Iterable[int]) -> bytes:
    return b"".join(
        [
            *(_bytes(1, name.encode()) for name in inputs),
            _bytes(2, output.encode()),
            _bytes(4, kind.encode()),
            *(_bytes(5, _integers(name, values)) for name, values in attributes.items()),
        ]
    )


def _integers(name: str, values: Iterable[int]) -> bytes:
    """Return an attribute that holds several whole numbers."""
    return _bytes(1, name.encode()) + b"".join(_number(8, n) for n in values) + _number(20, 7)


def _tensor(name: str, values: NDArray[np.generic]) -> bytes:
    kind = _INT64 if values.dtype == np.int64 else _FLOAT
    sizes = b"".join(_number(1, size) for size in values.shape)
    return sizes + _number(2, kind) + _bytes(8, name.encode()) + _bytes(9, values.tobytes())


def _value(name: str, shape: Iterable[int | None]) -> bytes:
    """Return the name, type and shape of an input or output."""
    sizes = (_bytes(2, b"n") if size is None else _number(1, size) for size in shape)
    tensor = _number(1, _FLOAT) + _bytes(2, b"".join(_bytes(1, size) for size in sizes))
    return _bytes(1, name.encode()) + _bytes(2, _bytes(1, tensor))


def _bytes(field: int, content: bytes) -> bytes:
    """Return a field of a protocol buffer that holds text, bytes or a message."""
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _number(field: int, number: int) -> bytes:
    """Return a field of a protocol buffer that holds a whole number from 0 on."""
    return _varint(field << 3) + _varint(number)


def _varint(number: int) -> bytes:
    low, high = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(high) if high else bytes([low])
