"""Reads ONNX networks into OpenVINO, and adds what their descriptions say about pixels."""

from typing import Any

import numpy as np
import openvino
from openvino import opset13 as ops

from models.network import OnnxSource, Pixels
from models.onnx_description import KNOWN_NUMBERS, OnnxDescription
from models.openvino_layers import OpenVinoLayers
from models.weights import WeightsUnavailable

# Vectors have unit length, so their numbers are about 0.04 or 0.09. Other runtimes round otherwise
# by less than a thousandth of that, and mistakes in the description change them far more.
_TOLERANCE = 0.001
_ONE_PICTURE = "file: the network takes one picture at a time, export it with a dynamic batch axis"
_EXACT = {"INFERENCE_PRECISION_HINT": "f32"}
# A key of the file format (TensorProto.external_data), with its length.
_ELSEWHERE = b"\x0a\x08location"


def read(source: OnnxSource, core: Any) -> Any:  # noqa: ANN401  OpenVINO's stubs are incomplete
    """Return the network: (n, side, side, 3) uint8 RGB → (n, dimension) float32 of unit length.

    Raise WeightsUnavailable if it is not the network that its description says.
    """
    try:
        network = _from_pixels(_parsed(source.content, core), source.description)
        _check_answer(core.compile_model(network, "CPU", _EXACT), source.description)
    except ValueError as error:
        raise WeightsUnavailable(f"{source.path} (ONNX_MODEL): {error}") from error
    return network


def known_face(side: int) -> Pixels:
    """Return the picture (side, side, 3) that descriptions tell the answer to.

    A formula, so that it can be made anywhere; every axis and colour differs.
    """
    row, column, colour = np.indices((side, side, 3))
    face: Pixels = ((row * (colour + 1) + column * (3 - colour)) % 256).astype(np.uint8)
    return face


def _parsed(content: bytes, core: Any) -> Any:  # noqa: ANN401
    if _ELSEWHERE in content:
        raise ValueError("file: the network's weights are in other files, save it as a single one")
    try:
        network = core.read_model(content)
    except RuntimeError as error:
        causes = [line[2:] for line in str(error).splitlines() if line.startswith("-- ")]
        raise ValueError(
            f"file: OpenVINO cannot read it as an ONNX network.{''.join(causes)}"
        ) from error
    if len(network.inputs) != 1:
        raise ValueError(f"file: the network has {len(network.inputs)} inputs, not one")
    return network


def _from_pixels(network: Any, description: OnnxDescription) -> Any:  # noqa: ANN401
    """Put the preparation of pixels in front of the network, and unit length behind it."""
    side, given = description.side, network.input(0)
    shape, channels_last = given.get_partial_shape(), [-1, side, side, 3]
    channels_first = shape.compatible(openvino.PartialShape([-1, 3, side, side]))
    if not channels_first and not shape.compatible(openvino.PartialShape(channels_last)):
        raise ValueError(f"side: must fit the network, whose input is {shape}")
    try:
        network.reshape([-1, 3, side, side] if channels_first else channels_last)
    except RuntimeError as error:
        raise ValueError(_ONE_PICTURE) from error
    vectors = _vectors(network, description)

    net = OpenVinoLayers({})
    x = pixels = ops.parameter(channels_last, np.uint8)
    if description.colours == "BGR":
        x = ops.gather(x, np.array([2, 1, 0]), np.int64(3))
    x = net.planes(x, description.mean, description.scale)
    if description.mirrored:
        x = net.with_mirrored(x)
    if not channels_first:
        x = ops.transpose(x, np.array([0, 2, 3, 1]))
    x = ops.convert(x, given.get_element_type())
    for target in given.get_target_inputs():
        target.replace_source_output(x.output(0))

    vectors = ops.convert(vectors, "f32")
    if description.mirrored:
        vectors = net.sum_of_halves(vectors)
    return openvino.Model([net.unit(vectors)], [pixels])


def _vectors(network: Any, description: OnnxDescription) -> Any:  # noqa: ANN401
    """Return the output that holds the vectors. Networks may return more, such as their norms."""
    wanted = openvino.PartialShape([-1, description.dimension])
    shapes = [output.get_partial_shape() for output in network.outputs]
    for output, shape in zip(network.outputs, shapes, strict=True):
        if shape.rank == wanted.rank and shape.compatible(wanted):
            if shape[0].is_static:
                raise ValueError(_ONE_PICTURE)
            return output.get_node().input_value(0)
    raise ValueError(
        f"dimension: must fit the network, whose output is {' and '.join(map(str, shapes))}"
    )


def _check_answer(network: Any, description: OnnxDescription) -> None:  # noqa: ANN401
    face = known_face(description.side)
    other, vector = network(np.stack((face[::-1], face)))[0]  # batches may go wrong
    if len(vector) != description.dimension:
        raise ValueError(
            f"dimension: must be {len(vector)}, as the network returns so many numbers"
        )
    if not 0.999 < vector @ vector < 1.001 or not vector @ other < 1 - _TOLERANCE:
        raise ValueError(
            "file: the network gives every picture the same vector, or one that is zero or not "
            "finite; check the file, mean and scale"
        )
    numbers = vector[:KNOWN_NUMBERS]
    told = description.known_answer
    if told is None or not np.allclose(numbers, told, rtol=0, atol=_TOLERANCE):
        found = ", ".join(f"{number:.4f}" for number in numbers)
        raise ValueError(
            f"known_answer: {'is missing' if told is None else 'differs'}; with this description "
            f"the network answers [{found}] to the known picture. See docs/models.md"
        )
