"""Finds the weights that installed packages carry, without importing the packages.

Importing them is slow (facenet-pytorch needs PyTorch) or fails (face_recognition_models needs
pkg_resources).
"""

from importlib.util import find_spec
from pathlib import Path

from models.weights import WeightsUnavailable


def packaged_file(package: str, file: str) -> Path:
    """The path of a file inside an installed package. Raises WeightsUnavailable."""
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (path := Path(folder) / file).is_file():
            return path
    raise WeightsUnavailable(f"{file} is not there: is the package {package} installed?")
