"""No photo, vector, name, key or password is logged, whatever is asked and whatever goes wrong."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from app.access import Role
from app.access.api_keys import new_key
from testbed.employees import VECTOR_KEY
from testbed.mongod import Mongod
from testbed.serving import RunningService, free_port
from tests.support import sent_photos as photos
from tests.support.features import random_vector

PASSWORD = "correct-horse-battery"
KEY, LINE = new_key([Role.ADMIN], "the-admin")
VECTOR = random_vector(1)
WHO = {"name": "Nameofsomebody", "surname": "Surnameofsomebody"}


def requests() -> list[tuple[str, str, dict[str, Any]]]:
    """Every endpoint, as it is meant and as it is not."""
    enrolment = WHO | {"img_base64": photos.astronaut()}
    features = WHO | {"img_features": [VECTOR]}
    headers = {"Content-Type": "application/json"}
    return [
        ("POST", "/api/store/1", {"json": enrolment}),
        ("POST", "/api/store/1", {"json": enrolment}),
        ("POST", "/api/store/2", {"json": features}),
        ("PUT", "/api/store/2", {"json": features}),
        ("PUT", "/api/store/3", {"json": features}),
        ("POST", "/api/store/4", {"json": WHO | {"img_features": [VECTOR[:-1]]}}),
        ("POST", "/api/store/4", {"json": WHO | {"img_features": [VECTOR, "x"]}}),
        ("POST", "/api/store/4", {"json": WHO | {"img_features": VECTOR}}),
        ("POST", "/api/store/4", {"json": WHO | {"img_base64": photos.astronaut()[:4000]}}),
        ("POST", "/api/store/4", {"json": WHO | {"img_base64": photos.cat()}}),
        ("POST", "/api/store/4", {"json": WHO | {"img_base64": [photos.astronaut(), "?"]}}),
        ("POST", "/api/store/4", {"json": enrolment | {"name": WHO["name"] * 100}}),
        ("POST", "/api/store/4", {"data": json.dumps(enrolment)}),
        ("POST", "/api/store/4", {"data": json.dumps(enrolment)[:-1], "headers": headers}),
        ("POST", "/api/find_match", {"json": {"image_base64": photos.astronaut()}}),
        ("POST", "/api/find_match", {"json": {"image_base64": photos.admiral()}}),
        (
            "POST",
            "/api/find_match",
            {
                "json": {
                    "image_base64": photos.astronaut(),
                    "liveness": True,
                    "frames": [photos.astronaut_face()] * 15,
                }
            },
        ),
        ("POST", "/api/find_match", {"json": {"image_base64": 5}}),
        ("GET", "/api/get_all/30/1", {}),
        ("GET", "/api/get_all/x/1", {}),
        ("GET", "/api/employees/1/export", {}),
        ("GET", "/readyz", {}),
        ("GET", "/x%1b[31m%0A[info] forged=line", {}),
        ("DELETE", "/api/1", {}),
        ("DELETE", "/api/1", {}),
    ]


def secrets() -> list[bytes]:
    photo = photos.astronaut()
    numbers = np.array(VECTOR, np.float32)
    found = [KEY, PASSWORD, VECTOR_KEY, *WHO.values(), *(str(n)[:9] for n in VECTOR[:5])]
    found += [photo[start : start + 40] for start in range(0, len(photo), len(photo) // 20)]
    return [secret.encode() for secret in found] + [numbers.tobytes()[:16]]


def test_nothing_secret_is_logged_even_when_everything_is(tmp_path: Path) -> None:
    with Mongod() as mongod:
        with mongod.client() as client:
            client.admin.command("createUser", "service", pwd=PASSWORD, roles=["root"])
        mongod.stop()
        mongod.start(auth=True)
        with RunningService(
            tmp_path,
            LOG_LEVEL="debug",
            API_KEYS=LINE,
            AUDIT_LOG=str(tmp_path / "audit.log"),
            VECTOR_KEYS=VECTOR_KEY,
            REDIS_URL=f"redis://:{PASSWORD}@127.0.0.1:{free_port()}",
            KEY_REQUESTS_PER_MINUTE="100",
            MONGO_DB_URL=f"{mongod.address}/people?authSource=admin",
            MONGO_DB_USERNAME="service",
            MONGO_DB_PASSWORD=PASSWORD,
            LIVENESS_SERVICE_URL=f"http://127.0.0.1:{free_port()}",
        ) as service:
            statuses = []
            for header in ({"Authorization": f"Bearer {KEY}"}, {"X-API-Key": KEY[:-1]}):
                for method, path, options in requests():
                    sent = options | {"headers": options.get("headers", {}) | header}
                    statuses.append(service.call(method, path, **sent).status_code)
            mongod.kill()  # the database goes away in the middle
            for method, path, options in requests()[:3]:
                sent = options | {"headers": {"X-API-Key": KEY}}
                statuses.append(service.call(method, path, **sent).status_code)
    assert {200, 400, 401, 404, 406, 409, 415, 422, 503} <= set(statuses)
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    chain = written.pop(".audit.log.chain")
    assert len(chain) == 64
    assert len(written) == 2
    for name, data in written.items():
        assert len(data) > 1000
        assert b"\x1b" not in data
        assert not [line for line in data.splitlines() if line.startswith(b"[info]")]
        for secret in secrets():
            assert secret not in data, name
