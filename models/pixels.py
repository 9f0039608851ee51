"""Puts networks behind the input they share, pixels as they lie in memory."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class FromPixels(nn.Module):
    """A network over (n, rows, columns, 3) uint8 RGB; it gets (pixels − mean) / scale."""

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
    """Feature vectors of unit length from an embedding network: (n, dimension).

    mirrored: add the vector of the mirrored face before normalising, which averages out what
    differs between the two halves of a face.
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
