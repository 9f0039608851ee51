"""The face models: what each one takes and returns, and where its weights come from."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import structlog

from models import dlib_resnet, inception_resnet, weights
from models.network import NetworkSource, OnnxSource
from models.onnx_description import OnnxDescription
from models.package_data import package_file
from models.weights import WeightsUnavailable

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class LandmarkAlignment:
    """Turn, scale and shift the face so that its five landmarks fall on `points`.

    points: (x, y) in pixels of the chip, in the order eye, eye, nose, mouth corner, mouth corner.
    """

    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class BoxAlignment:
    """Stretch the detector's box to the chip, with `margin` of the chip's side around it."""

    margin: float


@dataclass(frozen=True, slots=True)
class FaceModel:
    """One way to turn a face into a feature vector.

    licence: None if it is not known, as of an operator's own weights.
    network: returns the source of the network, (n, side, side, 3) uint8 RGB → (n, dimension)
        float32 of unit length. Fetches and verifies the weights. Raises ModelUnavailable.
    crops: shares of the chip's side. A face's vector is the mean over these middle parts of its
        chip, as the network sees a face a little differently each time. The first is 1.
    """

    name: str  # stored with each vector; vectors of different models are never compared
    side: int  # rows and columns of the chip in pixels
    dimension: int  # length of the feature vector
    alignment: LandmarkAlignment | BoxAlignment
    distance_scale: float  # factor on L2 distances, so that α means about the same with each model
    network: Callable[[], NetworkSource | OnnxSource] = field(repr=False)
    crops: tuple[float, ...] = (1.0,)
    licence: str | None = None


class ModelUnavailable(Exception):
    """A face model cannot be used; the message says why and what to do."""


class Catalogue:
    """Finds face models by name. Fetches nothing.

    models_dir: folder for downloaded weights.
    own_weights: file with the operator's own InceptionResnetV1 state dict, and its SHA-256.
    vggface2: the published weights.
    onnx: path and content of the description of the operator's own ONNX network.
    """

    def __init__(
        self,
        models_dir: Path,
        own_weights: tuple[Path, str] | None = None,
        vggface2: weights.WeightsFile = weights.VGGFACE2,
        onnx: tuple[Path, OnnxDescription] | None = None,
    ) -> None:
        self._models_dir = models_dir
        self._own_weights = own_weights
        self._vggface2 = vggface2
        self._onnx = onnx

    @property
    def own_name(self) -> str | None:
        """The name of the model with the operator's own weights; None if there are none."""
        if self._own_weights is None:
            return None
        checksum = self._own_weights[1].lower()
        return "vggface2" if checksum == self._vggface2.sha256 else f"facenet-{checksum[:12]}"

    @property
    def onnx_name(self) -> str | None:
        """The name of the model that is the operator's own ONNX network; None if there is none."""
        return self._onnx[1].name if self._onnx else None

    def names(self) -> list[str]:
        """Return the names of all models that are known here."""
        own = (self.own_name, self.onnx_name)
        return list(dict.fromkeys(["dlib", "vggface2", *(name for name in own if name)]))

    def has_weights(self, name: str) -> bool:
        """Return whether nothing must be downloaded for a model that is known here."""
        return name != "vggface2" or name == self.own_name or self.has_vggface2()

    def has_vggface2(self) -> bool:
        """Return whether a file of its weights is in `models_dir`; it may turn out damaged."""
        return (self._models_dir / self._vggface2.name).is_file()

    def get(self, name: str) -> FaceModel:
        """Return the model of that name. Raise ModelUnavailable if it is unknown."""
        if name == "dlib":
            return _DLIB
        if self._own_weights is not None and name == self.own_name:
            return _facenet(name, partial(self._own_network, name, *self._own_weights))
        if name == "vggface2":
            return _facenet(name, self._vggface2_network)
        if self._onnx is not None and name == self.onnx_name:
            return _onnx_model(*self._onnx)
        ways_out = "FACENET_WEIGHTS and FACENET_WEIGHTS_SHA256 to the weights that made it"
        if name.startswith("onnx-"):
            ways_out = "ONNX_MODEL to the description that it was made with"
            if self._onnx is not None:
                ways_out += f"; that in {self._onnx[0]} makes the model {self.onnx_name}"
        raise ModelUnavailable(f"The model {name} is not known here. Set {ways_out}")

    def _own_network(self, name: str, path: Path, checksum: str) -> NetworkSource:
        try:
            weights.read(path, checksum)
        except WeightsUnavailable as error:
            raise ModelUnavailable(
                f"{error}. Check FACENET_WEIGHTS and FACENET_WEIGHTS_SHA256"
            ) from error
        return _facenet_network(name, path, checksum.lower())

    def _vggface2_network(self) -> NetworkSource:
        try:
            path = weights.fetch(self._vggface2, self._models_dir)
        except WeightsUnavailable as error:
            raise ModelUnavailable(
                f"{error}. Three ways out: put {self._vggface2.name} into {self._models_dir} "
                "(MODELS_DIR), or set FACENET_WEIGHTS and FACENET_WEIGHTS_SHA256 to a weights file "
                "of your own, or, before anyone is enrolled, set FACE_MODEL=dlib, which needs no "
                "download"
            ) from error
        return _facenet_network("vggface2", path, self._vggface2.sha256)


