"""InceptionResnetV1 (Szegedy et al. 2016, as in David Sandberg's facenet): 512-d.

The layers are named as in facenet-pytorch's state dicts.
"""

import re
from hashlib import sha256

import numpy as np

from models import state_dict
from models.layers import Layers, Tensor
from models.network import Tensors

SIDE = 160  # pixels
_EPSILON = 0.001  # of the batch normalisations
_SCALES = {"repeat_1": 0.17, "repeat_2": 0.10, "repeat_3": 0.20}  # of what residual blocks add
# SHA-256 of the names and shapes of the tensors
_LAYOUT = "4b357e7c424a834dc636d553eb7bd7ac4b774f1ae49cda4165e5266a30460799"


def define(net: Layers, pixels: Tensor) -> tuple[Tensor, ...]:
    """Define (n, 160, 160, 3) uint8 RGB → (n, 512), of unit length."""
    x = net.planes(pixels, 127.5, 128)
    x = _convolution(net, x, "conv2d_1a", stride=2)
    x = _convolution(net, x, "conv2d_2a")
    x = _convolution(net, x, "conv2d_2b", same=True)
    x = net.max_pool(x, 3)
    x = _convolution(net, x, "conv2d_3b")
    x = _convolution(net, x, "conv2d_4a")
    x = _convolution(net, x, "conv2d_4b", stride=2)
    for block in range(5):
        x = net.relu(_residual(net, x, f"repeat_1.{block}", (1, 2, 3)))
    x = net.concat([*_branches(net, x, "mixed_6a", (1, 3), stride=2), net.max_pool(x, 3)])
    for block in range(10):
        x = net.relu(_residual(net, x, f"repeat_2.{block}", (1, 3)))
    x = net.concat([*_branches(net, x, "mixed_7a", (2, 2, 3), stride=2), net.max_pool(x, 3)])
    for block in range(5):
        x = net.relu(_residual(net, x, f"repeat_3.{block}", (1, 3)))
    x = _residual(net, x, "block8", (1, 3))
    return (net.unit(net.dense(net.mean(x), "last_linear")),)


def _residual(net: Layers, x: Tensor, name: str, depths: tuple[int, ...]) -> Tensor:
    y = net.concat(_branches(net, x, name, depths))
    return x + net.convolution(y, f"{name}.conv2d")


def _branches(
    net: Layers, x: Tensor, name: str, depths: tuple[int, ...], stride: int = 1
) -> list[Tensor]:
    """Return the outputs of sequences of convolutions, the last of each with that stride."""
    ends = []
    for branch, depth in enumerate(depths):
        y = x
        for step in range(depth):
            layer = f"{name}.branch{branch}" + (f".{step}" if depth > 1 else "")
            last = stride if step == depth - 1 else 1
            y = _convolution(net, y, layer, last, same=last == 1)
        ends.append(y)
    return ends


def _convolution(net: Layers, x: Tensor, name: str, stride: int = 1, same: bool = False) -> Tensor:
    return net.relu(net.convolution(x, f"{name}.conv", stride, same))


def tensors(data: bytes) -> Tensors:
    """Return the weights in a state dict, with scales and batch normalisations folded into them.

    data: the content of the file. Code in it does not run. Raise ValueError if it holds anything
    else; a classification layer, which published files contain, is left out.
    """
    found = {
        name: tensor.astype(np.float32)
        for name, tensor in state_dict.read(data).items()
        if not name.startswith("logits.") and not name.endswith(".num_batches_tracked")
    }
    layout = repr(sorted((name, tensor.shape) for name, tensor in found.items()))
    if sha256(layout.encode()).hexdigest() != _LAYOUT:
        raise ValueError("not the state dict of an InceptionResnetV1")
    for name in filter(re.compile(r"repeat_.*\.conv2d\.").match, found):
        found[name] *= _SCALES[name.partition(".")[0]]
    for norm in [name[:-13] for name in found if name.endswith(".running_mean")]:
        mean, variance = found.pop(f"{norm}.running_mean"), found.pop(f"{norm}.running_var")
        factor = found.pop(f"{norm}.weight") / np.sqrt(variance + _EPSILON)
        layer = norm.replace(".bn", ".conv").replace("last_bn", "last_linear")
        found[f"{layer}.bias"] = found.pop(f"{norm}.bias") - mean * factor
        weight = found[f"{layer}.weight"]
        found[f"{layer}.weight"] = weight * factor.reshape(-1, *(1,) * (weight.ndim - 1))
    return found
