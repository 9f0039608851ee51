"""Runtimes that spare tests work: each network is compiled once, and its outputs are remembered."""

from collections import OrderedDict
from functools import cache
from hashlib import blake2b
from pathlib import Path

from models.network import Network, NetworkSource, OnnxSource, Outputs, Pixels, Runtime
from models.openvino import OpenVinoRuntime

_REMEMBERED = 64  # outputs of each network: those of a few films, at up to 3 MB each


class _Once:
    """Compiles each network once.

    remembers: whether networks run once on the same pixels, as many tests show the same photos.
    """

    def __init__(self, runtime: Runtime, remembers: bool = False) -> None:
        self.device = runtime.device
        self._runtime = runtime
        self._remembers = remembers
        self._networks: dict[tuple[str, str], Network] = {}

    def compile(self, source: NetworkSource | OnnxSource) -> Network:
        key = source.name, source.weights_sha256
        if key not in self._networks:
            network = self._runtime.compile(source)
            self._networks[key] = _remembering(network) if self._remembers else network
        return self._networks[key]


def _remembering(network: Network) -> Network:
    remembered: OrderedDict[bytes, Outputs] = OrderedDict()

    def run(pixels: Pixels) -> Outputs:
        key = blake2b(repr(pixels.shape).encode() + pixels.tobytes()).digest()
        outputs = remembered.pop(key, None)
        if outputs is None:
            outputs = network(pixels)
            for output in outputs:
                output.flags.writeable = False
        remembered[key] = outputs
        if len(remembered) > _REMEMBERED:
            remembered.popitem(last=False)
        return outputs

    return run


@cache
def _shared(cache: Path) -> Runtime:
    return _Once(OpenVinoRuntime(cache))


@cache
def _remembers(cache: Path) -> Runtime:
    return _Once(_shared(cache), remembers=True)


def shared_runtime(cache: Path) -> Runtime:
    """Return the CPU runtime that everything in this process shares."""
    return _shared(cache.resolve())


def remembering_runtime(device: str, cache: Path) -> Runtime:
    """Return the shared runtime, with a memory; for `make_service`."""
    return _remembers(cache.resolve())
