"""Finds data files of installed packages without importing the packages.

facenet-pytorch imports PyTorch and torchvision, which are not installed.
"""

from importlib.util import find_spec
from pathlib import Path

from models.weights import WeightsUnavailable


def package_file(package: str, file: str) -> Path:
    """Return the path of a file in an installed package. Raise WeightsUnavailable if missing."""
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (path := Path(folder) / file).is_file():
            return path
    raise WeightsUnavailable(f"{file} is missing: is the package {package} installed?")
