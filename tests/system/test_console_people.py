"""The page People in a real browser: find, show, change, enrol and remove people."""

import base64
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from playwright.sync_api import Page, expect

from testbed import company
from testbed.browser import Browser, Tab
from testbed.photos import ASTRONAUT, GRACE_HOPPER, WITHOUT_FACE, encoded
from testbed.serving import RunningService
from tests.support import sent_photos as photos

PEOPLE = 28
SMALL_PX = 54  # side of a face that QUALITY=standard accepts, and strict does not
PATH = "/api/v2/employees"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with RunningService(tmp_path_factory.mktemp("people")) as running:
        company.found(running, PEOPLE)
        yield running


@pytest.fixture
def tab(browser: Browser, service: RunningService) -> Iterator[Tab]:
    """A tab in which nothing goes wrong; Grace and Eileen are not enrolled."""
    for number in (17, 18):
        service.call("DELETE", f"/api/{number}")
    with browser.tab() as opened:
        yield opened
        assert opened.faults == []
        assert opened.hosts <= {f"127.0.0.1:{service.port}", ""}  # "" is a file that it saves


def show(tab: Tab, service: RunningService, address: str = "people") -> Page:
    page = tab.open(f"{service.url}/console/#{address}")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    return page


def enrolled(service: RunningService, number: int = 17) -> None:
    """Enrol Grace with one sample."""
    body = {"name": "Grace", "surname": "Hopper", "photos": [photos.admiral()]}
    assert service.call("PUT", f"{PATH}/{number}", json=body).ok


def stored(service: RunningService, number: int = 17) -> dict[str, object]:
    found: dict[str, object] = service.call("GET", f"{PATH}/{number}").json()
    return found


def test_the_table_is_turned_and_searched(tab: Tab, service: RunningService) -> None:
    page = show(tab, service)
    total = PEOPLE + company.TWICE
    expect(page.get_by_text(f"1 to 25 of {total}")).to_be_visible()
    expect(page.locator("tbody tr")).to_have_count(25)
    expect(page.get_by_role("button", name="Previous")).to_be_disabled()
    tab.click("Next")
    expect(page.get_by_text(f"26 to {total} of {total}")).to_be_visible()
    expect(page.locator("tbody tr")).to_have_count(total - 25)
    expect(page.get_by_role("button", name="Next")).to_be_disabled()
    tab.click("Previous")
    expect(page.get_by_text(f"1 to 25 of {total}")).to_be_visible()
    page.get_by_label("Name").fill("a love")
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(5)  # Ada and Alan have two numbers
    page.get_by_label("Group").fill("lab")
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("link", name="Annie Lovelace").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Annie Lovelace")
    page.get_by_role("link", name="All people").click()
    expect(page.get_by_label("Name")).to_have_value("a love")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_label("Name").fill("nobody")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nobody is found.")).to_be_visible()


def test_a_folder_is_enrolled_and_refusals_say_why(
    tab: Tab, service: RunningService, tmp_path: Path
) -> None:
    for folder, photo in (
        ("17_Grace_Hopper", GRACE_HOPPER),
        ("17_Grace_Hopper", WITHOUT_FACE[1]),
        ("18 Eileen Collins", ASTRONAUT),
        ("19_Chelsea_Cat", WITHOUT_FACE[0]),
        (f"{company.FIRST}_Taken", ASTRONAUT),
        ("unnamed", ASTRONAUT),
    ):
        (tmp_path / "all" / folder).mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, tmp_path / "all" / folder)
    page = show(tab, service)
    page.get_by_role("link", name="Enrol people").click()
    page.locator("input[webkitdirectory]").set_input_files(tmp_path / "all")
    expect(page.get_by_text("5 of 5 people done: 2 enrolled, 3 refused.")).to_be_visible()
    rows = page.locator(".outcomes li")
    for name, said in (
        ("Grace Hopper", "coffee.png: No face was found in the picture."),
        ("Eileen Collins", "enrolled, photos: 1"),
        ("Chelsea Cat", "No face was found in the picture."),
        ("Taken", "Somebody is enrolled under this number already."),
        ("unnamed", "Name the folder with a number and a name, like 17_Grace_Hopper."),
    ):
        expect(rows.filter(has_text=name)).to_contain_text(said)
    assert len(stored(service)["samples"]) == 1
    assert stored(service, 18)["surname"] == "Collins"
    assert stored(service, company.FIRST)["name"] == "Ada"


def test_a_dropped_folder_is_enrolled(tab: Tab, service: RunningService, tmp_path: Path) -> None:
    folder = tmp_path / "17_Grace_Hopper"
    folder.mkdir()
    shutil.copy(GRACE_HOPPER, folder)
    page = show(tab, service, "people?enrol")
    place = page.locator(".drop").bounding_box()
    assert place
    session = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        given = {"items": [], "files": [str(folder)], "dragOperationsMask": 1}
        at = {"x": place["x"] + 20, "y": place["y"] + 20}
        session.send("Input.dispatchDragEvent", {"type": kind, "data": given, **at})
    expect(page.get_by_text("1 of 1 people done: 1 enrolled")).to_be_visible()
    assert stored(service)["surname"] == "Hopper"


