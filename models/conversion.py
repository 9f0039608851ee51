"""Converts networks from PyTorch to OpenVINO once, and keeps the results on disk."""

import shutil
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openvino
import structlog

from models import digest
from models.folder_lock import lock
from models.network import NetworkSource, RuntimeUnavailable, sha256
from models.weights import WeightsUnavailable

log = structlog.get_logger()

_XML, _BIN = "network.xml", "network.bin"  # operations, weights


@dataclass(frozen=True, slots=True)
class Converted:
    """A converted network."""

    model: Any  # an openvino.Model that takes any number of pictures
    weights_bytes: int
    folder: Path  # where it is kept


class ConvertedNetworks:
    """The converted networks in a folder. A network that was converted before needs no PyTorch."""

    def __init__(self, folder: Path, core: Any) -> None:  # noqa: ANN401  incomplete stubs
        self._folder = folder
        self._core = core

    def get(self, source: NetworkSource) -> Converted:
        """Return the network from disk, or convert it now.

        Raise RuntimeUnavailable if the folder cannot be written, WeightsUnavailable if the weights
        cannot be used.
        """
        return self._read(source) or self._convert_once(source)

    def _folder_of(self, source: NetworkSource) -> Path:
        key = sha256(source.weights_sha256.encode(), source.digest.encode())
        return self._folder / f"{source.name}-{key[:16]}"

    def _read(self, source: NetworkSource) -> Converted | None:
        """Return the network on disk; None if it is missing or not the right one."""
        folder = self._folder_of(source)
        if not folder.is_dir():
            return None
        try:
            xml, weights = (folder / _XML).read_bytes(), (folder / _BIN).read_bytes()
            model = self._core.read_model(xml, weights)
            digest.check(model, xml, source)
        except WeightsUnavailable:
            raise
        except Exception as error:  # OpenVINO raises many types if a file is damaged
            cause = str(error)
            log.warning("a converted network is not used", network=source.name, cause=cause)
            return None
        return Converted(model, len(weights), folder)

    def _convert_once(self, source: NetworkSource) -> Converted:
        """Convert the network, unless another process has just done so."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with lock(self._folder):
                return self._read(source) or self._convert(source)
        except OSError as error:
            raise RuntimeUnavailable(
                f"cannot write {self._folder} (MODELS_DIR): {error}"
            ) from error

    def _convert(self, source: NetworkSource) -> Converted:
        log.info("converting a network for this CPU, once", network=source.name)
        model = _to_openvino(source)
        with tempfile.TemporaryDirectory(dir=self._folder) as scratch:
            made = Path(scratch) / "network"
            made.mkdir()
            openvino.save_model(model, made / _XML, compress_to_fp16=False)
            size = (made / _BIN).stat().st_size
            folder = self._folder_of(source)
            shutil.rmtree(folder, ignore_errors=True)
            made.rename(folder)
        if kept := self._read(source):
            return kept
        log.warning(
            "the converted network is not the expected one and will be converted again at every "
            "start: install the versions in requirements.lock",
            network=source.name,
        )
        return Converted(model, size, folder)


def _to_openvino(source: NetworkSource) -> Any:  # noqa: ANN401  incomplete stubs
    import torch  # takes seconds, and is not needed once networks are converted
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    example = torch.zeros(2, source.side or 64, source.side or 48, 3, dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # OpenVINO's converter uses a deprecated tracer
        # not openvino.convert_model, which reports its use to a server
        decoder = TorchScriptPythonDecoder(source.build(), example_input=(example,))
        frontend = FrontEndManager().load_by_framework("pytorch")
        model = frontend.convert(frontend.load(decoder))
    model.inputs[0].get_node().set_element_type(openvino.Type.u8)
    side = source.side or -1
    model.reshape([-1, side, side, 3])
    return model
