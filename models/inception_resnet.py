"""Loads InceptionResnetV1 (facenet-pytorch's module) with weights from a state dict."""

from io import BytesIO
from pathlib import Path
from typing import cast

import torch
from facenet_pytorch.models.inception_resnet_v1 import InceptionResnetV1
from torch import nn

from models.weights import WeightsUnavailable


def load(path: Path, data: bytes) -> nn.Module:
    """Return the network: (n, 3, 160, 160) float32 in [−1, 1] → (n, 512) float32 of unit length.

    data: the content of the file. Code in it does not run. The classification layer that published
    files contain is left out. Raise WeightsUnavailable if the file holds anything else.
    """
    network = cast(nn.Module, InceptionResnetV1(pretrained=None, classify=False))
    try:
        tensors = torch.load(BytesIO(data), map_location="cpu", weights_only=True)
        network.load_state_dict(
            {name: tensor for name, tensor in tensors.items() if not name.startswith("logits.")}
        )
    except Exception as error:  # on an arbitrary file, PyTorch may raise almost any type
        cause = type(error).__name__  # the message may be a page long
        raise WeightsUnavailable(
            f"{path} does not hold the state dict of an InceptionResnetV1 ({cause})"
        ) from error
    return network.eval().requires_grad_(False)
