"""What people type and press in the console: numbers, the same button twice, unusable files."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from app.access import Role
from app.access.api_keys import new_key
from testbed.browser import Browser
from testbed.photos import ASTRONAUT, GRACE_HOPPER
from testbed.serving import RunningService
from tests.support.console import console, enrol, give, told

LARGEST = 999_999_999_999_999  # the largest id that the page takes; numbers are exact up to 2^53
BEYOND = 999_999_999_999_999_999  # JavaScript makes a round number of it


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with RunningService(tmp_path_factory.mktemp("entries")) as running:
        yield running


def put(service: RunningService, employee_id: int, photo: Path, name: str) -> None:
    with photo.open("rb") as file:
        path = f"/api/v2/employees/{employee_id}"
        answer = service.call("PUT", path, data={"name": name}, files={"photos": file})
    assert answer.ok, answer.text


def test_the_one_who_was_enrolled_is_deleted(browser: Browser, service: RunningService) -> None:
    with browser.tab() as tab:
        page = console(tab, service)
        page.locator("input[type=file]").set_input_files(GRACE_HOPPER)
        number = page.get_by_label("Employee number")
        page.get_by_text("Choose a number").click()
        for wrong in ("007", str(BEYOND)):
            number.fill(wrong)
            page.get_by_text("Choose a number").click()
            page.get_by_label("First name").fill("Grace")
            tab.click("Enrol me")
            expect(number).to_be_focused()  # the browser says what is wrong with it
        number.fill(str(LARGEST))
        enrol(tab)
        expect(page.get_by_text(f"Employee number {LARGEST}")).to_be_visible()
        expect(page.get_by_role("button", name="Enrol me")).to_have_count(0)
        tab.click("Delete my enrolment")
        page.get_by_role("dialog").get_by_role("button", name="Delete my enrolment").click()
        gone = page.get_by_text("is no longer enrolled.")
        expect(gone.locator("xpath=..")).to_be_focused()
        assert service.call("GET", f"/api/v2/employees/{LARGEST}").status_code == 404
        expect(page.get_by_role("button", name="Enrol me")).to_be_enabled()


def test_whoever_is_enrolled_twice_is_told_which_number_to_delete(
    browser: Browser, service: RunningService
) -> None:
    put(service, BEYOND, GRACE_HOPPER, "Grace")
    time.sleep(1)  # the service tells the time of an enrolment in whole seconds
    put(service, 7, GRACE_HOPPER, "Hopper")
    put(service, 8, ASTRONAUT, "Eileen")
    with browser.tab() as tab:
        page = console(tab, service)
        page.locator("input[type=file]").set_input_files(GRACE_HOPPER)
        tab.click("Log in")
        text = told(tab, "Not logged in")
        assert f"Numbers {BEYOND} (\u2068Grace\u2069) and 7 (\u2068Hopper\u2069)" in text
        assert "delete number 7, the later one." in text
        expect(page.locator(".verdict")).to_be_focused()
        expect(page.locator(".scale .mark.good")).to_have_count(1)
        service.call("DELETE", "/api/7")
        tab.click("Log in")
        assert "Numbers" not in told(tab, "Welcome")
    for number in (8, BEYOND):
        service.call("DELETE", f"/api/{number}")


def test_a_file_that_is_no_photo_leaves_the_stage_empty(
    browser: Browser, service: RunningService
) -> None:
    with browser.tab() as tab:
        page = console(tab, service)
        page.locator("input[type=file]").set_input_files(Path(__file__))
        expect(page.get_by_text("The service cannot read this file as a photo.")).to_be_visible()
        expect(page.get_by_role("button", name="Start the camera")).to_be_visible()
        expect(page.get_by_text("Start the camera or choose a photo first.")).to_have_count(2)
        assert page.locator(".message:visible").count() == 1
        page.locator("input[type=file]").set_input_files(GRACE_HOPPER)
        tab.click("Remove the photo")
        expect(page.get_by_role("button", name="Log in")).to_be_disabled()


def test_an_enrol_key_is_not_told_to_log_in(browser: Browser, tmp_path: Path) -> None:
    key, line = new_key([Role.ENROL])
    with RunningService(tmp_path, API_KEYS=line) as service, browser.tab() as tab:
        page = console(tab, service)
        expect(page.get_by_text("This service needs an API key.")).to_be_visible()
        assert not [address for address in tab.requested if "/api/" in address]
        give(page, key)
        page.locator("input[type=file]").set_input_files(GRACE_HOPPER)
        page.get_by_label("First name").fill("Grace")
        tab.click("Enrol me")
        expect(page.get_by_text("is enrolled.", exact=False)).to_be_visible()
        expect(page.get_by_text("Now log in.")).to_have_count(0)
