"""API keys and their file, which may change."""

from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.access import Role
from app.access.api_keys import KeyRing, KeysError, new_key

KEYS = {role.value: new_key([role]) for role in Role}


def lines(*names: str) -> str:
    return "\n".join(KEYS[name][1] for name in names)


Change = Callable[[Path], object]


@pytest.mark.parametrize(
    ("change", "in_force", "complaint"),
    [
        pytest.param(lambda path: path.write_text(lines("login")), {"login"}, None, id="fewer"),
        pytest.param(
            lambda path: path.write_text(lines("login", "admin", "enrol")),
            {"login", "enrol", "admin"},
            None,
            id="more",
        ),
        pytest.param(lambda path: path.unlink(), {"login", "admin"}, "No such file", id="missing"),
        pytest.param(
            lambda path: path.write_bytes(b"\xff\xfe"), {"login", "admin"}, "UTF-8", id="no text"
        ),
        pytest.param(lambda path: path.write_text(""), set(), "no key", id="empty"),
        pytest.param(
            lambda path: path.write_text(lines("enrol", "login") + "\nx:admin:nonsense"),
            {"login", "admin"},
            "entry 3",
            id="one entry is broken",
        ),
        pytest.param(
            lambda path: path.write_text(lines("login").replace(":login:", ":admin:") + " broken"),
            {"login", "admin"},
            "entry 2",
            id="promoted in a broken file",
        ),
    ],
)
def test_a_file_that_changes(
    tmp_path: Path,
    change: Change,
    in_force: set[str],
    complaint: str | None,
) -> None:
    path = tmp_path / "keys"
    path.write_text(lines("login", "admin"))
    ring = KeyRing(path=path)
    assert ring.find(KEYS["enrol"][0]) is None
    with capture_logs() as logged:
        change(path)
        found = {role: ring.find(key) for role, (key, _) in KEYS.items()}
    assert {role for role, key in found.items() if key and key.may(Role(role))} == in_force
    if complaint:
        assert complaint in str(logged)
    path.write_text(lines(*KEYS))
    assert all(ring.find(key) for key, _ in KEYS.values())


def test_changes_in_quick_succession_are_all_seen(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(lines("login"))
    ring = KeyRing(path=path)
    for _ in range(200):
        for name in ("admin", "enrol"):  # files of the same length
            path.write_text(lines(name))
            assert ring.find(KEYS[name][0])


def test_what_cannot_be_read_at_the_start_stops_it(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    with pytest.raises(KeysError, match=f"{path} .API_KEYS_FILE. cannot be read: No such file"):
        KeyRing(path=path)
    for text, sentence in [
        ("", "holds no key: make one with flask --app entry keys new"),
        ("a:login:" + "0" * 63, "entry 1 is not of the form"),
        ("a:boss:" + "0" * 64, "entry 1: 'boss' is not a role"),
        (f"{lines('login')} {lines('login')}", "entry 2: the id .* is there twice"),
    ]:
        path.write_text(text)
        with pytest.raises(KeysError, match=sentence) as caught:
            KeyRing(path=path)
        assert str(path) in str(caught.value)
        with pytest.raises(KeysError, match=f"API_KEYS:? .*{sentence}|API_KEYS:? {sentence}"):
            KeyRing(text)


def test_a_key_may_have_several_roles() -> None:
    key, line = new_key([Role.LOGIN, Role.ENROL], "reception")
    found = KeyRing(f"{lines('admin')} {line}").find(key)
    assert found is not None
    assert found.key_id == "reception"
    assert found.may(Role.LOGIN)
    assert found.may(Role.ENROL)
    assert not found.may(Role.ADMIN)
    assert key not in line
