"""Wraps networks so that they all take the same input: pixels, as pictures lie in memory."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class FromPixels(nn.Module):
    """Feeds (n, rows, columns, 3) uint8 RGB to a network as (pixels − mean) / scale, float32."""

    def __init__(self, network: nn.Module, mean: float, scale: float) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)
        self.mean, self.scale = mean, scale
        self.eval()

    def forward(self, pixels: Tensor) -> Tensor | tuple[Tensor, ...]:
        x = pixels.permute(0, 3, 1, 2).to(torch.float32)
        y: Tensor | tuple[Tensor, ...] = self.network((x - self.mean) / self.scale)
        return y


class UnitVectors(nn.Module):
    """Scales the vectors of an embedding network, (n, dimension), to unit length.

    mirrored: first add the vector of the mirrored face, which averages out differences between
        the halves of a face.
    """

    def __init__(self, network: nn.Module, mirrored: bool) -> None:
        super().__init__()
        self.network = network
        self.mirrored = mirrored

    def forward(self, faces: Tensor) -> Tensor:
        if self.mirrored:
            both: Tensor = self.network(torch.cat((faces, faces.flip(3))))
            vectors = both[: faces.shape[0]] + both[faces.shape[0] :]
        else:
            vectors = self.network(faces)
        return F.normalize(vectors, dim=1)
