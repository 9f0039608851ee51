"""The console behind a router that answers in place of the service, or while files are missing.

The tests answer requests in the browser, as a router in front of the service does.
"""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Route, expect

from testbed.browser import Browser
from testbed.photos import GRACE_HOPPER
from testbed.serving import RunningService
from tests.support.console import console

MARKUP = "<html><body><h1>Application is not available</h1></body></html>"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with RunningService(tmp_path_factory.mktemp("router")) as running:
        yield running


@pytest.mark.parametrize("status", [500, 503])
def test_what_a_router_says_is_not_shown(
    browser: Browser, service: RunningService, status: int
) -> None:
    def refuse(route: Route) -> None:
        route.fulfill(status=status, body=MARKUP, content_type="text/html")

    with browser.tab() as tab:
        page = console(tab, service)
        page.locator("input[type=file]").set_input_files(GRACE_HOPPER)
        expect(page.get_by_text("This photo can be used")).to_be_visible()
        page.route("**/api/v2/**", refuse)
        tab.click("Log in")
        if status == 500:
            expect(page.get_by_text("Something went wrong. Try again.")).to_be_visible()
        else:
            away = page.get_by_text("The service does not answer.", exact=False)
            expect(away.first).to_be_visible()
            expect(away).to_have_count(0)  # the service itself is ready
        assert "not available" not in page.locator("body").inner_text()


def test_a_page_that_is_no_answer_is_said_and_asked_again(
    browser: Browser, service: RunningService
) -> None:
    with browser.tab() as tab:
        tab.page.route(
            "**/api/v2/me", lambda route: route.fulfill(body=MARKUP, content_type="text/html")
        )
        page = console(tab, service)
        expect(page.get_by_text("Something else answers in place of the service.")).to_be_visible()
        page.unroute("**/api/v2/me")
        expect(page.get_by_role("button", name="Start the camera")).to_be_visible()


def test_a_page_that_waits_says_so(browser: Browser, service: RunningService) -> None:
    with browser.tab() as tab:
        tab.page.route("**/api/v2/me", lambda route: None)
        page = console(tab, service)
        expect(page.get_by_text("One moment…")).to_be_visible()
        expect(page).to_have_title("Face login")


def test_a_language_that_does_not_load_is_not_missed(
    browser: Browser, service: RunningService
) -> None:
    with browser.tab(language="de") as tab:
        tab.page.route("**/strings/de.js", lambda route: route.abort())
        page = console(tab, service)
        expect(page.get_by_role("button", name="Start the camera")).to_be_visible()
        page.get_by_label("Language").focus()
        page.get_by_label("Language").select_option("it")
        expect(page.get_by_label("Lingua")).to_be_focused()


def test_without_scripts_the_page_says_what_it_needs(
    browser: Browser, service: RunningService
) -> None:
    with browser.tab() as tab:
        tab.page.route("**/app.js", lambda route: route.abort())
        page = console(tab, service)
        expect(page.get_by_text("If nothing else appears, reload it")).to_be_visible()
        assert "This page needs JavaScript." in page.content()
