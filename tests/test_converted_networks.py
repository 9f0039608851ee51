"""Networks are converted once, whoever asks, and then need no PyTorch."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from app.recognition.recogniser import Recogniser
from models import mtcnn
from models.catalogue import FaceModel
from models.openvino import OpenVinoRuntime
from models.runtime import NetworkSource, TorchRuntime
from tests.photos import PORTRAITS
from tests.serving import MODELS_DIR, ROOT

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


def unbuildable(source: NetworkSource) -> NetworkSource:
    """The same network for those who have it converted already."""

    def build() -> None:
        pytest.fail("the network was converted again")

    return NetworkSource(source.name, source.fingerprint, source.side, build, source.embeds)


def expected() -> tuple[NDArray[np.float32], ...]:
    return TorchRuntime("cpu").compile(mtcnn.refinement())(pixels(5, 24, 24))


def assert_works(cache: Path, source: NetworkSource) -> None:
    outputs = OpenVinoRuntime(cache).compile(source)(pixels(5, 24, 24))
    for output, wanted in zip(outputs, expected(), strict=True):
        np.testing.assert_allclose(output, wanted, atol=1e-5)
    assert [path.name for path in (cache).iterdir()] == [next(cache.glob("rnet-*")).name]


def test_a_converted_network_is_not_built_again(cache: Path) -> None:
    assert_works(cache, unbuildable(mtcnn.refinement()))


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
    source: Callable[[], NetworkSource], shape: tuple[int, ...], runtime: OpenVinoRuntime
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
from app.recognition.recogniser import Limits, Recogniser
from models.catalogue import Catalogue
from models.runtime import choose_runtime
models_dir, photo = map(Path, sys.argv[1:])
runtime = choose_runtime("cpu", models_dir / "converted")
recogniser = Recogniser(runtime, Catalogue(models_dir).get("dlib"), Limits())
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


def test_many_threads_get_what_one_gets(
    recogniser: Recogniser, runtime: OpenVinoRuntime, dlib_model: FaceModel
) -> None:
    network = runtime.compile(dlib_model.network)
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
def test_what_a_crash_left_half_written_is_made_anew(
    damage: Callable[[Path], object], cache: Path
) -> None:
    damage(next(cache.glob("rnet-*")))
    assert_works(cache, mtcnn.refinement())


def test_what_a_crash_left_in_the_cache_does_no_harm(cache: Path) -> None:
    scratch = cache / "tmpcrashed" / "network"
    scratch.mkdir(parents=True)
    (scratch / "network.xml").write_bytes(b"<half")
    outputs = OpenVinoRuntime(cache).compile(mtcnn.refinement())(pixels(5, 24, 24))
    np.testing.assert_allclose(outputs[0], expected()[0], atol=1e-5)
