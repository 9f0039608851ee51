"""Embedding networks of the operator's own: ONNX files that a JSON file describes."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from structlog.testing import capture_logs

from app.bootstrap import make_catalogue
from app.recognition.recogniser import Recogniser
from app.settings import SettingsError
from models.catalogue import BoxAlignment, FaceModel, LandmarkAlignment, ModelUnavailable
from models.choice import choose_model
from models.network import Runtime, RuntimeUnavailable
from models.onnx import known_face
from models.onnx_description import KNOWN_NUMBERS
from models.openvino import OpenVinoRuntime
from models.pytorch import TorchRuntime
from models.weights import WeightsUnavailable
from testbed.photos import PORTRAITS
from testbed.serving import ROOT, only
from tests.support import onnx_networks
from tests.support.onnx_networks import SIDE

WEIGHTS = onnx_networks.weights()
CONTENT = onnx_networks.onnx(WEIGHTS)
OTHER = onnx_networks.onnx(onnx_networks.weights(seed=1))


def vector(
    pixels: NDArray[np.uint8],
    *,
    colours: str = "RGB",
    mean: float | list[float] = 127.5,
    scale: float | list[float] = 128,
    mirrored: bool = False,
) -> NDArray[np.float32]:
    """What a description with these fields must make of a picture."""
    ordered = pixels if colours == "RGB" else pixels[..., ::-1]
    faces = [(ordered - np.array(mean)) / np.array(scale)]
    if mirrored:
        faces.append(faces[0][:, ::-1])
    found = sum(onnx_networks.vector(WEIGHTS, face) for face in faces)
    return found / np.linalg.norm(found)


def described(folder: Path, content: bytes = CONTENT, **fields: object) -> Path:
    """A description with the right answer for these fields."""
    decisive = ("colours", "mean", "scale", "mirrored")
    right = vector(known_face(SIDE), **{name: fields[name] for name in decisive if name in fields})
    answer = {"known_answer": [float(number) for number in right[:KNOWN_NUMBERS]]}
    return onnx_networks.write(folder, content, **answer | fields)


def model(description: Path) -> FaceModel:
    """The model as a start chooses it for an empty store."""
    settings = only(face_model="onnx", onnx_model=description)
    return choose_model(settings.face_model, {}, make_catalogue(settings))


def pictures(count: int = 3) -> NDArray[np.uint8]:
    """Pictures of coarse and fine patches."""
    rng = np.random.default_rng(1)
    coarse, fine = (rng.integers(0, 128, (count, n, n, 3), np.uint8) for n in (7, 28))
    return coarse.repeat(16, 1).repeat(16, 2) + fine.repeat(4, 1).repeat(4, 2)


FIELDS = [
    {},
    {"colours": "BGR"},
    {"mean": 0, "scale": 255.0},
    {"mean": [123.7, 116.3, 103.5], "scale": [58.4, 57.1, 57.4]},
    {"mirrored": True},
]


@pytest.mark.parametrize("batch", [1, None], ids=["one", "many"])
@pytest.mark.parametrize("rows_last", [False, True], ids=["nchw", "nhwc"])
def test_a_network_runs_however_its_input_is_laid_out(
    batch: int | None, rows_last: bool, tmp_path: Path
) -> None:
    content = onnx_networks.onnx(WEIGHTS, batch, rows_last=rows_last)
    source = model(described(tmp_path, content)).network()
    (vectors,) = OpenVinoRuntime(bfloat16=False).compile(source)(pictures())
    np.testing.assert_allclose(vectors, [vector(each) for each in pictures()], atol=1e-5)


@pytest.mark.parametrize("fields", FIELDS, ids=str)
def test_pixels_are_prepared_as_described(fields: dict[str, object], tmp_path: Path) -> None:
    source = model(described(tmp_path, **fields)).network()
    (vectors,) = OpenVinoRuntime(bfloat16=False).compile(source)(pictures())
    expected = [vector(each, **fields) for each in pictures()]
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("wrong", FIELDS[1:], ids=str)
def test_a_wrong_field_is_noticed_by_the_known_answer(
    wrong: dict[str, object], tmp_path: Path
) -> None:
    right = [float(number) for number in vector(known_face(SIDE))[:KNOWN_NUMBERS]]
    source = model(described(tmp_path, known_answer=right, **wrong)).network()
    with pytest.raises(
        WeightsUnavailable, match=r"net\.json \(ONNX_MODEL\): known_answer: differs"
    ):
        OpenVinoRuntime().compile(source)


def test_a_missing_answer_is_told_and_then_accepted(tmp_path: Path) -> None:
    path = described(tmp_path, known_answer=None)
    with pytest.raises(WeightsUnavailable, match="known_answer: is missing") as refused:
        OpenVinoRuntime().compile(model(path).network())
    told = re.search(r"\[.*\]", str(refused.value))
    assert told
    path = described(tmp_path, known_answer=json.loads(told[0]))
    OpenVinoRuntime().compile(model(path).network())


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"side": "112"}, "side: must be a whole number"),
        ({"side": 16}, "side: must be at least 32"),
        ({"side": 4096}, "side: must be at most 512"),
        ({"dimension": 8}, "dimension: must be at least 16"),
        ({"colours": "rgb"}, "colours: must be 'RGB' or 'BGR'"),
        ({"mean": "127.5"}, "mean: must be a number, or a list of three"),
        ({"mean": [1, 2]}, "mean: must be a number, or a list of three"),
        ({"mean": [1, 2, "3"]}, "mean: must be a number"),
        ({"mean": True}, "mean: must be a number"),
        ({"mean": 256}, "mean: must be at most 255"),
        ({"scale": 0}, "scale: must be more than 0"),
        ({"scale": float("nan")}, "scale: must be a finite number"),
        ({"alignment": "eyes"}, "alignment: must be 'arcface' or 'box'"),
        ({"margin": 0.1}, "margin is for the alignment box alone: remove it"),
        ({"alignment": "box", "margin": 1}, "margin: must be less than 1"),
        ({"mirrored": 1}, "mirrored: must be true or false"),
        ({"distance_scale": -1}, "distance_scale: must be more than 0"),
        ({"sha256": "abc"}, "sha256: must be 64 hexadecimal digits"),
        ({"licence": ""}, "licence: is empty"),
        ({"licence": None}, "licence: is missing"),
        ({"known_answer": [0.1]}, "known_answer: must be a list of 5 numbers"),
        ({"known_answer": "0.1"}, "known_answer: must be a list of 5 numbers"),
        ({"known_answer": ["0.1"] * 5}, "known_answer: must be a number"),
        ({"meen": 127.5}, "meen: is unknown, remove it"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_every_mistake_in_a_description_names_file_and_field(
    fields: dict[str, object], sentence: str, tmp_path: Path
) -> None:
    path = onnx_networks.write(tmp_path, CONTENT, **fields)
    with pytest.raises(SettingsError) as refused:
        model(path)
    assert f"{path} (ONNX_MODEL): {sentence}" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_all_mistakes_are_named_together(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"side: .*; colours: .*; meen: "):
        model(onnx_networks.write(tmp_path, CONTENT, side=1, colours="red", meen=1))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "is not valid JSON"),
        (CONTENT, "is not valid JSON"),
        (b"{", "is not valid JSON"),
        (b"[1]", "must be a JSON object"),
        (b"\xff\xfe", "is not valid JSON"),
    ],
)
def test_a_description_that_is_none_is_refused(
    content: bytes | None, sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / "net.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError) as refused:
        model(path)
    assert re.search(rf"net\.json \(ONNX_MODEL\):? {sentence}", str(refused.value))


def test_a_description_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = described(tmp_path)
    name = model(path).name
    path.write_text(path.read_text(), "utf-8-sig")
    assert model(path).name == name


def test_the_network_may_lie_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    path = described(tmp_path, file="weights/net.onnx")
    with pytest.raises(ModelUnavailable, match=r"weights/net\.onnx is missing. Check file"):
        model(path).network()
    (tmp_path / "net.onnx").rename(tmp_path / "weights" / "net.onnx")
    model(path).network()


@pytest.mark.parametrize(
    ("file", "sentence"),
    [("/dev/zero", "is no file"), (".", "is no file"), ("net\0.onnx", "is missing")],
)
def test_what_is_no_file_is_not_read(file: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=rf"{sentence}. Check file and sha256"):
        model(described(tmp_path, file=file)).network()


@pytest.mark.parametrize("factor", [0, float("nan")])
def test_a_network_that_tells_nobody_apart_is_refused(factor: float, tmp_path: Path) -> None:
    content = onnx_networks.onnx(WEIGHTS | {"matrix": WEIGHTS["matrix"] * np.float32(factor)})
    source = model(described(tmp_path, content, known_answer=[0.0] * KNOWN_NUMBERS)).network()
    with pytest.raises(WeightsUnavailable, match="every picture the same vector"):
        OpenVinoRuntime().compile(source)


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    path = described(tmp_path)
    (tmp_path / "net.onnx").write_bytes(OTHER)
    with pytest.raises(ModelUnavailable, match=r"net\.onnx has the wrong SHA-256") as refused:
        model(path).network()
    assert f"Check file and sha256 in {path} (ONNX_MODEL)" in str(refused.value)


ONE_FACE = WEIGHTS | {"shape": np.array([1, len(WEIGHTS["matrix"])], np.int64)}


@pytest.mark.parametrize(
    ("content", "fields", "sentence"),
    [
        (b"GIF89a", {}, "file: OpenVINO cannot read it as an ONNX network"),
        (CONTENT[:-9], {}, "file: OpenVINO cannot read it as an ONNX network"),
        (CONTENT.replace(b"Relu", b"Rely"), {}, "No conversion rule found for operations: Rely"),
        (CONTENT, {"side": 160}, r"side: must fit the network, whose input is \[1,3,112,112\]"),
        (CONTENT, {"dimension": 512}, r"dimension: must fit the network, whose output is \[\?,64"),
        (onnx_networks.onnx(ONE_FACE), {}, "file: the network takes one picture at a time"),
        (CONTENT + b"\x0a\x08location\x12\x01w", {}, "weights are in other files"),
    ],
    ids=["gif", "cut", "operation", "side", "dimension", "one face", "external"],
)
def test_a_network_that_does_not_fit_is_refused(
    content: bytes, fields: dict[str, object], sentence: str, tmp_path: Path
) -> None:
    source = model(described(tmp_path, content, **fields)).network()
    with pytest.raises(WeightsUnavailable, match=sentence) as refused:
        OpenVinoRuntime().compile(source)
    assert f"{tmp_path / 'net.json'} (ONNX_MODEL): " in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_makes_other_vectors_has_another_name(tmp_path: Path) -> None:
    box = {"alignment": "box"}
    different = [{}, *FIELDS[1:], {"side": 128}, box, box | {"margin": 0.1}]
    names = [model(described(tmp_path, **fields)).name for fields in different]
    names.append(model(described(tmp_path, OTHER)).name)
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("onnx-[0-9a-f]{12}", name) for name in names)
    same = {"mean": [127.5] * 3, "scale": 128.0, "licence": "MIT", "distance_scale": 0.7}
    path = described(tmp_path, **same, known_answer=None)
    assert model(path).name == names[0]


def test_faces_are_aligned_as_described(tmp_path: Path) -> None:
    aligned = model(described(tmp_path)).alignment
    assert isinstance(aligned, LandmarkAlignment)
    assert aligned.points[2] == pytest.approx((56.5252, 72.2366))
    larger = model(described(tmp_path, side=224)).alignment
    assert isinstance(larger, LandmarkAlignment)
    assert np.array(larger.points) == pytest.approx(2 * np.array(aligned.points))
    box = model(described(tmp_path, alignment="box", margin=0.25)).alignment
    assert box == BoxAlignment(0.25)


def test_the_store_decides_which_model_runs(tmp_path: Path) -> None:
    settings = only(face_model="auto", onnx_model=described(tmp_path))
    catalogue = make_catalogue(settings)
    name = catalogue.onnx_name
    assert name
    assert choose_model("auto", {}, catalogue).name == name
    assert choose_model("auto", {name: 1}, catalogue).name == name
    assert choose_model("auto", {"dlib": 1}, catalogue).name == "dlib"
    with pytest.raises(ModelUnavailable, match=rf"onnx-0123.*net\.json makes the model {name}"):
        choose_model("auto", {"onnx-0123": 1}, catalogue)
    with pytest.raises(ModelUnavailable, match="Set ONNX_MODEL to the description"):
        choose_model("auto", {name: 1}, make_catalogue(only()))
    with pytest.raises(ModelUnavailable, match="FACE_MODEL is onnx: set ONNX_MODEL"):
        choose_model("onnx", {}, make_catalogue(only()))


def test_the_licence_is_in_the_log(tmp_path: Path) -> None:
    with capture_logs() as lines:
        model(described(tmp_path)).network()
    assert lines[-1]["licence"] == "none needed: the weights are random"


def test_a_gpu_is_refused(tmp_path: Path) -> None:
    source = model(described(tmp_path)).network()
    with pytest.raises(RuntimeUnavailable, match="runs on the CPU: set DEVICE=cpu"):
        TorchRuntime("cpu").compile(source)


def test_people_are_told_apart(runtime: Runtime, tmp_path: Path) -> None:
    """By any weights, as long as they are shown the same photo again."""
    recogniser = Recogniser(runtime, model(described(tmp_path, mirrored=True)))
    admiral, astronaut = (recogniser.for_login(photo.read_bytes()) for photo in PORTRAITS)
    assert admiral.shape == (64,)
    again = recogniser.for_enrolment(PORTRAITS[0].read_bytes()).vector
    assert np.linalg.norm(admiral - again) < 0.01
    assert np.linalg.norm(admiral - astronaut) > 0.3


PAGE = (ROOT / "docs/models.md").read_text()


@pytest.mark.parametrize("example", re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))
def test_the_examples_of_the_documentation_are_valid(example: str, tmp_path: Path) -> None:
    path = tmp_path / "net.json"
    path.write_text(example)
    assert model(path).side == 112


def test_opencv_computes_the_same_answer_as_documented(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    file = "face_recognition_sface_2021dec.onnx"
    Path(file).write_bytes(CONTENT)
    exec(program, {})
    fields = {"file": file, "mean": 0, "scale": 1}
    answer = json.loads(capsys.readouterr().out)
    source = model(described(tmp_path, **fields, known_answer=answer)).network()
    OpenVinoRuntime().compile(source)


START = """
import sys
from app.bootstrap import make_catalogue
from app.recognition.recogniser import Recogniser
from models.choice import choose_model
from models.runtime import choose_runtime
from testbed.serving import only
settings = only(face_model="onnx", onnx_model=sys.argv[1])
runtime = choose_runtime("cpu")
recogniser = Recogniser(runtime, choose_model("onnx", {}, make_catalogue(settings)))
print(recogniser.for_login(open(sys.argv[2], "rb").read()).shape)
print(sorted({"torch", "facenet_pytorch", "onnx"} & set(sys.modules)))
"""


def test_a_start_needs_neither_pytorch_nor_the_package_onnx(
    recogniser: Recogniser, tmp_path: Path
) -> None:
    process = subprocess.run(
        [sys.executable, "-c", START, str(described(tmp_path)), str(PORTRAITS[0])],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert process.stdout.splitlines()[-2:] == ["(64,)", "[]"], process.stderr
