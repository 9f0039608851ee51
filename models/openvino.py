"""The runtime for CPUs: networks converted for OpenVINO once, and kept on disk."""

import fcntl
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, LifoQueue
from threading import Lock
from typing import Any

import numpy as np
import structlog

from models.runtime import (
    Network,
    NetworkSource,
    Outputs,
    Pixels,
    RuntimeUnavailable,
    fingerprint,
)

log = structlog.get_logger()

_FILES = "network.xml", "network.bin"
_SHARES = 4  # of the cores, for inferences that run together; where cores are fewer, as many
_TWICE_BYTES = 32 << 20  # larger weights are in memory once: InceptionResnetV1 takes 150 MB
_LEAST_COSINE = 0.9995  # of a vector in bfloat16 with the same one in float32


class OpenVinoRuntime:
    """OpenVINO on the CPU. A network that was converted before needs no PyTorch.

    bfloat16: run embedding networks in bfloat16 where the CPU can and the vectors stay the same.
    """

    device = "cpu"

    def __init__(self, cache: Path, bfloat16: bool = True) -> None:
        import openvino

        self._cache = cache
        self._core = openvino.Core()
        # a file that is mapped stays in memory beside the network that was made of it
        self._core.set_property({"ENABLE_MMAP": False})
        # OpenVINO fills this table when it is first used. Two threads that are first hold each
        # other up for ever, one with the table's lock and one with Python's.
        openvino.Type.u8.to_dtype()
        self._version = re.sub(r"[^0-9.].*", "", openvino.__version__)
        can = self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self._bfloat16 = bfloat16 and "BF16" in can
        self._running = _Running()

    def compile(self, source: NetworkSource) -> Network:
        converted = self._converted(source)
        precision = self._precision(source, converted)
        if not (source.embeds and source.side):
            return self._compiled(converted.model, precision, shared=True)
        small = converted.size < _TWICE_BYTES
        one = self._compiled(converted.model, precision, one=True, shared=small)
        # what is on disk is read again rather than kept in memory
        kept = None if converted.is_on_disk else converted

        def many() -> Network:
            return self._compiled((kept or self._converted(source)).model, precision)

        return _OneOrMany(one, many)

    def _folder(self, source: NetworkSource) -> Path:
        origin = source.origin.digest if source.origin else self._version
        made_of = fingerprint(source.fingerprint.encode(), origin.encode())
        return self._cache / f"{source.name}-{made_of[:16]}"

    def _converted(self, source: NetworkSource) -> "_Converted":
        """The network from disk, or converted now. Raises RuntimeUnavailable."""
        return self._read(source) or self._convert_once(source)

    def _read(self, source: NetworkSource) -> "_Converted | None":
        """The network as it lies on disk; None if it is not there, or not as it was made."""
        folder = self._folder(source)
        if source.origin is None or not folder.is_dir():
            return None
        try:
            xml, weights = ((folder / file).read_bytes() for file in _FILES)
            model = self._core.read_model(xml, weights)
            source.origin.check(model, xml)
        except Exception as error:  # half a file or none, or anything else that is no network
            cause = str(error)
            log.warning("a converted network is not used", network=source.name, cause=cause)
            return None
        return _Converted(model, len(weights), is_on_disk=True)

    def _precision(self, source: NetworkSource, converted: "_Converted") -> str:
        """bf16 where this CPU has it and it leaves vectors the same, else f32."""
        if not (source.embeds and source.side and self._bfloat16):
            return "f32"
        cpu = fingerprint(self._core.get_property("CPU", "FULL_DEVICE_NAME").encode())[:16]
        verdict = self._folder(source) / f"precision-{cpu}"
        for known in ("f32", "bf16"):
            if verdict.is_file() and verdict.read_bytes() == known.encode():
                return known
        samples = _sample_pixels(source.side)
        exact, faster = (self._compiled(converted.model, p)(samples)[0] for p in ("f32", "bf16"))
        precision = "bf16" if (exact * faster).sum(axis=1).min() >= _LEAST_COSINE else "f32"
        with suppress(OSError):  # a folder that cannot be written costs a second at each start
            verdict.write_text(precision)
        return precision

    def _compiled(
        self,
        model: Any,  # noqa: ANN401  OpenVINO's stubs are incomplete
        precision: str,
        one: bool = False,
        shared: bool = False,
    ) -> Network:
        """The network.

        one: for one picture at a time, else for any number. shared: for a share of the cores, too.
        """
        if one:
            _, rows, columns, channels = model.inputs[0].partial_shape
            model = model.clone()
            model.reshape([1, rows, columns, channels])
        hints = {"INFERENCE_PRECISION_HINT": precision}
        alone = self._core.compile_model(model, "CPU", hints | {"PERFORMANCE_HINT": "LATENCY"})
        together = alone
        if shared:
            together = self._core.compile_model(model, "CPU", hints | {"NUM_STREAMS": _SHARES})
        return _OpenVinoNetwork(alone, together, self._running)

    def _convert_once(self, source: NetworkSource) -> "_Converted":
        """Convert the network, unless another process is faster. Raises RuntimeUnavailable."""
        try:
            self._cache.mkdir(parents=True, exist_ok=True)
            with _alone_in(self._cache):
                return self._read(source) or self._convert(source)
        except OSError as error:
            raise RuntimeUnavailable(f"cannot write {self._cache} (MODELS_DIR): {error}") from error

    def _convert(self, source: NetworkSource) -> "_Converted":
        """Convert the PyTorch module and put it on disk in one step."""
        import openvino
        import torch
        from openvino.frontend import FrontEndManager
        from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

        log.info("converting a network for this CPU, once", network=source.name)
        rows = columns = source.side or -1
        example = torch.zeros(2, source.side or 64, source.side or 48, 3, dtype=torch.uint8)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # OpenVINO's converter uses a deprecated tracer
            # not openvino.convert_model: that one reports its use to a server
            decoder = TorchScriptPythonDecoder(source.build(), example_input=(example,))
            frontend = FrontEndManager().load_by_framework("pytorch")
            model = frontend.convert(frontend.load(decoder))
        model.inputs[0].get_node().set_element_type(openvino.Type.u8)
        model.reshape([-1, rows, columns, 3])
        with tempfile.TemporaryDirectory(dir=self._cache) as scratch:
            made = Path(scratch) / "network"
            made.mkdir()
            openvino.save_model(model, made / _FILES[0], compress_to_fp16=False)
            size = (made / _FILES[1]).stat().st_size
            folder = self._folder(source)
            shutil.rmtree(folder, ignore_errors=True)
            made.rename(folder)
        if kept := self._read(source):
            return kept
        log.warning(
            "this network is converted at each start, because it does not come out as expected: "
            "are PyTorch and OpenVINO of the versions in requirements.lock?",
            network=source.name,
        )
        return _Converted(model, size, is_on_disk=False)


