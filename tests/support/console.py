"""What people do in the console."""

from playwright.sync_api import Page, expect

from testbed.browser import Tab
from testbed.serving import RunningService


def console(tab: Tab, service: RunningService) -> Page:
    """Open the console; return the page."""
    return tab.open(f"{service.url}/console/")


def enrol(tab: Tab, name: str = "Grace", surname: str = "Hopper") -> None:
    """Enrol whom the camera sees, or the photo that was chosen."""
    tab.page.get_by_label("First name").fill(name)
    tab.page.get_by_label("Surname").fill(surname)
    tab.click("Enrol me")
    expect(tab.page.get_by_text("is enrolled. Now log in.")).to_be_visible()


def start(tab: Tab) -> None:
    """Start the camera, and wait until the service has seen the first picture."""
    tab.click("Start the camera")
    expect(tab.page.locator(".guidance:not(:empty)")).to_be_visible()


def told(tab: Tab, heading: str) -> str:
    """Return what is said of the login, once it has that heading."""
    result = tab.page.locator(".verdict", has=tab.page.get_by_role("heading", name=heading))
    expect(result).to_be_visible()
    return result.inner_text()


def give(page: Page, key: str) -> None:
    """Type a key in."""
    page.get_by_role("main").get_by_role("button", name="Enter a key").click()
    page.get_by_role("textbox", name="API key").fill(key)
    page.keyboard.press("Enter")
