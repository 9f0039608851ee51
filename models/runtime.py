"""Runs networks behind one interface: OpenVINO on CPUs, PyTorch on NVIDIA GPUs."""

import fcntl
import hashlib
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from queue import Empty, LifoQueue
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import nn

log = structlog.get_logger()

_SEAL = "sha256"
_LEAST_COSINE = 0.9995  # of a vector in bfloat16 with the same one in float32

Pixels = NDArray[np.uint8]
Outputs = tuple[NDArray[np.float32], ...]


class RuntimeUnavailable(Exception):
    """The networks cannot run here; the message names the setting."""


class Network(Protocol):
    """A compiled network. Any number of threads may call it at once."""

    def __call__(self, pixels: Pixels) -> Outputs:
        """pixels: (n, rows, columns, 3) uint8 RGB → the outputs, float32, n rows each."""


@dataclass(frozen=True, slots=True)
class NetworkSource:
    """Where a network comes from.

    name: what it is called in logs and file names.
    fingerprint: changes whenever the weights do; names the converted network on disk.
    side: rows and columns of the input in pixels; None takes pictures of any size.
    embeds: the output are vectors of unit length, for which half the precision may do.
    build: makes the PyTorch module; called only when no converted network is at hand.
    """

    name: str
    fingerprint: str
    side: int | None
    build: "Callable[[], nn.Module]"
    embeds: bool = False


class Runtime(Protocol):
    """Compiles networks for one device."""

    device: str

    def compile(self, source: NetworkSource) -> Network:
        """The network, ready to run."""


def choose_runtime(device: str, cache: Path) -> Runtime:
    """The runtime for `device` (`auto`, `cpu` or `cuda`); converted networks are kept in `cache`.

    Raises RuntimeUnavailable where `cuda` is asked for and absent.
    """
    if device == "cpu" or (device == "auto" and not Path("/proc/driver/nvidia/version").exists()):
        return OpenVinoRuntime(cache)
    import torch

    if torch.cuda.is_available():
        return TorchRuntime("cuda")
    if device == "cuda":
        raise RuntimeUnavailable("DEVICE is cuda, but PyTorch finds no NVIDIA GPU it can use")
    return OpenVinoRuntime(cache)


class TorchRuntime:
    """PyTorch as it is; in half precision on a GPU."""

    def __init__(self, device: str) -> None:
        self.device = device

    def compile(self, source: NetworkSource) -> Network:
        import torch

        module = source.build().to(self.device)
        half = self.device == "cuda"

        def run(pixels: Pixels) -> Outputs:
            with torch.inference_mode(), torch.autocast(self.device, torch.float16, enabled=half):
                outputs = module(torch.from_numpy(pixels).to(self.device))
            if isinstance(outputs, torch.Tensor):
                outputs = (outputs,)
            return tuple(output.float().cpu().numpy() for output in outputs)

        return run


class OpenVinoRuntime:
    """OpenVINO on the CPU. A network that was converted before needs no PyTorch.

    bfloat16: run embedding networks in bfloat16 where the CPU can and the vectors stay the same.
    """

    device = "cpu"

    def __init__(self, cache: Path, bfloat16: bool = True) -> None:
        import openvino

        self._cache = cache
        self._core = openvino.Core()
        # OpenVINO fills this table when it is first used. Two threads that are first hold each
        # other up for ever, one with the table's lock and one with Python's.
        openvino.Type.u8.to_dtype()
        self._version = re.sub(r"[^0-9.].*", "", openvino.__version__)
        can = self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self._bfloat16 = bfloat16 and "BF16" in can

    def compile(self, source: NetworkSource) -> Network:
        folder = self._cache / f"{source.name}-{source.fingerprint[:16]}-openvino-{self._version}"
        if not _is_sealed(folder):
            self._convert_once(source, folder)
        precision = self._precision(source, folder)
        if source.embeds and source.side:
            return _OneOrMany(lambda count: self._compiled(folder, precision, count))
        return self._compiled(folder, precision)

    def _precision(self, source: NetworkSource, folder: Path) -> str:
        """bf16 where this CPU has it and it leaves vectors the same, else f32."""
        if not (source.embeds and source.side and self._bfloat16):
            return "f32"
        cpu = fingerprint(self._core.get_property("CPU", "FULL_DEVICE_NAME").encode())[:16]
        verdict = folder / f"precision-{cpu}"
        if verdict.is_file() and (known := verdict.read_text()) in ("f32", "bf16"):
            return known
        samples = _sample_pixels(source.side)
        exact, faster = (self._compiled(folder, p)(samples)[0] for p in ("f32", "bf16"))
        precision = "bf16" if (exact * faster).sum(axis=1).min() >= _LEAST_COSINE else "f32"
        with suppress(OSError):  # a folder that cannot be written costs a second at each start
            verdict.write_text(precision)
        return precision

    def _compiled(self, folder: Path, precision: str, count: int | None = None) -> Network:
        """The network for `count` pictures at a time, or for any number."""
        model = self._core.read_model(folder / "network.xml")
        if count:
            _, rows, columns, channels = model.inputs[0].partial_shape
            model.reshape([count, rows, columns, channels])
        options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
        return _OpenVinoNetwork(self._core.compile_model(model, "CPU", options))

    def _convert_once(self, source: NetworkSource, folder: Path) -> None:
        """Convert the network, unless another process is faster. Raises RuntimeUnavailable."""
        try:
            self._cache.mkdir(parents=True, exist_ok=True)
            with _alone_in(self._cache):
                if not _is_sealed(folder):
                    self._convert(source, folder)
        except OSError as error:
            raise RuntimeUnavailable(f"cannot write {self._cache} (MODELS_DIR): {error}") from error

    def _convert(self, source: NetworkSource, folder: Path) -> None:
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
            openvino.save_model(model, made / "network.xml", compress_to_fp16=False)
            (made / _SEAL).write_text(_hash(made))
            shutil.rmtree(folder, ignore_errors=True)
            made.rename(folder)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """One process at a time."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


class _OpenVinoNetwork:
    """Lends every call an inference request of its own, so that threads do not wait in line."""

    def __init__(self, compiled: Any) -> None:  # noqa: ANN401  OpenVINO's stubs are incomplete
        self._compiled = compiled
        self._idle: LifoQueue[Any] = LifoQueue()

    def __call__(self, pixels: Pixels) -> Outputs:
        try:
            request = self._idle.get_nowait()
        except Empty:
            request = self._compiled.create_infer_request()
        try:
            outputs: Outputs = request.infer([pixels], share_inputs=True).to_tuple()
            return outputs
        finally:
            self._idle.put(request)


class _OneOrMany:
    """One picture goes through a network compiled for one, which is a tenth faster.

    compile: makes the network for so many pictures, or with None for any number of them, which is
        put off until there are several.
    """

    def __init__(self, compile: Callable[[int | None], Network]) -> None:
        self._one = compile(1)
        self._many = cache(lambda: compile(None))

    def __call__(self, pixels: Pixels) -> Outputs:
        return self._one(pixels) if len(pixels) == 1 else self._many()(pixels)


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


def _is_sealed(folder: Path) -> bool:
    """Is the converted network as it was written? OpenVINO takes damaged weights as they are."""
    seal = folder / _SEAL
    return seal.is_file() and seal.read_text() == _hash(folder)


def _hash(folder: Path) -> str:
    files = (folder / "network.xml", folder / "network.bin")
    return fingerprint(*(file.read_bytes() if file.is_file() else b"" for file in files))


def fingerprint(*parts: bytes) -> str:
    """The SHA-256 of the parts, in hexadecimal."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
