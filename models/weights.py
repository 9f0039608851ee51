"""Where model weights come from: a verified file, fetched once into a folder."""

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests
import structlog
from tqdm import tqdm
from urllib3.exceptions import HTTPError

if TYPE_CHECKING:
    from torch import Tensor

log = structlog.get_logger()

CHUNK = 1 << 18
LOG_EVERY_S = 5.0
MB = 1e6


class WeightsUnavailable(Exception):
    """The weights cannot be had; the message says in one sentence why."""


@dataclass(frozen=True)
class WeightsFile:
    """A published file of weights; `size` is in bytes, `sha256` in hexadecimal."""

    name: str
    url: str | None
    size: int | None
    sha256: str


@dataclass(frozen=True)
class Patience:
    """How long a download may keep its caller waiting.

    answer_s: for the first bytes of an answer, name look-up, redirects and all.
    stall_s: for the next bytes once some have come.
    attempts: requests in all, `backoff_s` apart at first and twice as long each time.
    """

    answer_s: float = 8.0
    stall_s: float = 10.0
    attempts: int = 5
    backoff_s: float = 0.5


VGGFACE2 = WeightsFile(
    name="20180402-114759-vggface2.pt",
    url="https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9/20180402-114759-vggface2.pt",
    size=111_898_327,
    sha256="281cebca8662831adb987a874bdcb36e73f5b1c6dc5ee5878f305e985625d99b",
)
DEFAULT_PATIENCE = Patience()


def fetch(weights: WeightsFile, folder: Path, patience: Patience = DEFAULT_PATIENCE) -> Path:
    """The verified file in `folder`, downloaded first if it is not there yet.

    Processes that start at once download once. A file with another hash is never used: it is
    replaced once the right one has come. Raises WeightsUnavailable.
    """
    path = folder / weights.name
    fault = _fault(path, weights.sha256)
    if fault is None:
        return path
    if weights.url is None:
        raise WeightsUnavailable(f"{fault}, and no address is known to fetch it from")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _sole_fetcher(folder / f"{weights.name}.lock"):
            fault = _fault(path, weights.sha256)
            if fault is not None:
                log.info("fetching weights", host=_host(weights.url), because=fault)
                _download(weights, weights.url, path, patience)
    except OSError as error:
        raise WeightsUnavailable(f"cannot write {path}: {_innermost(error)}") from error
    return path


def verify(path: Path, sha256: str) -> None:
    """Raise WeightsUnavailable unless the file at `path` has this SHA-256 (hexadecimal)."""
    fault = _fault(path, sha256)
    if fault is not None:
        raise WeightsUnavailable(fault)


def load_state_dict(path: Path, data: bytes | None = None) -> "dict[str, Tensor]":
    """The tensors of a PyTorch state dict, on the CPU; runs no code that the file may carry.

    data: what was read from the file already.
    Raises WeightsUnavailable for a file that is anything else.
    """
    import torch  # a start with converted networks needs no PyTorch

    try:
        state = torch.load(
            path if data is None else BytesIO(data), map_location="cpu", weights_only=True
        )
    except Exception as error:  # a file of any bytes makes the unpickler raise nearly anything
        cause = type(error).__name__  # the whole message is a page about unpickling
        raise WeightsUnavailable(f"{path} is not a PyTorch state dict ({cause})") from error
    if not isinstance(state, dict) or not state:
        raise WeightsUnavailable(f"{path} holds a {type(state).__name__}, not a state dict")
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise WeightsUnavailable(f"{path} is not a state dict: {name!r} is not a tensor")
    return dict(state)


def _fault(path: Path, sha256: str) -> str | None:
    """What keeps this file from being used, None when nothing does."""
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return f"{path} is missing"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    if found != sha256.lower():
        return f"{path} has the wrong SHA-256: expected {sha256.lower()}, found {found}"
    return None


@contextmanager
def _sole_fetcher(lock: Path) -> Iterator[None]:
    """Hold the lock file; after waiting for a process that failed, fail as it did.

    Otherwise every worker of an offline start would wait its own time out, one after the other.
    """
    with lock.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("waiting for another process to fetch the weights", lock=str(lock))
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            if failure := file.read():
                raise WeightsUnavailable(failure) from None
        file.truncate(0)
        try:
            yield
        except WeightsUnavailable as failure:
            file.write(str(failure))
            raise


def _download(weights: WeightsFile, url: str, path: Path, patience: Patience) -> None:
    part = path.with_name(f"{path.name}.part")
    for _ in range(2):  # pieces may be of two versions of the file: then once more from the start
        whole = _receive(weights, url, part, patience)
        fault = _fault(part, weights.sha256)
        if fault is None:
            part.replace(path)
            log.info("weights fetched", file=str(path))
            return
        log.warning("what was fetched is not used", cause=fault)
        part.unlink()
        if whole:
            break
    raise WeightsUnavailable(f"what {_host(url)} sent is not used: {fault}")


