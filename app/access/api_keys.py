"""API keys: create them, recognise them by their hashes, reload them while the service runs."""

import hmac
import os
import re
import secrets
import time
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from threading import Lock

import structlog

from app.access import Key, Role
from app.people_fields import GROUP

log = structlog.get_logger()

_LINE = re.compile(
    r"(?P<id>[A-Za-z0-9_-]{1,40}):(?P<roles>[a-z,]+)"
    rf"(?:@(?P<groups>{GROUP}(?:,{GROUP})*))?:(?P<sha256>[0-9a-f]{{64}})"
)
_MIN_AGE_S = 2.0  # longer than a tick of any file system's clock


class KeysError(Exception):
    """The keys cannot be read. The message names the place, and quotes no key."""


def new_key(
    roles: Iterable[Role], key_id: str | None = None, groups: Iterable[str] = ()
) -> tuple[str, str]:
    """Return a new key for its owner, and the line by which the service recognises the key.

    groups: the groups whose people exist for the key; none means everybody. Raises KeysError if the
    id or a group is malformed.
    """
    roles = sorted(set(roles))
    key_id = key_id or f"{roles[0]}-{secrets.token_hex(3)}"
    key = f"{key_id}.{secrets.token_urlsafe(32)}"
    bound = f"@{','.join(sorted(set(groups)))}" if groups else ""
    line = f"{key_id}:{','.join(roles)}{bound}:{_hash(key)}"
    if not _LINE.fullmatch(line):
        raise KeysError(
            "a key's id is 1 to 40 letters, digits, - and _; a group's name may hold . too"
        )
    return key, line


def parse(text: str) -> list[Key]:
    """Return the keys in a text. Raises KeysError for the first bad entry.

    An entry is `id:role,role:sha256`, or `id:role,role@group,group:sha256` if the key is bound to
    groups. White space separates entries, and # starts a comment.
    """
    keys: dict[str, Key] = {}
    entries = [entry for line in text.splitlines() for entry in line.partition("#")[0].split()]
    for number, entry in enumerate(entries, start=1):
        match = _LINE.fullmatch(entry)
        roles = match["roles"].split(",") if match else []
        if not match:
            raise KeysError(f"entry {number} is not of the form id:role,role:sha256")
        if unknown := [role for role in roles if role not in set(Role)]:
            raise KeysError(f"entry {number}: {unknown[0]!r} is not a role ({', '.join(Role)})")
        if match["id"] in keys:
            raise KeysError(f"entry {number}: the id {match['id']} is there twice")
        groups = frozenset(match["groups"].split(",")) if match["groups"] else None
        keys[match["id"]] = Key(match["id"], frozenset(map(Role, roles)), match["sha256"], groups)
    return list(keys.values())


class KeyRing:
    """The API keys in force. Thread-safe.

    Each process checks the file whenever a key is looked up, and reloads it if it has changed. If
    the file cannot be read, or has a bad entry, the keys in force stay and the log says why.

    required: whether requests need a key.
    """

    def __init__(self, text: str | None = None, path: Path | None = None) -> None:
        """text: the entries of API_KEYS. path: API_KEYS_FILE. Raises KeysError."""
        self._path = path
        self._signature: tuple[int, ...] = ()
        self._read_at = 0.0
        self._logged_problem = ""
        self._lock = Lock()
        self._keys: tuple[Key, ...] = ()
        name = "API_KEYS"
        if path is not None:
            name = f"the file {path} (API_KEYS_FILE)"
            try:
                self._signature, text = self._read(path)
            except (OSError, UnicodeDecodeError) as error:
                raise KeysError(f"{name} cannot be read: {_reason(error)}") from None
        try:
            keys = parse(text or "")
        except KeysError as error:
            raise KeysError(f"{name}: {error}") from None
        if not keys and text is not None:
            raise KeysError(f"{name} holds no key: make one with flask --app entry keys new")
        self._keys = tuple(keys)
        self.required = text is not None

    def find(self, presented: str) -> Key | None:
        """Return the key that was presented, or None. Takes equally long for every wrong key."""
        self._reload_if_changed()
        digest = _hash(presented)
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.sha256, digest):
                found = key
        return found

    def _reload_if_changed(self) -> None:
        if self._path is None:
            return
        with self._lock:
            try:
                # A file may change twice within one tick of its clock. So reload a file that was
                # read when its last change was still recent, even if its signature is the same.
                was_old_enough = self._read_at - self._signature[0] / 1e9 > _MIN_AGE_S
                if was_old_enough and self._signature == _signature(self._path.stat()):
                    return
                self._signature, text = self._read(self._path)
            except (OSError, UnicodeDecodeError) as error:
                self._log_problem(_reason(error))
                return
            self._replace_keys(text)

    def _replace_keys(self, text: str) -> None:
        try:
            keys = parse(text)
        except KeysError as error:
            self._log_problem(f"{error}; the keys in force stay")
            return
        self._log_problem("" if keys else "it holds no key, so every request is refused")
        if set(keys) != set(self._keys):
            self._keys = tuple(keys)
            log.info("API keys changed", keys=sorted(key.key_id for key in keys))

    def _read(self, path: Path) -> tuple[tuple[int, ...], str]:
        self._read_at = time.time()
        with path.open("rb") as file:
            return _signature(os.fstat(file.fileno())), file.read().decode("utf-8-sig")

    def _log_problem(self, problem: str) -> None:
        """Log a problem with the file, once until it changes; "" means that there is none."""
        if problem and problem != self._logged_problem:
            log.error("there is a problem with the file of API_KEYS_FILE", reason=problem)
        self._logged_problem = problem


def _signature(status: os.stat_result) -> tuple[int, ...]:
    return status.st_mtime_ns, status.st_ino, status.st_size, status.st_ctime_ns


def _hash(key: str) -> str:
    return sha256(key.encode()).hexdigest()


def _reason(error: OSError | UnicodeDecodeError) -> str:
    if isinstance(error, OSError):
        return error.strerror or "unknown error"
    return "it is not UTF-8 text"
