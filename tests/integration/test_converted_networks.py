"""Networks are converted once and then need no PyTorch; altered ones are not used."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from structlog.testing import capture_logs

from app.recognition.recogniser import Recogniser
from models import mtcnn
from models.catalogue import FaceModel
from models.network import NetworkSource, Runtime
from models.openvino import OpenVinoRuntime
from models.pytorch import TorchRuntime
from testbed.photos import PORTRAITS
from testbed.serving import MODELS_DIR, ROOT
from tests.support.converting import unbuildable, write_checksum

pytestmark = pytest.mark.usefixtures("calm_torch")


def pixels(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 255, (*shape, 3), np.uint8)


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a converted R-Net, in a cache of its own."""
    cache = tmp_path_factory.mktemp("converted")
    OpenVinoRuntime(cache).compile(mtcnn.refinement())
    (folder,) = cache.iterdir()
    return folder


@pytest.fixture
def cache(converted: Path, tmp_path: Path) -> Path:
    """A cache of the test's own that holds the converted R-Net."""
    shutil.copytree(converted, tmp_path / converted.name)
    return tmp_path


def expected() -> tuple[NDArray[np.float32], ...]:
    return TorchRuntime("cpu").compile(mtcnn.refinement())(pixels(5, 24, 24))


def assert_works(cache: Path, source: NetworkSource) -> None:
    outputs = OpenVinoRuntime(cache).compile(source)(pixels(5, 24, 24))
    for output, wanted in zip(outputs, expected(), strict=True):
        np.testing.assert_allclose(output, wanted, atol=1e-5)
    assert [path.name for path in (cache).iterdir()] == [next(cache.glob("rnet-*")).name]


def test_a_converted_network_is_not_built_again(cache: Path) -> None:
    assert_works(cache, unbuildable(mtcnn.refinement()))


def test_every_network_comes_out_of_the_conversion_as_this_release_knows_it(
    recogniser: Recogniser, dlib_model: FaceModel
) -> None:
    """If PyTorch or OpenVINO has another version: copy the digests from the log into the code.

    InceptionResnetV1 is tested below.
    """
    runtime = OpenVinoRuntime(MODELS_DIR / "converted")
    for source in (mtcnn.proposal(), mtcnn.refinement(), mtcnn.output(), dlib_model.network()):
        runtime.compile(unbuildable(source))


@pytest.mark.parametrize(
    ("source", "shape"),
    [
        (mtcnn.proposal, (1, 57, 83)),
        (mtcnn.refinement, (7, 24, 24)),
        (mtcnn.output, (3, 48, 48)),
    ],
    ids=["proposal", "refinement", "output"],
)
def test_both_runtimes_give_the_same(
    source: Callable[[], NetworkSource], shape: tuple[int, ...], runtime: Runtime
) -> None:
    ours = runtime.compile(source())(pixels(*shape))
    theirs = TorchRuntime("cpu").compile(source())(pixels(*shape))
    assert [output.shape for output in ours] == [output.shape for output in theirs]
    for output, wanted in zip(ours, theirs, strict=True):
        assert output.dtype == wanted.dtype == np.float32
        np.testing.assert_allclose(output, wanted, atol=1e-4)


WARM = """
import sys
from pathlib import Path
from app.recognition.recogniser import Recogniser
from app.recognition.requirements import PictureRequirements
from models.catalogue import Catalogue
from models.runtime import choose_runtime
models_dir, photo = map(Path, sys.argv[1:])
runtime = choose_runtime("cpu", models_dir / "converted")
recogniser = Recogniser(runtime, Catalogue(models_dir).get("dlib"), PictureRequirements())
print(recogniser.for_login(photo.read_bytes()).shape)
print(sorted({"torch", "torchvision", "facenet_pytorch"} & set(sys.modules)))
"""


def test_a_warm_start_and_a_login_need_no_pytorch(recogniser: Recogniser) -> None:
    process = subprocess.run(
        [sys.executable, "-c", WARM, str(MODELS_DIR), str(PORTRAITS[0])],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert process.stdout.splitlines() == ["(128,)", "[]"], process.stderr


def test_many_threads_get_what_one_gets(recogniser: Recogniser, dlib_model: FaceModel) -> None:
    network = OpenVinoRuntime(MODELS_DIR / "converted").compile(dlib_model.network())
    batches = np.random.default_rng(0).integers(0, 255, (24, 2, 150, 150, 3), np.uint8)
    alone = [network(batch)[0] for batch in batches]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda batch: network(batch)[0], batches))
    np.testing.assert_array_equal(together, alone)

    photos = [photo.read_bytes() for photo in PORTRAITS] * 6
    one_by_one = [recogniser.for_login(photo) for photo in photos]
    with ThreadPoolExecutor(8) as threads:
        at_once = list(threads.map(recogniser.for_login, photos))
    np.testing.assert_allclose(at_once, one_by_one, atol=1e-6)


