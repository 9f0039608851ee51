"""The console's frame in a real browser: languages, access for all, weight, and what it asks."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import expect

from app.access import Role
from app.access.api_keys import new_key
from testbed.browser import Browser
from testbed.photos import GRACE_HOPPER
from testbed.serving import RunningService
from tests.support.axe import cut, faults

MOST_BYTES = 150_000
FOCUSED = """() => {
    const { activeElement: focused, body } = document;
    return [focused.innerText, focused === body ? "auto" : getComputedStyle(focused).outlineStyle];
}"""
SIZES = ((1280, 900), (390, 844))
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with RunningService(tmp_path_factory.mktemp("frame")) as running:
        yield running


@pytest.mark.parametrize(("scheme", "size"), [*product(SCHEMES, SIZES)])
def test_nobody_is_shut_out(
    browser: Browser,
    service: RunningService,
    scheme: Literal["light", "dark"],
    size: tuple[int, int],
) -> None:
    browser.webcam.show(GRACE_HOPPER)
    service.call("DELETE", "/api/1")
    with browser.tab(scheme=scheme, size=size) as tab:
        page = tab.open(f"{service.url}/console/")
        expect(page.get_by_role("button", name="Start the camera")).to_be_visible()
        assert faults(tab) == []
        tab.click("Start the camera")
        page.get_by_text("Choose a number").click()
        page.get_by_text("Check more than the face").click()
        page.get_by_label("Employee number").fill("1")
        page.get_by_label("First name").fill("Grace")
        tab.click("Enrol me")
        tab.click("Log in")
        expect(page.locator(".verdict")).to_be_visible()
        expect(page.locator(".guidance.good")).to_be_visible()
        assert faults(tab) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        tab.click("Delete my enrolment")
        assert faults(tab) == []


def test_nobody_is_shut_out_by_the_key(browser: Browser, tmp_path: Path) -> None:
    _, line = new_key([Role.LOGIN])
    with RunningService(tmp_path, API_KEYS=line) as service, browser.tab() as tab:
        page = tab.open(f"{service.url}/console/")
        enter = page.get_by_role("main").get_by_role("button", name="Enter a key")
        expect(enter).to_be_visible()
        assert faults(tab) == []
        enter.click()
        expect(page.get_by_role("textbox", name="API key")).to_be_focused()
        page.keyboard.type("nobody's")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_be_visible()
        assert faults(tab) == []
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        assert tab.faults == []


def test_text_at_twice_its_size_fits(browser: Browser, service: RunningService) -> None:
    with browser.tab(size=(390, 844)) as tab:
        page = tab.open(f"{service.url}/console/")
        expect(page.get_by_role("button", name="Start the camera")).to_be_visible()
        page.evaluate("document.documentElement.style.fontSize = '200%'")
        assert cut(tab) == []


def test_the_keyboard_reaches_everything(browser: Browser, service: RunningService) -> None:
    browser.webcam.show(GRACE_HOPPER)
    with browser.tab() as tab:
        page = tab.open(f"{service.url}/console/")
        tab.click("Start the camera")
        expect(page.get_by_label("First name")).to_be_focused()
        expect(page.locator(".guidance.good")).to_be_visible()
        page.evaluate("document.activeElement.blur()")
        reached = set()
        for _ in range(40):
            page.keyboard.press("Tab")
            text, outline = page.evaluate(FOCUSED)
            reached.add(text)
            assert outline in ("solid", "auto"), text
        buttons = page.locator("button:visible, summary:visible, header a").all_inner_texts()
        assert set(buttons) <= reached


def test_the_language_is_the_browsers_until_the_person_chooses(
    browser: Browser, service: RunningService
) -> None:
    for language, heading in (
        ("de-AT", "Mit dem Gesicht anmelden"),
        ("it", "Accedere con il volto"),
        ("fr", "Log in with your face"),
    ):
        with browser.tab(language=language) as tab:
            page = tab.open(f"{service.url}/console/")
            expect(page.get_by_role("heading", level=1)).to_have_text(heading)
    with browser.tab(language="de") as tab:
        page = tab.open(f"{service.url}/console/")
        page.get_by_label("Sprache").select_option("it")
        expect(page.get_by_role("heading", level=1)).to_have_text("Accedere con il volto")
        assert page.evaluate("document.documentElement.lang") == "it"


def test_the_whole_console_is_light(browser: Browser, service: RunningService) -> None:
    with browser.tab() as tab:
        page = tab.open(f"{service.url}/console/")
        links = page.locator("nav a")
        expect(links.first).to_be_visible()
        for link in links.all():
            link.click()
        page.get_by_label("Language").select_option("de")
        page.get_by_label("Sprache").select_option("it")
        expect(page.get_by_label("Lingua")).to_be_visible()
        files = {address for address in tab.requested if "/console/" in address}
        assert {f"{service.url}/console/strings/{code}.js" for code in ("en", "de", "it")} <= files
        total = 0
        for address in files:
            path = address.removeprefix(service.url)
            answer = service.call("GET", path, headers={"Accept-Encoding": "gzip"}, stream=True)
            total += len(answer.raw.read(decode_content=False))
        print(f"{len(files)} files, {total} bytes over the wire")
        assert total <= MOST_BYTES
        assert tab.hosts == {f"127.0.0.1:{service.port}"}
        assert tab.faults == []


@pytest.mark.timed
def test_framing_takes_little_of_a_worker(browser: Browser, service: RunningService) -> None:
    browser.webcam.show(GRACE_HOPPER)
    with browser.tab() as tab:
        page = tab.open(f"{service.url}/console/")
        tab.click("Start the camera")
        expect(page.locator(".guidance.good")).to_be_visible()
        before = len(tab.requested)
        page.wait_for_timeout(4000)
        assert 1 <= len(tab.requested) - before <= 8


def test_whoever_is_refused_for_now_is_not_asked_for_a_key(
    browser: Browser, tmp_path: Path
) -> None:
    with RunningService(tmp_path, ADDRESS_REQUESTS_PER_MINUTE="1") as service:
        assert service.call("GET", "/api/v2/me").status_code == 200
        with browser.tab() as tab:
            page = tab.open(f"{service.url}/console/")
            expect(page.get_by_text("Too many requests. Try again in")).to_be_visible()
            expect(page.get_by_role("button", name="Enter a key")).to_have_count(0)


def test_framing_waits_as_long_as_the_service_asks(browser: Browser, tmp_path: Path) -> None:
    browser.webcam.show(GRACE_HOPPER)
    with RunningService(tmp_path, ADDRESS_REQUESTS_PER_MINUTE="2") as service, browser.tab() as tab:
        page = tab.open(f"{service.url}/console/")
        tab.click("Start the camera")
        with page.expect_response(lambda answer: answer.status == 429):
            pass
        before = len(tab.requested)
        page.wait_for_timeout(3000)
        assert len(tab.requested) - before <= 1
