"""A network of the operator's own, in ONNX: people enrol, the service restarts, they log in."""

from pathlib import Path

from testbed.serving import RunningService
from tests.support import onnx_networks, sent_photos

ADMIRAL = {"_id": 1, "name": "Grace", "surname": "Hopper"}


def described(folder: Path) -> Path:
    """A description with the answer that the network gives."""
    content = onnx_networks.onnx(onnx_networks.weights())
    path = onnx_networks.write(folder, content)
    with RunningService(folder, ready=False, FACE_MODEL="onnx", ONNX_MODEL=str(path)) as service:
        assert service.process.wait(timeout=30) == 3
        log = service.log
    assert f"Cannot start: {path} (ONNX_MODEL): known_answer: is missing" in log
    answer = log.rpartition("answers [")[2].partition("]")[0]
    numbers = [float(number) for number in answer.split(",")]
    return onnx_networks.write(folder, content, known_answer=numbers)


def log_in(service: RunningService) -> None:
    """The admiral logs in with her photo, and the astronaut does not."""
    answer = service.call("POST", "/api/find_match", json={"image_base64": sent_photos.admiral()})
    assert (answer.status_code, answer.json()) == (200, ADMIRAL)
    answer = service.call("POST", "/api/find_match", json={"image_base64": sent_photos.astronaut()})
    assert (answer.status_code, answer.text) == (406, "no matches found")


def test_people_enrol_and_log_in_after_a_restart_until_the_file_changes(tmp_path: Path) -> None:
    variables = {"FACE_MODEL": "onnx", "ONNX_MODEL": str(described(tmp_path))}
    body = {"name": "Grace", "surname": "Hopper", "img_base64": sent_photos.admiral()}
    with RunningService(tmp_path, **variables) as service:
        assert service.call("POST", "/api/store/1", json=body).text == "ok"
        log_in(service)
    # the store now says which model runs
    with RunningService(tmp_path, **variables | {"FACE_MODEL": "auto"}) as service:
        log_in(service)
        mapped = [Path(f"/proc/{pid}/maps").read_text() for pid in service.workers()]
        assert mapped
        assert not any("libtorch" in each for each in mapped)

    (tmp_path / "net.onnx").write_bytes(onnx_networks.onnx(onnx_networks.weights(seed=1)))
    for face_model in ("onnx", "auto"):
        variables["FACE_MODEL"] = face_model
        with RunningService(tmp_path, ready=False, **variables) as service:
            assert service.process.wait(timeout=30) == 3
            assert "net.onnx has the wrong SHA-256" in service.log
            assert "Check file and sha256 in" in service.log
