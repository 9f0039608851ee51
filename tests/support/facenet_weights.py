"""An InceptionResnetV1 state dict as one's own training would leave it, made on the spot."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

SIDE = 160


def module(path: Path) -> "torch.nn.Module":
    """facenet-pytorch's module with these weights."""
    import torch
    from facenet_pytorch.models.inception_resnet_v1 import InceptionResnetV1

    network = InceptionResnetV1(pretrained=None, classify=False)
    network.load_state_dict(torch.load(path, weights_only=True), strict=False)
    return network.eval()


def write(path: Path) -> str:
    """Write random weights with a classification layer, as published ones have; their SHA-256.

    The statistics of the batch normalisations are those of a few pictures, as after training,
    so that differences between faces do not vanish on the way through the network.
    """
    import torch
    from facenet_pytorch.models.inception_resnet_v1 import InceptionResnetV1

    torch.manual_seed(20180402)
    network = InceptionResnetV1(pretrained=None, classify=True, num_classes=3)
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            layer.momentum = 1.0
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
            torch.nn.init.uniform_(layer.bias, -0.5, 0.5)
    with torch.no_grad():
        network.train()(normalised(pictures(8)))
    state = network.state_dict()
    assert {"logits.weight", "logits.bias"} < set(state)
    torch.save(state, path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def pictures(count: int) -> NDArray[np.uint8]:
    """(count, 160, 160, 3): patterns of coarse and fine patches."""
    rng = np.random.default_rng(1)
    blocks = [
        rng.integers(0, 128, (count, side, side, 3)).repeat(SIDE // side, 1).repeat(SIDE // side, 2)
        for side in (4, 16)
    ]
    return (blocks[0] + blocks[1]).astype(np.uint8)


def normalised(pixels: NDArray[np.uint8]) -> "torch.Tensor":
    """(n, 3, 160, 160) float32 as facenet-pytorch's `fixed_image_standardization` gives it."""
    import torch

    return (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() - 127.5) / 128.0
