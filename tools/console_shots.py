"""Write docs/console/*.png, pictures of every page of the console: make console-shots.

The people shown are Grace Hopper and Eileen Collins, whose photos are in the public domain, and
made-up ones. It needs Chromium.
"""

import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect

from testbed import company
from testbed.browser import Browser, Tab
from testbed.people import EILEEN, GRACE
from testbed.photos import ASTRONAUT, GRACE_HOPPER, WITHOUT_FACE
from testbed.serving import ROOT, RunningService

FOLDER = ROOT / "docs" / "console"
SIZES = {"": (1280, 800), "-phone": (390, 844)}
PEOPLE = 60
_COLOURS = 160


def _start(tab: Tab, _: Page) -> None:
    tab.click("Start the camera")
    tab.click("Log in")
    expect(tab.page.locator(".verdict")).to_be_visible()
    expect(tab.page.locator(".guidance.good")).to_be_visible()


def _enrol(_: Tab, page: Page) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, photos in {
            "17_Grace_Hopper": (GRACE_HOPPER,),
            "18_Eileen_Collins": (ASTRONAUT, WITHOUT_FACE[1]),
            "chelsea": (WITHOUT_FACE[0],),
        }.items():
            for photo in photos:
                file = Path(folder, name, photo.name)
                file.parent.mkdir(exist_ok=True)
                file.write_bytes(photo.read_bytes())
        page.locator("input[webkitdirectory]").set_input_files(folder)
        expect(page.get_by_text("3 of 3 people done")).to_be_visible()


def _why(_: Tab, page: Page) -> None:
    page.locator("summary").first.click()


def _nothing(_: Tab, page: Page) -> None:
    expect(page.locator("[aria-busy=true]")).to_have_count(0)


SHOTS: dict[str, tuple[str, Callable[[Tab, Page], None]]] = {
    "start": ("start", _start),
    "people": ("people", _nothing),
    "person": ("people?id=1", _nothing),
    "enrol": ("people?enrol", _enrol),
    "attempts": ("attempts", _why),
    "health": ("health", _nothing),
    "system": ("system", _nothing),
    "try": ("try", _nothing),
}


def main() -> None:
    """Write all pictures."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place, Browser(Path(place)) as browser:
        browser.webcam.show(GRACE_HOPPER)
        log = str(Path(place, "audit.log"))
        with RunningService(Path(place), AUDIT_LOG=log) as first:
            company.found(first, PEOPLE)
            GRACE.enrol(first)
        # started anew, it measures its gallery at once
        with RunningService(Path(place), AUDIT_LOG=log) as service:
            GRACE.is_known_to(service)
            EILEEN.is_known_to(service)
            whole = {"surname": "Hopper", "groups": ["navy"], "external_id": "HR-7"}
            service.call("PATCH", "/api/v2/employees/1", json=whole)
            for ending, size in SIZES.items():
                for name, (page, act) in SHOTS.items():
                    with browser.tab(size=size) as tab:
                        _shoot(tab, f"{service.url}/console/#{page}", act, f"{name}{ending}.png")
                service.call("DELETE", "/api/18")


def _shoot(tab: Tab, address: str, act: Callable[[Tab, Page], None], file: str) -> None:
    page = tab.open(address)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    _nothing(tab, page)
    act(tab, page)
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    picture = Image.open(BytesIO(page.screenshot(full_page=True)))
    small = picture.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
    small.save(FOLDER / file, optimize=True)
    print(f"{file}: {(FOLDER / file).stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
