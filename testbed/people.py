"""People who enrol and log in with the photos that installed packages carry."""

import base64
from dataclasses import dataclass
from pathlib import Path

from testbed.photos import ASTRONAUT, GRACE_HOPPER
from testbed.serving import RunningService


@dataclass(frozen=True, slots=True)
class Person:
    """A person with an employee id, whose photo shows nobody else.

    key: the API key that every request sends.
    """

    employee_id: int
    name: str
    photo: Path
    key: str = ""

    def enrol(self, service: RunningService) -> None:
        """Enrol at a service. Raises AssertionError if it refuses."""
        body = {"name": self.name, "surname": "x", "img_base64": self._picture()}
        answer = self._call(service, "POST", f"/api/store/{self.employee_id}", body)
        assert answer == (200, "ok"), answer

    def replace(self, service: RunningService) -> None:
        """Enrol anew. Raises AssertionError if the service refuses."""
        body = {"name": self.name, "surname": "y", "img_base64": self._picture()}
        answer = self._call(service, "PUT", f"/api/store/{self.employee_id}", body)
        assert answer == (200, "ok"), answer

    def remove(self, service: RunningService) -> None:
        """Delete the enrolment. Raises AssertionError if the service refuses."""
        answer = self._call(service, "DELETE", f"/api/{self.employee_id}", None)
        assert answer == (200, "ok"), answer

    def is_known_to(self, service: RunningService) -> bool:
        """Return whether the person can log in. Raises AssertionError on any other answer."""
        body = {"img_base64": self._picture()}
        status, text = self._call(service, "POST", "/api/find_match", body)
        assert status in (200, 406), text
        assert status == 406 or f'"_id":{self.employee_id},' in text.replace(" ", ""), text
        return status == 200

    def _picture(self) -> str:
        return base64.b64encode(self.photo.read_bytes()).decode()

    def _call(
        self, service: RunningService, method: str, path: str, body: object
    ) -> tuple[int, str]:
        headers = {"X-API-Key": self.key} if self.key else {}
        answer = service.call(method, path, json=body, headers=headers)
        return answer.status_code, answer.text


GRACE = Person(1, "Grace", GRACE_HOPPER)
EILEEN = Person(2, "Eileen", ASTRONAUT)