def test_one_person_is_enrolled_by_a_form(tab: Tab, service: RunningService) -> None:
    page = show(tab, service, "people?enrol")
    page.get_by_label("First name").fill("Grace")
    page.get_by_label("Employee number").fill("17")
    page.get_by_label("Groups").fill("navy, staff")
    page.get_by_label("Photos").set_input_files([GRACE_HOPPER])
    tab.click("Enrol this person")
    page.get_by_role("link", name="Grace").click()
    expect(page.get_by_text("Employee number 17")).to_be_visible()
    assert stored(service)["groups"] == ["navy", "staff"]


def test_a_person_is_renamed_given_samples_and_removed(tab: Tab, service: RunningService) -> None:
    enrolled(service)
    page = show(tab, service, "people?id=17")
    page.get_by_label("Surname").fill("Murray Hopper")
    page.get_by_label("Groups").fill("navy")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Grace Murray Hopper")).to_be_visible()
    assert stored(service)["groups"] == ["navy"]
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(1)
    add = page.locator("input[type=file]")
    add.set_input_files(WITHOUT_FACE[1])
    expect(page.get_by_text("No face was found in the picture.")).to_be_visible()
    add.set_input_files(ASTRONAUT)
    expect(page.get_by_text("The photos do not show the same person.")).to_be_visible()
    add.set_input_files(GRACE_HOPPER)
    expect(page.get_by_text("The photo is added as a sample.")).to_be_visible()
    expect(rows).to_have_count(2)
    expect(rows.last.get_by_role("cell", name="a good photo", exact=True)).to_be_visible()
    dialog = page.get_by_role("dialog")

    def remove_sample() -> None:
        tab.click("Remove sample 1")
        dialog.get_by_role("button", name="Remove sample").click()

    remove_sample()
    expect(page.get_by_text("The sample is removed.")).to_be_visible()
    expect(rows).to_have_count(1)
    remove_sample()
    expect(page.get_by_text("nobody is recognised without one. Add another photo")).to_be_visible()
    expect(rows).to_have_count(1)
    with page.expect_download() as saved:
        tab.click("Download as JSON")
    assert saved.value.suggested_filename == "employee-17.json"
    assert json.loads(saved.value.path().read_text())["surname"] == "Murray Hopper"
    tab.click("Remove this person")
    dialog.get_by_role("button", name="Cancel").click()
    assert stored(service)["name"] == "Grace"
    tab.click("Remove this person")
    dialog.get_by_role("button", name="Remove this person").click()
    expect(page.get_by_text("is removed.")).to_be_visible()
    assert service.call("GET", f"{PATH}/17").status_code == 404


def test_who_has_no_good_photo_is_to_add_one(tab: Tab, service: RunningService) -> None:
    asked = {"photo": photos.astronaut()}
    (face, *_) = service.call("POST", "/api/v2/faces", json=asked).json()["faces"]
    with Image.open(ASTRONAUT) as photo:
        small = ImageOps.scale(photo.convert("RGB"), SMALL_PX / face["quality"]["size_px"])
    body = {"name": "Eileen", "photos": [base64.b64encode(encoded(np.asarray(small))).decode()]}
    assert service.call("PUT", f"{PATH}/17", json=body).ok
    page = show(tab, service, "people?id=17")
    advice = page.get_by_text("No photo was a good one: add a better one.")
    expect(page.get_by_role("cell", name="a fair photo")).to_be_visible()
    expect(advice).to_be_visible()
    page.locator("input[type=file]").set_input_files(ASTRONAUT)
    expect(page.get_by_role("cell", name="a good photo")).to_be_visible()
    expect(advice).to_have_count(0)


def test_two_administrators_do_not_undo_each_other(tab: Tab, service: RunningService) -> None:
    enrolled(service)
    page = show(tab, service, "people?id=17")
    page.get_by_label("Surname").fill("Mine")
    assert service.call("PATCH", f"{PATH}/17", json={"surname": "Theirs"}).ok
    tab.click("Save")
    expect(page.get_by_text("Somebody else has changed this person meanwhile")).to_be_visible()
    expect(page.get_by_label("Surname")).to_have_value("Theirs")
    assert stored(service)["surname"] == "Theirs"
    page.get_by_label("Surname").fill("Mine")
    tab.click("Save")
    expect(page.get_by_role("heading", name="Grace Mine")).to_be_visible()
    assert service.call("PATCH", f"{PATH}/17", json={"surname": "Theirs"}).ok
    tab.click("Remove this person")
    page.get_by_role("dialog").get_by_role("button", name="Remove this person").click()
    expect(page.get_by_text("Somebody else has changed this person meanwhile")).to_be_visible()
    assert stored(service)["surname"] == "Theirs"


def test_long_numbers_are_exact(tab: Tab, service: RunningService) -> None:
    number = 2**53 + 1  # JavaScript would round it
    enrolled(service, number)
    page = show(tab, service)
    page.get_by_label("Name").fill("grace")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Grace Hopper").click()
    expect(page.get_by_text(f"Employee number {number}")).to_be_visible()
    tab.click("Remove this person")
    page.get_by_role("dialog").get_by_role("button", name="Remove this person").click()
    expect(page.get_by_text("is removed.")).to_be_visible()
    assert service.call("GET", f"{PATH}/{number}").status_code == 404
