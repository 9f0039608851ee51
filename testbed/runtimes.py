"""Runtimes that compile each network once and cache its outputs."""

from collections import OrderedDict
from functools import cache
from hashlib import blake2b
from threading import Lock

from models.network import Network, NetworkSource, OnnxSource, Outputs, Pixels, Runtime
from models.openvino import OpenVinoRuntime

_REMEMBERED_BYTES = 256e6  # of each network's outputs: those of some ten films


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
    size = 0
    lock = Lock()

    def run(pixels: Pixels) -> Outputs:
        nonlocal size
        key = blake2b(repr(pixels.shape).encode() + pixels.tobytes()).digest()
        with lock:
            if key in remembered:
                remembered.move_to_end(key)
                return remembered[key]
        outputs = network(pixels)
        for output in outputs:
            output.flags.writeable = False
        with lock:
            if key not in remembered:
                remembered[key] = outputs
                size += sum(output.nbytes for output in outputs)
            while size > _REMEMBERED_BYTES:
                _, oldest = remembered.popitem(last=False)
                size -= sum(output.nbytes for output in oldest)
        return outputs

    return run


@cache
def shared_runtime() -> Runtime:
    """Return the CPU runtime that everything in this process shares."""
    return _Once(OpenVinoRuntime())


@cache
def _remembering_runtime() -> Runtime:
    return _Once(shared_runtime(), remembers=True)


def remembering_runtime(device: str) -> Runtime:
    """Return the shared runtime, with a memory; for `make_service`."""
    return _remembering_runtime()
