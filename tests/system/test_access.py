"""Keys come and go while the service runs."""

from pathlib import Path

from app.access import Role
from app.access.api_keys import new_key
from testbed.serving import RunningService
from tests.support.features import random_vector

ENROLMENT = {"name": "Grace", "surname": "Hopper", "img_features": [random_vector(1)]}

KEYS = {role.value: new_key([role]) for role in Role}


def bearer(who: str) -> dict[str, str]:
    if who == "nobody":
        return {}
    return {"Authorization": f"Bearer {KEYS[who][0] if who in KEYS else 'login-1.abc'}"}


def test_without_keys_everything_is_open_and_the_start_says_so(tmp_path: Path) -> None:
    with RunningService(tmp_path) as service:
        assert "OPEN TO EVERYONE" in service.log
        assert service.call("POST", "/api/store/1", json=ENROLMENT).status_code == 200
        (user,) = service.call("GET", "/api/get_all/30/1").json()["users"]
        assert len(user["img"][0]) == 128
        assert service.call("DELETE", "/api/1").status_code == 200


def test_keys_are_added_and_removed_while_several_workers_run(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(KEYS["admin"][1])
    with RunningService(tmp_path, API_KEYS_FILE=str(path), WORKERS="2") as service:
        service.wait_workers(2)

        def statuses(who: str) -> set[int]:
            # often enough that each worker is asked
            return {
                service.call("GET", "/api/get_all/30/1", headers=bearer(who)).status_code
                for _ in range(12)
            }

        assert "OPEN TO EVERYONE" not in service.log
        assert statuses("admin") == {200}
        assert statuses("enrol") == {401}
        large = service.call("POST", "/api/find_match", data=b"x" * 20_000_000)
        assert (large.status_code, large.text[:15]) == (401, "send an API key")
        swapped(path, f"{KEYS['admin'][1]}\n{KEYS['enrol'][1]}\n")
        assert statuses("enrol") == {200}
        swapped(path, KEYS["admin"][1])
        assert statuses("enrol") == {401}
        assert statuses("admin") == {200}
        assert all(key not in service.log for key, _ in KEYS.values())


def swapped(path: Path, text: str) -> None:
    """As secrets are mounted: another file takes the name."""
    successor = path.with_suffix(".new")
    successor.write_text(text)
    successor.rename(path)
