"""Tells whether a converted network on disk is the one that its weights make.

OpenVINO takes any network as it is, and whoever can write to the folder could write a seal, too. So
what a network must be is known from elsewhere: its digest stands in this code, and weights that are
not packaged are compared with the file they come from, whose SHA-256 is known.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tensors = Mapping[str, NDArray[Any]]

_WEIGHT = "self."  # begins the name of each constant that is a tensor of the PyTorch module


@dataclass(frozen=True, slots=True)
class Origin:
    """What a converted network must be.

    digest: of it, as `digest` gives it. It holds for the versions of PyTorch, facenet-pytorch and
        OpenVINO in requirements.lock: others may convert to other operations.
    tensors: reads the weights by the names that they have in the converted network. None if the
        digest covers them. Raises OSError, ValueError.
    """

    digest: str
    tensors: Callable[[], Tensors] | None = None

    def check(self, model: Any, xml: bytes) -> None:  # noqa: ANN401  no complete stubs
        """Return if it is this network. xml: the text that the model was read from.

        Raises ValueError if not, and OSError.
        """
        found = digest(model, xml, weights=self.tensors is None)
        if found != self.digest:
            raise ValueError(f"its digest is {found}")
        if self.tensors is None:
            return
        tensors = self.tensors()
        for node in filter(_is_weight, model.get_ordered_ops()):
            tensor = tensors.get(name := node.get_friendly_name())
            if tensor is None or not np.array_equal(node.get_data(), tensor.astype(np.float32)):
                raise ValueError(f"{name} is not what it is in the file of weights")


def digest(model: Any, xml: bytes, weights: bool) -> str:  # noqa: ANN401
    """The SHA-256 of all that a network computes, whatever its operations are called.

    weights: whether the values of its weights belong to it; their names, shapes and types do.
    """
    found = hashlib.sha256()
    # hints to the runtime lie in rt_info, of which only the version that wrote it is harmless
    found.update(repr((sorted(map(str, model.get_rt_info())), xml.count(b"<rt_info"))).encode())
    nodes = model.get_ordered_ops()
    number = {node.get_name(): index for index, node in enumerate(nodes)}
    for node in nodes:
        kind = node.get_type_info()
        sources = [port.get_source_output() for port in node.inputs()]
        found.update(
            repr(
                (
                    kind.name,
                    kind.version_id,
                    [(number[each.get_node().get_name()], each.get_index()) for each in sources],
                    sorted(node.get_attributes().items()),
                    [
                        (str(port.get_partial_shape()), str(port.get_element_type()))
                        for port in node.outputs()
                    ],
                )
            ).encode()
        )
        if kind.name == "Constant":
            is_weight = _is_weight(node)
            found.update(node.get_friendly_name().encode() if is_weight else b"")
            found.update(node.get_data().tobytes() if weights or not is_weight else b"")
    ends = [*model.get_parameters(), *model.get_results()]
    found.update(repr([number[node.get_name()] for node in ends]).encode())
    return found.hexdigest()


def _is_weight(node: Any) -> bool:  # noqa: ANN401
    name: str = node.get_friendly_name()
    return node.get_type_name() == "Constant" and name.startswith(_WEIGHT)
