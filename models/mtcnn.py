"""The three networks of MTCNN (Zhang et al. 2016), with the weights in facenet-pytorch."""

from collections.abc import Sequence

from models import state_dict
from models.layers import Layers, Tensor
from models.network import Define, NetworkSource, Tensors
from models.package_data import package_file

_SHA256 = {  # of the files
    "pnet": "a2a71925e0b9996a42f63e47efc1ca19043e69558b5c523b978d611dfae49c8f",
    "rnet": "bbb937de72efc9ef83b186c49f5f558467a1d7e3453a8ece0d71a886633f6a86",
    "onet": "165bfbe42940416ccfb977545cf0e976d5bf321f67083ae2aaaa5c764280118d",
}


def proposal() -> NetworkSource:
    """P-Net: pictures of any size → box offsets (n, 4, r, c) and scores (n, 2, r, c).

    Cell (i, j) covers the 12×12 pixels from row 2i, column 2j.
    """
    return _source("pnet", None, _proposal)


def refinement() -> NetworkSource:
    """R-Net: crops of 24×24 → box offsets (n, 4) and scores (n, 2)."""
    return _source("rnet", 24, _refinement)


def output() -> NetworkSource:
    """O-Net: crops of 48×48 → box offsets (n, 4), landmarks (n, 10: five x, five y), scores."""
    return _source("onet", 48, _output)


def _source(name: str, side: int | None, define: Define) -> NetworkSource:
    path = package_file("facenet_pytorch", f"data/{name}.pt")
    return NetworkSource(name, side, define, path, _SHA256[name], _tensors)


def _tensors(data: bytes) -> Tensors:
    """Return the weights, those of the first dense layer for channels × rows × columns.

    In the file they are for columns × rows × channels, 3 × 3 of each.
    """
    tensors = state_dict.read(data)
    for name in {"dense4.weight", "dense5.weight"} & tensors.keys():
        outputs, inputs = tensors[name].shape
        turned = tensors[name].reshape(outputs, 3, 3, -1).transpose(0, 3, 2, 1)
        tensors[name] = turned.reshape(outputs, inputs)
    return tensors


def _proposal(net: Layers, pixels: Tensor) -> tuple[Tensor, ...]:
    x = _features(net, pixels, (2, None, None))
    return net.convolution(x, "conv4_2"), net.softmax(net.convolution(x, "conv4_1"))


def _refinement(net: Layers, pixels: Tensor) -> tuple[Tensor, ...]:
    x = _features(net, pixels, (3, 3, None))
    x = net.prelu(net.dense(x, "dense4"), "prelu4")
    return net.dense(x, "dense5_2"), net.softmax(net.dense(x, "dense5_1"))


def _output(net: Layers, pixels: Tensor) -> tuple[Tensor, ...]:
    x = _features(net, pixels, (3, 3, 2, None))
    x = net.prelu(net.dense(x, "dense5"), "prelu5")
    return (
        net.dense(x, "dense6_2"),
        net.dense(x, "dense6_3"),
        net.softmax(net.dense(x, "dense6_1")),
    )


def _features(net: Layers, pixels: Tensor, pools: Sequence[int | None]) -> Tensor:
    """Return the output of the convolutions. pools: size of the pool after each."""
    x = net.planes(pixels, 127.5, 128)
    for number, pool in enumerate(pools, 1):
        x = net.prelu(net.convolution(x, f"conv{number}"), f"prelu{number}")
        x = net.max_pool(x, pool, ceil=True) if pool else x
    return x
