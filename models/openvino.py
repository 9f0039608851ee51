"""Runs networks in OpenVINO on the CPU."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import numpy as np
import openvino

from models import onnx
from models.network import Network, NetworkSource, OnnxSource, Outputs, Pixels
from models.openvino_layers import graph

# Concurrent inferences get a share of the cores each. OpenVINO uses fewer streams on fewer cores.
_STREAMS = 4
# A network is compiled twice, for all cores and for a share of them, if its weights are smaller.
# InceptionResnetV1 would take another 150 MB.
_COMPILED_TWICE_BELOW_BYTES = 32 << 20
_MIN_COSINE = 0.9995  # between a vector in bfloat16 and the same one in float32


class OpenVinoRuntime:
    """OpenVINO on the CPU.

    bfloat16: whether embedding networks may run in bfloat16, if the CPU can and vectors stay the
        same.
    threads: how many CPUs to use; None for all. OpenVINO knows of no quota, and would be throttled.
    """

    device = "cpu"

    def __init__(self, bfloat16: bool = True, threads: int | None = None) -> None:
        self._core = openvino.Core()
        # OpenVINO fills this table on first use. Two threads that did so at once would deadlock:
        # one holds the table's lock, the other one Python's.
        openvino.Type.u8.to_dtype()
        capabilities = self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self._bfloat16 = bfloat16 and "BF16" in capabilities
        self._inferences = _Counter()
        self._threads = {"INFERENCE_NUM_THREADS": threads} if threads else {}

    def compile(self, source: NetworkSource | OnnxSource) -> Network:
        """Return the network, ready to run. Raise WeightsUnavailable."""
        network = onnx.read(source, self._core) if isinstance(source, OnnxSource) else graph(source)
        latency = {"PERFORMANCE_HINT": "LATENCY"}
        all_cores, precision = self._compile(network, "f32", latency), "f32"
        if self._bfloat16 and source.embeds and source.side:
            rounded = self._compile(network, "bf16", latency)
            if _agree(all_cores, rounded, _sample_pixels(source.side)):
                all_cores, precision = rounded, "bf16"
        share = all_cores
        constants = (node for node in network.get_ops() if node.get_type_name() == "Constant")
        if sum(node.get_byte_size() for node in constants) < _COMPILED_TWICE_BELOW_BYTES:
            share = self._compile(network, precision, {"NUM_STREAMS": _STREAMS})
        return _OpenVinoNetwork(all_cores, share, self._inferences)

    def _compile(self, network: Any, precision: str, hints: dict[str, Any]) -> Any:  # noqa: ANN401
        hints = hints | self._threads | {"INFERENCE_PRECISION_HINT": precision}
        return self._core.compile_model(network, "CPU", hints)


def _agree(exact: Any, rounded: Any, pixels: Pixels) -> bool:  # noqa: ANN401
    """Return whether two compiled networks give the same unit vectors, but for rounding."""
    return bool((exact([pixels])[0] * rounded([pixels])[0]).sum(axis=1).min() >= _MIN_COSINE)


class _Counter:
    """Counts the inferences that are running, of all networks of a runtime."""

    def __init__(self) -> None:
        self._running = 0
        self._lock = Lock()

    @contextmanager
    def count(self) -> Iterator[int]:
        """Count one inference while it runs; yield how many others are running."""
        with self._lock:
            others = self._running
            self._running += 1
        try:
            yield others
        finally:
            with self._lock:
                self._running -= 1


class _Requests:
    """A pool of inference requests, which grows so that no thread waits for one."""

    def __init__(self, compiled: Any) -> None:  # noqa: ANN401  OpenVINO's stubs are incomplete
        self._compiled = compiled
        self._idle: list[Any] = []

    @contextmanager
    def borrow(self) -> Iterator[Any]:
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._compiled.create_infer_request()
        try:
            yield request
        finally:
            self._idle.append(request)


class _OpenVinoNetwork:
    """A compiled network. Thread-safe.

    all_cores: compiled for all cores, used by an inference that runs alone.
    share: compiled for a share of the cores, used by concurrent ones. If each of them took all
        cores, they would wait for each other's threads, and throughput would drop.
    """

    def __init__(self, all_cores: Any, share: Any, inferences: _Counter) -> None:  # noqa: ANN401
        self._all_cores = _Requests(all_cores)
        self._share = _Requests(share)
        self._inferences = inferences

    def __call__(self, pixels: Pixels) -> Outputs:
        with self._inferences.count() as others:
            requests = self._share if others else self._all_cores
            with requests.borrow() as request:
                outputs: Outputs = request.infer(pixels, share_inputs=True).to_tuple()
                return outputs


def _sample_pixels(side: int) -> Pixels:
    """Return eight fixed pictures, (8, side, side, 3), with contrast at all scales as in photos."""
    rng = np.random.default_rng(0)
    pictures = np.zeros((8, side, side, 3))
    for patches in (3, 6, 12, 25, 50):
        coarse = rng.normal(size=(8, patches, patches, 3))
        patch = np.arange(side) * patches // side
        pictures += coarse[:, patch][:, :, patch]
    pictures -= pictures.min(axis=(1, 2, 3), keepdims=True)
    pictures *= 255 / pictures.max(axis=(1, 2, 3), keepdims=True)
    return pictures.astype(np.uint8)
