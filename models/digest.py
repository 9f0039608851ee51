"""Verify that a converted network on disk was made from its weights.

OpenVINO runs any network it is given, and an attacker who can write to the folder could also write
a checksum file there. So the reference comes from elsewhere: each network's digest is a constant in
this package, and weights that no package carries are compared with their file, which is verified.
"""

import hashlib
from typing import Any

import numpy as np

from models.network import NetworkSource

# The converter names weights after attributes of the module, such as self.network.conv1.bias.
_WEIGHT_PREFIX = "self."


def check(model: Any, xml: bytes, source: NetworkSource) -> None:  # noqa: ANN401  no complete stubs
    """Raise ValueError unless the model is the network of `source`.

    xml: the text that the model was read from. Also raises what `source.tensors` raises.
    """
    found = digest(model, xml, with_weights=source.tensors is None)
    if found != source.digest:
        raise ValueError(f"its digest is {found}")
    if source.tensors is None:
        return
    tensors = source.tensors()
    for node in filter(_is_weight, model.get_ordered_ops()):
        tensor = tensors.get(name := node.get_friendly_name())
        if tensor is None or not np.array_equal(node.get_data(), tensor.astype(np.float32)):
            raise ValueError(f"{name} differs from the weights file")


def digest(model: Any, xml: bytes, with_weights: bool) -> str:  # noqa: ANN401
    """Return the SHA-256 of everything that decides what the network computes.

    with_weights: whether to include the values of weights; their names, shapes and types always
    count. Names of other operations do not count. The digest depends on the versions of PyTorch,
    facenet-pytorch and OpenVINO, as other versions may convert to other operations.
    """
    found = hashlib.sha256()
    # rt_info may hold hints to the runtime, so it may hold only what every converted network has
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
            if is_weight := _is_weight(node):
                found.update(node.get_friendly_name().encode())
            if with_weights or not is_weight:
                found.update(node.get_data().tobytes())
    ends = [*model.get_parameters(), *model.get_results()]
    found.update(repr([number[node.get_name()] for node in ends]).encode())
    return found.hexdigest()


def _is_weight(node: Any) -> bool:  # noqa: ANN401
    name: str = node.get_friendly_name()
    return node.get_type_name() == "Constant" and name.startswith(_WEIGHT_PREFIX)
