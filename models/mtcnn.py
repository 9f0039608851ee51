"""The three networks of MTCNN (Zhang et al. 2016), with the weights facenet-pytorch carries."""

from typing import TYPE_CHECKING

from models.packaged import packaged_file
from models.runtime import NetworkSource, fingerprint

if TYPE_CHECKING:
    from torch import nn


def proposal() -> NetworkSource:
    """P-Net: pictures of any size → box offsets (n, 4, r, c) and scores (n, 2, r, c).

    Cell (i, j) looks at the 12×12 pixels from row 2i, column 2j.
    """
    return _source("pnet", None)


def refinement() -> NetworkSource:
    """R-Net: crops of 24×24 → box offsets (n, 4) and scores (n, 2)."""
    return _source("rnet", 24)


def output() -> NetworkSource:
    """O-Net: crops of 48×48 → box offsets (n, 4), landmarks (n, 10: five x, five y), scores."""
    return _source("onet", 48)


def _source(name: str, side: int | None) -> NetworkSource:
    weights = packaged_file("facenet_pytorch", f"data/{name}.pt")

    def build() -> "nn.Module":
        from facenet_pytorch.models import mtcnn

        from models.pixels import FromPixels

        networks = {"pnet": mtcnn.PNet, "rnet": mtcnn.RNet, "onet": mtcnn.ONet}
        return FromPixels(networks[name](pretrained=True), mean=127.5, scale=128.0)

    return NetworkSource(name, fingerprint(weights.read_bytes()), side, build)