@dataclass(frozen=True, slots=True)
class _Converted:
    """A converted network. size: of its weights in bytes."""

    model: Any
    size: int
    is_on_disk: bool


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """One process at a time."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


class _Running:
    """Counts inferences, of all networks."""

    def __init__(self) -> None:
        self._count = 0
        self._lock = Lock()

    @contextmanager
    def one_more(self) -> Iterator[int]:
        """Yields how many others are running."""
        with self._lock:
            others = self._count
            self._count += 1
        try:
            yield others
        finally:
            with self._lock:
                self._count -= 1


class _Requests:
    """Lends inference requests, so that threads do not wait in line for one."""

    def __init__(self, compiled: Any) -> None:  # noqa: ANN401  OpenVINO's stubs are incomplete
        self._compiled = compiled
        self._idle: LifoQueue[Any] = LifoQueue()

    @contextmanager
    def lent(self) -> Iterator[Any]:
        try:
            request = self._idle.get_nowait()
        except Empty:
            request = self._compiled.create_infer_request()
        try:
            yield request
        finally:
            self._idle.put(request)


class _OpenVinoNetwork:
    """A compiled network. Any number of threads may call it at once.

    alone: compiled for all cores. together: for a share of them, for those who are not alone.
    Several that each want all cores wait for each other's threads, and fewer are answered in all.
    """

    def __init__(self, alone: Any, together: Any, running: _Running) -> None:  # noqa: ANN401
        self._alone = _Requests(alone)
        self._together = _Requests(together)
        self._running = running

    def __call__(self, pixels: Pixels) -> Outputs:
        with self._running.one_more() as others:
            requests = self._together if others else self._alone
            with requests.lent() as request:
                outputs: Outputs = request.infer([pixels], share_inputs=True).to_tuple()
                return outputs


class _OneOrMany:
    """One picture goes through a network compiled for one, which is a tenth faster.

    one: for one picture. compile: makes the network for any number of them, which is put off until
        there are several.
    """

    def __init__(self, one: Network, compile: Callable[[], Network]) -> None:
        self._one = one
        self._compile = compile
        self._compiled: Network | None = None
        self._compiling = Lock()

    def __call__(self, pixels: Pixels) -> Outputs:
        return self._one(pixels) if len(pixels) == 1 else self._many()(pixels)

    def _many(self) -> Network:
        with self._compiling:
            self._compiled = self._compiled or self._compile()
            return self._compiled


def _sample_pixels(side: int) -> Pixels:
    """(8, side, side, 3) pictures with contrast at all scales, as photos have; always the same."""
    rng = np.random.default_rng(0)
    pictures = np.zeros((8, side, side, 3))
    for patches in (3, 6, 12, 25, 50):
        coarse = rng.normal(size=(8, patches, patches, 3))
        patch = np.arange(side) * patches // side
        pictures += coarse[:, patch][:, :, patch]
    pictures -= pictures.min(axis=(1, 2, 3), keepdims=True)
    pictures *= 255 / pictures.max(axis=(1, 2, 3), keepdims=True)
    return pictures.astype(np.uint8)
