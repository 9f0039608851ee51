"""Client of the liveness service, which looks for a blink in a film of 15 frames."""

import json
import time
from collections.abc import Sequence
from http import HTTPStatus

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

_CONNECT_S = 2.0
_LONGEST_ANSWER = 1 << 16  # bytes


class LivenessUnavailable(Exception):
    """The liveness service did not decide; nobody may be let in.

    again: whether asking again may help.
    """

    def __init__(self, reason: str, again: bool = True) -> None:
        super().__init__(reason)
        self.again = again


class LivenessClient:
    """Asks `POST {url}/liveness_check` over pooled connections. Thread-safe.

    url: None when no liveness service is set up; then every question raises.
    """

    def __init__(self, url: str | None, timeout_s: float) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._session = requests.Session()
        self._session.trust_env = False
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=32))

    def alive(self, frames: Sequence[str]) -> bool:
        """Do the 15 base64 frames show a living face? Raises LivenessUnavailable when in doubt."""
        if self._url is None:
            raise LivenessUnavailable(
                "no liveness service is set up (LIVENESS_SERVICE_URL), ask without liveness",
                again=False,
            )
        try:
            verdict = self._ask(frames)
        except (requests.RequestException, HTTPError, ValueError, KeyError, TypeError) as error:
            raise LivenessUnavailable("the liveness service is away, try again") from error
        if not isinstance(verdict, bool):
            raise LivenessUnavailable("the liveness service gave no clear answer, try again")
        return verdict

    def _ask(self, frames: Sequence[str]) -> object:
        deadline = time.monotonic() + self._timeout_s
        with self._session.post(
            f"{self._url}/liveness_check",
            json={"frames": list(frames)},
            timeout=(min(_CONNECT_S, self._timeout_s), self._timeout_s),
            allow_redirects=False,
            stream=True,
        ) as answer:
            if answer.status_code != HTTPStatus.OK:
                return None
            body = b""
            while part := answer.raw.read1(_LONGEST_ANSWER, decode_content=True):
                body += part
                if len(body) > _LONGEST_ANSWER or time.monotonic() > deadline:
                    return None
            return json.loads(body)["result"]
