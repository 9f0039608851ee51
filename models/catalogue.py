"""The face models: what each one takes, gives, and where its weights are."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from models import state_dict, weights
from models.network import NetworkSource, Tensors, sha256
from models.package_data import package_file

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class LandmarkAlignment:
    """Turn, scale and shift the face so that its five landmarks come to lie on `points`.

    points: (x, y) in pixels of the chip, in the order eye, eye, nose, mouth corner, mouth corner.
    """

    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class BoxAlignment:
    """Stretch the detector's box to the chip, leaving `margin` of the chip's side around it."""

    margin: float


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is known of a face model without its weights.

    name: what stored vectors carry; vectors of two models are never compared.
    side: rows and columns of the chip in pixels.
    dimension: length of the feature vector.
    distance_scale: what the L2 distance of unit vectors is multiplied with, so that α means
        about the same with every model.
    """

    name: str
    side: int
    dimension: int
    alignment: LandmarkAlignment | BoxAlignment
    distance_scale: float


@dataclass(frozen=True, slots=True)
class FaceModel(ModelFacts):
    """One way to turn a face into a feature vector.

    network: (n, side, side, 3) uint8 RGB → (n, dimension) float32 of unit length.
    """

    network: NetworkSource = field(repr=False)


class ModelUnavailable(Exception):
    """A face model cannot be had; the message says why and what to do."""


class Catalogue:
    """Finds face models by name.

    models_dir: where downloaded weights are kept.
    own_weights: an InceptionResnetV1 state dict of one's own, with its SHA-256.
    """

    def __init__(
        self,
        models_dir: Path,
        own_weights: tuple[Path, str] | None = None,
        vggface2: weights.WeightsFile = weights.VGGFACE2,
    ) -> None:
        self._models_dir = models_dir
        self._own_weights = own_weights
        self._vggface2 = vggface2

    @property
    def own_name(self) -> str | None:
        """The name that vectors made with one's own weights carry; None without such weights."""
        if self._own_weights is None:
            return None
        sha256 = self._own_weights[1].lower()
        return "vggface2" if sha256 == self._vggface2.sha256 else f"facenet-{sha256[:12]}"

    @property
    def default_name(self) -> str:
        """The model of an empty store, as far as it can be told without fetching anything."""
        if self.own_name is not None:
            return self.own_name
        return "vggface2" if (self._models_dir / self._vggface2.name).is_file() else "dlib"

    def facts(self, name: str) -> ModelFacts:
        """What is known of the model of that name; fetches nothing. Raises ModelUnavailable."""
        if name == "dlib":
            return _DLIB
        if name in ("vggface2", self.own_name):
            return replace(_FACENET, name=name)
        raise ModelUnavailable(
            f"The model {name} is not known here. Set FACENET_WEIGHTS and "
            "FACENET_WEIGHTS_SHA256 to the weights that made it"
        )

    def get(self, name: str) -> FaceModel:
        """The model of that name, its weights fetched and checked. Raises ModelUnavailable."""
        facts = self.facts(name)
        try:
            if name == "dlib":
                network = _dlib()
            elif self._own_weights is not None and name == self.own_name:
                path, sha256 = self._own_weights
                weights.verify(path, sha256)
                network = _facenet(name, path, sha256)
            else:
                path = weights.fetch(self._vggface2, self._models_dir)
                network = _facenet(name, path, self._vggface2.sha256)
        except weights.WeightsUnavailable as error:
            raise ModelUnavailable(f"{error}. {self._ways_out(name)}") from error
        return FaceModel(
            facts.name,
            facts.side,
            facts.dimension,
            facts.alignment,
            facts.distance_scale,
            network,
        )

    def _ways_out(self, name: str) -> str:
        if name == self.own_name:
            return "Check FACENET_WEIGHTS and FACENET_WEIGHTS_SHA256"
        return (
            f"Three ways out: put {self._vggface2.name} into {self._models_dir} (MODELS_DIR), "
            "or set FACENET_WEIGHTS and FACENET_WEIGHTS_SHA256 to a weights file of your own, "
            "or, before anyone is enrolled, set FACE_MODEL=dlib, which needs no download"
        )


_DLIB = ModelFacts(
    name="dlib",
    side=150,
    dimension=128,
    alignment=LandmarkAlignment(
        ((47.7, 47.1), (100.3, 47.1), (74.6, 78.0), (51.5, 106.5), (98.5, 106.5))
    ),
    distance_scale=2.15,
)
_FACENET = ModelFacts(
    name="facenet",
    side=160,
    dimension=512,
    alignment=BoxAlignment(margin=14 / 160),
    distance_scale=1.0,
)
# see models.digest
_DLIB_DIGEST = "e339b5013959f96cc1ee842778921e473fa600c040e73401f94e52e257fd699e"
_FACENET_DIGEST = "8793c1de2960d57cdf071bed748437ce530093cd16f78c0c2196ff6c6e168098"


def _dlib() -> NetworkSource:
    path = package_file(
        "face_recognition_models", "models/dlib_face_recognition_resnet_model_v1.dat"
    )

    def build() -> "nn.Module":
        from models.dlib_resnet import load
        from models.pixels import FromPixels, UnitVectors

        return FromPixels(UnitVectors(load(path), mirrored=True), mean=0.0, scale=1.0)

    return NetworkSource(
        "dlib", sha256(path.read_bytes()), _DLIB.side, build, _DLIB_DIGEST, embeds=True
    )


def _facenet(name: str, path: Path, expected: str) -> NetworkSource:
    def build() -> "nn.Module":
        from models.inception_resnet import load
        from models.pixels import FromPixels, UnitVectors

        network = UnitVectors(load(path, checked()), mirrored=False)
        return FromPixels(network, mean=127.5, scale=128.0)

    def checked() -> bytes:
        data = path.read_bytes()
        if sha256(data) != expected.lower():
            raise weights.WeightsUnavailable(f"{path} has another SHA-256 than at the start")
        return data

    def tensors() -> Tensors:
        read = state_dict.read(checked())
        return {f"self.network.network.{name}": tensor for name, tensor in read.items()}

    return NetworkSource(
        name, expected.lower(), _FACENET.side, build, _FACENET_DIGEST, tensors, embeds=True
    )
