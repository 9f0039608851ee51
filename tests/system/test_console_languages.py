"""The console in another language: all words change, and what a person does there goes on."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from testbed import company
from testbed.browser import Browser
from testbed.people import EILEEN, GRACE
from testbed.photos import ASTRONAUT, GRACE_HOPPER, WITHOUT_FACE
from testbed.serving import RunningService
from tests.support.console import start, told

PEOPLE = 40
PAGES = ("start", "people", "people?id=1", "people?enrol", "attempts", "health", "system", "try")
TRACK = "document.querySelector('video').srcObject.getVideoTracks()[0]"
SAID = """() => [
    document.title,
    document.body.textContent,
    ...[...document.querySelectorAll("[aria-label]")].map((each) => each.ariaLabel),
].join("|")"""
CHANGES = re.compile(r"\d[\d.,]*| (Sekunden?|Minuten?)")  # from moment to moment, on System


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service that has measured its company, let Grace in and refused Eileen."""
    folder = tmp_path_factory.mktemp("languages")
    log = str(folder / "audit.log")
    with RunningService(folder, AUDIT_LOG=log) as first:
        company.found(first, PEOPLE)
        GRACE.enrol(first)
        for person in (GRACE, EILEEN):
            person.is_known_to(first)
    # started anew, it measures its gallery at once
    with RunningService(folder, AUDIT_LOG=log) as running:
        yield running


def show(page: Page, service: RunningService, address: str) -> None:
    """Open a page of the console, and wait until all of it is there."""
    page.goto("about:blank")
    page.goto(f"{service.url}/console/#{address}")
    expect(page.locator("main h1")).to_be_visible()
    expect(page.locator("main [aria-busy=true]")).to_have_count(0)


def speak(page: Page, language: str) -> None:
    """Choose a language; wait until it is spoken."""
    choice = page.locator("header select")
    choice.select_option(language)
    expect(page.locator(f"html[lang={language}]")).to_have_count(1)
    expect(choice).to_have_value(language)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_as_if_it_had_been_opened_in_that_language(
    browser: Browser, service: RunningService, name: str
) -> None:
    said = []
    for language in ("en", "de"):
        with browser.tab(language=language) as tab:
            show(tab.page, service, name)
            if language == "en":
                speak(tab.page, "it")
                speak(tab.page, "de")
            text = tab.page.evaluate(SAID)
            said.append(CHANGES.sub("", text) if name == "system" else text)
            assert tab.faults == []
    assert said[0] == said[1]


def test_the_camera_runs_on_and_what_was_typed_stays(
    browser: Browser, service: RunningService
) -> None:
    browser.webcam.show(GRACE_HOPPER)
    with browser.tab() as tab:
        page = tab.page
        show(page, service, "start")
        start(tab)
        page.get_by_label("First name").fill("Grace")
        page.get_by_text("Check more than the face").click()
        page.get_by_label("Fraud detection").check()
        camera = page.evaluate(f"{TRACK}.id")
        speak(page, "de")
        assert page.evaluate(f"[{TRACK}.id, {TRACK}.readyState]") == [camera, "live"]
        expect(page.get_by_label("Sprache")).to_be_visible()
        expect(page.get_by_label("Vorname")).to_have_value("Grace")
        expect(page.locator(".guidance")).to_have_text("Gut so, still halten")
        page.get_by_label("Betrugserkennung").uncheck()  # it is still ticked
        tab.click("Anmelden")
        told(tab, "Willkommen")
        speak(page, "en")
        told(tab, "Welcome")
        assert tab.faults == []


def test_a_search_that_is_not_sent_yet_stays(browser: Browser, service: RunningService) -> None:
    with browser.tab() as tab:
        page = tab.page
        show(page, service, "people")
        tab.click("Next")
        turned = page.locator("tbody tr")
        expect(turned).to_have_count(PEOPLE + company.TWICE + 1 - 25)
        page.get_by_label("Name").fill("lovelace")
        before = len(tab.requested)
        speak(page, "it")
        assert all("/strings/" in address for address in tab.requested[before:])
        expect(page.get_by_role("searchbox").first).to_have_value("lovelace")
        expect(turned).to_have_count(PEOPLE + company.TWICE + 1 - 25)


def test_an_enrolment_goes_on_and_a_filled_form_stays(
    browser: Browser, service: RunningService, tmp_path: Path
) -> None:
    for name, photo in (("17_Eileen", ASTRONAUT), ("18_Nobody", WITHOUT_FACE[1])):
        (tmp_path / name).mkdir()
        (tmp_path / name / photo.name).write_bytes(photo.read_bytes())
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    with browser.tab() as tab:
        page = tab.page
        show(page, service, "people?enrol")
        page.get_by_label("Groups").fill("navy")
        page.get_by_label("Photos").set_input_files([GRACE_HOPPER])
        page.route("**/api/v2/employees/17", hold)
        page.locator("input[webkitdirectory]").set_input_files(tmp_path)
        expect(page.get_by_text("0 of 2 people done")).to_be_visible()
        speak(page, "de")
        expect(page.get_by_text("0 von 2 Personen")).to_be_visible()
        for route in held:
            route.continue_()
        expect(page.get_by_text("2 von 2 Personen")).to_be_visible()
        assert service.call("GET", "/api/v2/employees/17").ok
        speak(page, "en")
        expect(page.get_by_text("2 of 2 people done: 1 enrolled")).to_be_visible()
        expect(page.get_by_text("No face was found in the picture.")).to_be_visible()
        expect(page.get_by_label("Groups")).to_have_value("navy")
        assert page.get_by_label("Photos").evaluate("input => input.files.length") == 1
        assert tab.faults == []
