"""Downloads files of weights. A file is used only if its SHA-256 is the expected one."""

import time
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import requests
import structlog
from tqdm import tqdm

from models.folder_lock import lock

log = structlog.get_logger()

TIMEOUT_S = 8.0, 10.0  # to connect, and for each next piece; the service cannot start meanwhile
_ATTEMPTS = 3  # a download that breaks off twice is unlikely to succeed later
_PAUSE_S = 0.5  # between attempts: lets a busy server recover
_CHUNK_BYTES = 1 << 16


class WeightsUnavailable(Exception):
    """Weights cannot be used; the message says why in one sentence."""


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """A published file of weights; `sha256` is in hexadecimal."""

    name: str
    url: str
    sha256: str


VGGFACE2 = WeightsFile(
    name="20180402-114759-vggface2.pt",
    url="https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9/20180402-114759-vggface2.pt",
    sha256="281cebca8662831adb987a874bdcb36e73f5b1c6dc5ee5878f305e985625d99b",
)


def read(path: Path, expected: str) -> bytes:
    """Return the content of the file. Raise WeightsUnavailable if it has another SHA-256."""
    try:
        if not path.is_file():  # a pipe or a device may never end
            raise WeightsUnavailable(f"{path} is {'no file' if path.exists() else 'missing'}")
        content = path.read_bytes()
    except OSError as error:
        raise WeightsUnavailable(f"{path} cannot be read: {error.strerror}") from error
    if (found := sha256(content).hexdigest()) != expected.lower():
        raise WeightsUnavailable(
            f"{path} has the wrong SHA-256: expected {expected.lower()}, found {found}"
        )
    return content


def fetch(weights: WeightsFile, folder: Path, timeout_s: tuple[float, float] = TIMEOUT_S) -> Path:
    """Return the path of the verified file in `folder`; download it first if necessary.

    If several processes start at once, one downloads. If it gets nothing, the others fail too
    instead of each waiting for its own timeout. A file with another SHA-256 stays until the right
    one is complete. Raise WeightsUnavailable.
    """
    path, part = folder / weights.name, folder / f"{weights.name}.part"
    host = urlsplit(weights.url).hostname
    if _fault(path, weights) is None:
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with lock(folder) as waited:
            fault = _fault(path, weights)
            if fault and waited and not part.exists():
                raise WeightsUnavailable(f"another process could not fetch {weights.name}: {fault}")
            if fault:
                log.info("fetching weights", host=host, reason=fault)
                _download(weights, part, timeout_s)
                part.replace(path)
                log.info("fetched weights", file=str(path))
    except requests.RequestException as error:
        cause = innermost(error)
        raise WeightsUnavailable(f"cannot fetch {weights.name} from {host}: {cause}") from error
    except OSError as error:
        raise WeightsUnavailable(f"cannot write {path}: {error.strerror}") from error
    return path


def _fault(path: Path, weights: WeightsFile) -> str | None:
    try:
        read(path, weights.sha256)
    except WeightsUnavailable as error:
        return str(error)
    return None


def _download(weights: WeightsFile, part: Path, timeout_s: tuple[float, float]) -> None:
    """Complete `part`, which may hold what an earlier download brought, and verify it."""
    for attempt in range(1, _ATTEMPTS + 1):
        done = part.stat().st_size if part.exists() else 0
        headers = {"Accept-Encoding": "identity", "Range": f"bytes={done}-"}
        # outside `try`: a host that cannot be reached is not asked again
        with requests.get(weights.url, headers=headers, stream=True, timeout=timeout_s) as answer:
            try:
                _append(answer, part, done)
                break
            except requests.RequestException as error:
                if attempt == _ATTEMPTS or 400 <= answer.status_code < 500:
                    raise
                log.warning("download interrupted", file=weights.name, reason=innermost(error))
        time.sleep(_PAUSE_S)
    if fault := _fault(part, weights):
        part.unlink(missing_ok=True)
        raise WeightsUnavailable(f"the download of {weights.name} is not used: {fault}")


def _append(answer: requests.Response, part: Path, done: int) -> None:
    """Write the answer to the file, of which `done` bytes are there already."""
    if answer.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return  # no bytes are missing
    if not answer.ok:
        raise requests.HTTPError(f"it answered {answer.status_code} {answer.reason}")
    if answer.status_code != HTTPStatus.PARTIAL_CONTENT:
        done = 0
    left = answer.raw.length_remaining
    total = done + left if left else None
    with (
        part.open("ab" if done else "wb") as file,
        # shows a bar if standard error is a terminal
        tqdm.wrapattr(file, "write", total, desc=part.stem, initial=done, disable=None) as sink,
    ):
        for chunk in answer.iter_content(_CHUNK_BYTES):
            sink.write(chunk)


def innermost(error: BaseException) -> str:
    """Return the operating system's words; outer exceptions repeat signed URLs."""
    while error.__context__ is not None:
        error = error.__context__
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
