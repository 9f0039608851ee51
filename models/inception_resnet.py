"""InceptionResnetV1 (facenet-pytorch's module) with weights from a state dict."""

from pathlib import Path
from typing import cast

from facenet_pytorch.models.inception_resnet_v1 import InceptionResnetV1
from torch import nn

from models.weights import WeightsUnavailable, load_state_dict


def load(path: Path, data: bytes) -> nn.Module:
    """(n, 3, 160, 160) float32 in [−1, 1] → (n, 512) float32 of unit length.

    data: what the file holds. The classification layer that published files carry is left out.
    Raises WeightsUnavailable if the file holds another network.
    """
    tensors = load_state_dict(path, data)
    state = {name: each for name, each in tensors.items() if not name.startswith("logits.")}
    network = cast(nn.Module, InceptionResnetV1(pretrained=None, classify=False))
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsUnavailable(f"{path} does not hold an InceptionResnetV1") from error
    return network.eval().requires_grad_(False)