CONVERT = """
import sys
from pathlib import Path
import torch
from models import mtcnn
from models.openvino import OpenVinoRuntime
runtime = OpenVinoRuntime(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
runtime.compile(mtcnn.refinement())
print("converted")
"""


def test_processes_that_convert_at_once_all_work(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CONVERT, str(cache)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:  # now both, within a millisecond
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        output, errors = process.communicate(timeout=60)
        assert output.endswith("converted\n"), errors
    assert_works(cache, unbuildable(mtcnn.refinement()))


def wipe(path: Path) -> None:
    """Zero the last tenth, as a power cut may; OpenVINO would take it without a word."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 9 // 10] + bytes(len(data) - len(data) * 9 // 10))


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def with_other_weights(folder: Path) -> None:
    weights = np.fromfile(folder / "network.bin", np.float32)
    weights[len(weights) // 2 :] *= np.float32(1.001)
    weights.tofile(folder / "network.bin")


def rewrite(old: str, new: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        path = folder / "network.xml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return write


@pytest.mark.parametrize(
    "alter",
    [
        with_other_weights,
        rewrite('type="MaxPool"', 'type="AvgPool"'),
        rewrite('strides="2, 2"', 'strides="3, 3"'),
        rewrite('kernel="3, 3"', 'kernel="2, 2"'),
        rewrite("<rt_info>", '<rt_info><runtime_options><x value="1" /></runtime_options>'),
        rewrite("self.network.conv1.bias", "another.name"),
    ],
    ids=["weights", "operation", "stride", "kernel", "hints", "name"],
)
def test_an_altered_network_is_converted_again_even_if_its_checksum_file_matches(
    alter: Callable[[Path], None], cache: Path
) -> None:
    (folder,) = cache.glob("rnet-*")
    before = (
        folder.joinpath("network.xml").read_bytes(),
        folder.joinpath("network.bin").read_bytes(),
    )
    alter(folder)
    write_checksum(folder)
    after = folder.joinpath("network.xml").read_bytes(), folder.joinpath("network.bin").read_bytes()
    assert before != after
    with capture_logs() as lines:
        assert_works(cache, mtcnn.refinement())
    assert [line["event"] for line in lines if line["log_level"] == "warning"] == [
        "a converted network is not used"
    ] * 2  # once more when it is alone in the folder


def test_files_that_are_not_text_do_no_harm(cache: Path) -> None:
    (folder,) = cache.glob("rnet-*")
    for name in ("network.xml", "sha256"):
        (folder / name).write_bytes(b"\xff\xfe\x00")
    assert_works(cache, mtcnn.refinement())


@pytest.mark.parametrize("content", [b"\xff\xfe", b"", b"f64", b"bf16\n"])
def test_a_damaged_note_of_the_precision_is_written_again(
    content: bytes, tmp_path: Path, recogniser: Recogniser, dlib_model: FaceModel
) -> None:
    for folder in (MODELS_DIR / "converted").iterdir():
        if (folder / "network.xml").is_file() and folder.name.startswith("dlib-"):
            shutil.copytree(folder, tmp_path / folder.name)
    runtime = OpenVinoRuntime(tmp_path)
    runtime.compile(unbuildable(dlib_model.network()))
    for note in tmp_path.glob("*/precision-*"):
        note.write_bytes(content)
    network = runtime.compile(unbuildable(dlib_model.network()))
    assert network(pixels(1, 150, 150))[0].shape == (1, 128)
    assert all(note.read_bytes() in (b"f32", b"bf16") for note in tmp_path.glob("*/precision-*"))


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: [path.unlink() for path in folder.iterdir()],
        lambda folder: (folder / "network.xml").unlink(),
        lambda folder: (folder / "network.bin").unlink(),
        lambda folder: half(folder / "network.xml"),
        lambda folder: half(folder / "network.bin"),
        lambda folder: wipe(folder / "network.bin"),
        lambda folder: [path.write_bytes(b"") for path in folder.iterdir()],
    ],
    ids=[
        "nothing",
        "no xml",
        "no weights",
        "half an xml",
        "half the weights",
        "wiped weights",
        "empty files",
    ],
)
def test_a_half_written_network_is_converted_again(
    damage: Callable[[Path], object], cache: Path
) -> None:
    damage(next(cache.glob("rnet-*")))
    assert_works(cache, mtcnn.refinement())


def test_a_scratch_folder_left_by_a_crash_does_no_harm(cache: Path) -> None:
    scratch = cache / "tmpcrashed" / "network"
    scratch.mkdir(parents=True)
    (scratch / "network.xml").write_bytes(b"<half")
    outputs = OpenVinoRuntime(cache).compile(mtcnn.refinement())(pixels(5, 24, 24))
    np.testing.assert_allclose(outputs[0], expected()[0], atol=1e-5)