def _receive(weights: WeightsFile, url: str, part: Path, patience: Patience) -> bool:
    """Make `part` complete; True when a single answer brought all of it."""
    cause, reached = "", False
    for attempt in range(patience.attempts):
        if attempt:
            time.sleep(patience.backoff_s * 2 ** (attempt - 1))
        try:
            return _receive_rest(weights, url, part, patience)
        except _CutOff as cut:
            cause, reached = str(cut), reached or isinstance(cut, _Interrupted)
            if not reached:
                break
            log.warning("download cut off", file=weights.name, cause=cause, attempt=attempt + 1)
    raise WeightsUnavailable(f"cannot fetch {weights.name} from {_host(url)}: {cause}")


def _receive_rest(weights: WeightsFile, url: str, part: Path, patience: Patience) -> bool:
    """One request for what `part` lacks; True when the answer was the whole file."""
    offset = part.stat().st_size if part.exists() else 0
    response, first = _ask(url, offset, patience)
    with response:
        status = response.status_code
        if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and offset:
            return False  # nothing is lacking
        if status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
            busy = status >= 500 or status == HTTPStatus.TOO_MANY_REQUESTS
            raise (_Interrupted if busy else _CutOff)(f"it answered {status} {response.reason}")
        whole = status == HTTPStatus.OK
        offset = 0 if whole else offset
        total = _total_size(response)
        if total and weights.size and total != weights.size:
            raise _CutOff(f"it offers {total} bytes, the file has {weights.size}")
        lacking, free = (total or 0) - offset, shutil.disk_usage(part.parent).free
        if lacking > free:
            raise _CutOff(
                f"{lacking / MB:.0f} MB are needed in {part.parent}, {free / MB:.0f} MB are free"
            )
        chunks = _shown(_body(response, first), weights.name, offset, total)
        with part.open("wb" if whole else "ab") as file:
            file.writelines(chunks)
            file.flush()
            os.fsync(file.fileno())
    return whole


def _ask(url: str, offset: int, patience: Patience) -> tuple[requests.Response, bytes]:
    """The answer and the first bytes of its body.

    In a thread of its own because a name look-up, several addresses or a trickle of headers
    outlast any timeout of a socket.
    """
    headers = {"Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    answer: Future[tuple[requests.Response, bytes]] = Future()

    def ask() -> None:
        try:
            timeout = (patience.answer_s, patience.stall_s)
            response = requests.get(url, headers=headers, stream=True, timeout=timeout)
            answer.set_result((response, response.raw.read1(CHUNK)))
        except Exception as error:
            answer.set_exception(error)

    Thread(target=ask, name="weights-download", daemon=True).start()
    try:
        return answer.result(timeout=patience.answer_s)
    except TimeoutError as error:
        raise _CutOff(f"no answer within {patience.answer_s:g} s") from error
    except (OSError, HTTPError) as error:
        raise _CutOff(_innermost(error)) from error


class _CutOff(Exception):
    """A request that did not bring everything."""


class _Interrupted(_CutOff):
    """The same from a host that is there: asking again may help."""


def _body(response: requests.Response, chunk: bytes) -> Iterator[bytes]:
    """The chunk read already and those that follow, as they come in."""
    while chunk:
        yield chunk
        try:
            chunk = response.raw.read1(CHUNK)
        except HTTPError as error:
            raise _Interrupted(_innermost(error)) from error


def _shown(chunks: Iterator[bytes], name: str, done: int, total: int | None) -> Iterator[bytes]:
    """The same chunks; shows a bar on a terminal, elsewhere a log line every few seconds."""
    next_line = time.monotonic() + LOG_EVERY_S
    with tqdm(desc=name, initial=done, total=total, unit="B", unit_scale=True, disable=None) as bar:
        for chunk in chunks:
            yield chunk
            done += len(chunk)
            bar.update(len(chunk))
            if bar.disable and time.monotonic() >= next_line:
                next_line = time.monotonic() + LOG_EVERY_S
                percent = round(100 * done / total) if total else None
                log.info("fetching weights", file=name, bytes=done, percent=percent)


def _total_size(response: requests.Response) -> int | None:
    """Bytes of the whole file, as far as the answer says."""
    if response.status_code == HTTPStatus.PARTIAL_CONTENT:
        size = response.headers.get("Content-Range", "").rpartition("/")[2]
    else:
        size = response.headers.get("Content-Length", "")
    return int(size) if size.isdecimal() else None


def _innermost(error: BaseException) -> str:
    """What the operating system said; the outer layers repeat signed addresses."""
    while error.__context__ is not None:
        error = error.__context__
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _host(url: str) -> str:
    return urlsplit(url).hostname or url