def _dlib_network() -> NetworkSource:
    try:
        path = package_file(
            "face_recognition_models", "models/dlib_face_recognition_resnet_model_v1.dat"
        )
    except WeightsUnavailable as error:
        raise ModelUnavailable(str(error)) from error
    net = dlib_resnet
    return NetworkSource("dlib", net.SIDE, net.define, path, net.SHA256, net.tensors, embeds=True)


def _facenet_network(name: str, path: Path, checksum: str) -> NetworkSource:
    net = inception_resnet
    return NetworkSource(name, net.SIDE, net.define, path, checksum, net.tensors, embeds=True)


_DLIB = FaceModel(
    name="dlib",
    side=dlib_resnet.SIDE,
    dimension=128,
    alignment=LandmarkAlignment(
        ((47.7, 47.1), (100.3, 47.1), (74.6, 78.0), (51.5, 106.5), (98.5, 106.5))
    ),
    distance_scale=2.15,
    network=_dlib_network,
    crops=(1.0, 0.93),  # docs/matching.md compares them with others
    licence="CC0-1.0, public domain",
)


_VGGFACE2_LICENCE = "MIT; trained on VGGFace2, whose pictures are for research"


def _facenet(name: str, network: Callable[[], NetworkSource]) -> FaceModel:
    return FaceModel(
        name=name,
        side=inception_resnet.SIDE,
        dimension=512,
        alignment=BoxAlignment(margin=14 / 160),
        distance_scale=1.0,
        network=network,
        licence=_VGGFACE2_LICENCE if name == "vggface2" else None,
    )


# Where ArcFace and its successors want the landmarks in a chip of 112 pixels (InsightFace's
# `arcface_dst`). There, the centre of the top left pixel is (0, 0); here it is (0.5, 0.5).
_ARCFACE_POINTS = (
    *((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366)),
    *((41.5493, 92.3655), (70.7299, 92.2041)),
)


def _onnx_model(path: Path, description: OnnxDescription) -> FaceModel:
    def network() -> OnnxSource:
        file = path.parent / description.file
        try:
            content = weights.read(file, description.sha256)
        except WeightsUnavailable as error:
            raise ModelUnavailable(
                f"{error}. Check file and sha256 in {path} (ONNX_MODEL)"
            ) from error
        log.info("using an ONNX network", file=str(file), licence=description.licence)
        return OnnxSource(path, description, content)

    points = tuple(
        ((x + 0.5) * description.side / 112, (y + 0.5) * description.side / 112)
        for x, y in _ARCFACE_POINTS
    )
    aligned = description.alignment == "arcface"
    return FaceModel(
        name=description.name,
        side=description.side,
        dimension=description.dimension,
        alignment=LandmarkAlignment(points) if aligned else BoxAlignment(description.margin),
        distance_scale=description.distance_scale,
        network=network,
        licence=description.licence,
    )
