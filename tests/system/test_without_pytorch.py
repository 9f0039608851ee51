"""People enrol and log in if PyTorch cannot be imported."""

from pathlib import Path

import pytest

from testbed.serving import RunningService
from tests.support import facenet_weights, sent_photos

ADMIRAL = {"_id": 1, "name": "Grace", "surname": "Hopper"}

# Python runs it first, in each worker, too.
NO_PYTORCH = """
import sys

class Missing:
    def find_spec(name, path=None, target=None):
        if name in ("torch", "torchvision", "facenet_pytorch.models"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing)
"""


def own_weights(folder: Path) -> dict[str, str]:
    path = folder / "own.pt"
    return {"FACENET_WEIGHTS_SHA256": facenet_weights.write(path), "FACENET_WEIGHTS": str(path)}


@pytest.mark.usefixtures("calm_torch")
@pytest.mark.parametrize("model", ["dlib", "facenet"])
@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_an_employee_enrols_and_logs_in(model: str, device: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(NO_PYTORCH)
    # what earlier releases kept there
    left = tmp_path / "models" / "converted" / "dlib-08505cd0f9182760"
    left.mkdir(parents=True)
    (left / "network.xml").write_bytes(b"\xff\xfe\x00")
    variables = {
        "PYTHONPATH": str(tmp_path),
        "MODELS_DIR": str(tmp_path / "models"),
        "FACE_MODEL": model,
        "DEVICE": device,
    }
    if model == "facenet":
        variables |= own_weights(tmp_path)
    body = {"name": "Grace", "surname": "Hopper", "img_base64": sent_photos.admiral()}
    with RunningService(tmp_path, **variables) as service:
        assert service.call("POST", "/api/store/1", json=body).text == "ok"
        sent = {"image_base64": sent_photos.admiral()}
        assert service.call("POST", "/api/find_match", json=sent).json() == ADMIRAL


def test_a_gpu_needs_pytorch(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(NO_PYTORCH)
    variables = {"PYTHONPATH": str(tmp_path), "DEVICE": "cuda"}
    with RunningService(tmp_path, ready=False, **variables) as service:
        assert service.process.wait(timeout=30) == 3
        assert "DEVICE is cuda, but PyTorch is not installed" in service.log
