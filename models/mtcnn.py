"""The three networks of MTCNN (Zhang et al. 2016), with the weights in facenet-pytorch."""

from typing import TYPE_CHECKING

from models.network import NetworkSource, sha256
from models.package_data import package_file

if TYPE_CHECKING:
    from torch import nn


_DIGESTS = {  # see models.digest
    "pnet": "92a98b2136dc3d6a904794b15f68d6d1d79a492627a9d9649a56a2ada2c2d452",
    "rnet": "c11304307e4b5967f3d4fe50867d6e5ba19853bee1a14da67302ed723eaec47f",
    "onet": "42fe95907dcee23db2d43b4857f5c9bf628000b63f7e0e8ef89329cc2d2d5148",
}


def proposal() -> NetworkSource:
    """P-Net: pictures of any size → box offsets (n, 4, r, c) and scores (n, 2, r, c).

    Cell (i, j) covers the 12×12 pixels from row 2i, column 2j.
    """
    return _source("pnet", None)


def refinement() -> NetworkSource:
    """R-Net: crops of 24×24 → box offsets (n, 4) and scores (n, 2)."""
    return _source("rnet", 24)


def output() -> NetworkSource:
    """O-Net: crops of 48×48 → box offsets (n, 4), landmarks (n, 10: five x, five y), scores."""
    return _source("onet", 48)


def _source(name: str, side: int | None) -> NetworkSource:
    weights = package_file("facenet_pytorch", f"data/{name}.pt")

    def build() -> "nn.Module":
        from facenet_pytorch.models import mtcnn

        from models.pixels import FromPixels

        networks = {"pnet": mtcnn.PNet, "rnet": mtcnn.RNet, "onet": mtcnn.ONet}
        return FromPixels(networks[name](pretrained=True), mean=127.5, scale=128.0)

    return NetworkSource(name, sha256(weights.read_bytes()), side, build, _DIGESTS[name])
