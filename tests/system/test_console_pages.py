"""The pages for administrators in a real browser: what they show, to whom, and how all use them."""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from app.access import Role
from app.access.api_keys import new_key
from testbed import company
from testbed.browser import Browser, Tab
from testbed.people import Person
from testbed.photos import ASTRONAUT, GRACE_HOPPER, WITHOUT_FACE
from testbed.serving import RunningService
from tests.support.axe import cut, faults, unreached
from tests.support.console import give

PEOPLE = 40
HOSTILE = "<img src=x onerror=alert(1)>" + "x" * 172
OVERRIDE = "Grace \u202ereppoH"  # stored by hand: the service refuses it
HEBREW = "\u05d2\u05e8\u05d9\u05d9\u05e1 (1)"
KEYS = {
    "login": new_key([Role.LOGIN], "door"),
    "enrol": new_key([Role.ENROL], "desk"),
    "monitor": new_key([Role.MONITOR], "watch"),
    "admin": new_key([Role.ADMIN], "chief"),
    "site": new_key([Role.ADMIN], "site", ["site-a"]),
}
PAGES = ("start", "people", "people?id=1", "people?enrol", "attempts", "health", "system", "try")
FOLLOW = """address => new Promise((done) => {
    if (location.hash === address) return done();
    addEventListener("hashchange", () => done(), { once: true });
    location.hash = address;
})"""
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service with keys that has measured its company, and refused Eileen."""
    folder = tmp_path_factory.mktemp("pages")
    variables = {
        "API_KEYS": " ".join(line for _, line in KEYS.values()),
        "AUDIT_LOG": str(folder / "audit.log"),
    }
    admin = KEYS["admin"][0]
    with RunningService(folder, **variables) as first:
        company.found(first, PEOPLE, {"X-API-Key": admin})
        Person(1, HOSTILE, GRACE_HOPPER, admin).enrol(first)
    with closing(sqlite3.connect(folder / "employees.db")) as database, database:
        for number, name in ((company.FIRST, OVERRIDE), (company.FIRST + 1, HEBREW)):
            database.execute("UPDATE employees SET name = ? WHERE employee_id = ?", (name, number))
    # started anew, it measures its gallery at once
    with RunningService(folder, **variables) as running:
        for photo in (GRACE_HOPPER, ASTRONAUT):
            Person(1, "", photo, KEYS["login"][0]).is_known_to(running)
        yield running


def enter(tab: Tab, service: RunningService, who: str, page: str = "start") -> Page:
    """Open the console with a key, and a page of it."""
    shown = tab.open(f"{service.url}/console/")
    give(shown, KEYS[who][0])
    expect(shown.get_by_role("dialog")).to_have_count(0)
    go(shown, page)
    return shown


def go(shown: Page, page: str) -> None:
    """Follow the address of a page, and wait until all of it is there."""
    shown.evaluate(FOLLOW, f"#{page}")
    expect(shown.locator("main h1")).to_be_visible()
    expect(shown.locator("main [aria-busy=true]")).to_have_count(0)


@pytest.mark.parametrize(
    ("who", "links"),
    [
        ("login", "Start, Try the API"),
        ("enrol", "Start, People, Try the API"),
        ("monitor", "Try the API"),
        ("admin", "Start, People, Recent attempts, Gallery health, System, Try the API"),
        ("site", "Start, People, System, Try the API"),
    ],
)
def test_a_key_sees_its_pages_and_buttons(
    browser: Browser, service: RunningService, who: str, links: str
) -> None:
    with browser.tab() as tab:
        page = enter(tab, service, who)
        assert page.locator("nav a").all_inner_texts() == links.split(", ")
        go(page, "attempts")  # an address that the person types in
        if "Recent attempts" not in links:
            expect(page.get_by_role("heading", name="Recent attempts")).to_have_count(0)
        if "People" in links:
            go(page, f"people?id={company.FIRST}")
            expect(page.get_by_role("button", name="Save")).to_be_visible()
            for name in ("Download as JSON", "Remove this person"):
                shown = page.get_by_role("button", name=name)
                expect(shown).to_have_count(0 if who == "enrol" else 1)
        go(page, "try")
        calls = page.get_by_label("What do you want to do?").inner_text()
        for call, wanted in (
            ("Log in: whose face is it?", {"login", "admin", "site"}),
            ("List people", {"enrol", "admin", "site"}),
            ("Read the metrics", {"monitor", "admin", "site"}),
            ("Read the audit log", {"admin", "site"}),
        ):
            assert (call in calls) == (who in wanted), call
        assert tab.faults == []


def test_a_refused_person_is_told_why(browser: Browser, service: RunningService) -> None:
    with browser.tab() as tab:
        page = enter(tab, service, "admin", "attempts")
        rows = page.locator("tbody tr")
        expect(rows).to_have_count(2)
        refused, let_in = rows.nth(0), rows.nth(1)
        expect(refused).to_contain_text("not recognised")
        expect(refused).to_contain_text("door")
        expect(let_in.get_by_role("link", name="1")).to_be_visible()
        refused.get_by_text("Why?").click()
        expect(refused).to_contain_text("nearest enrolled person was at the distance 1.")
        expect(refused).to_contain_text("Below 0.80 was needed")
        expect(refused).to_contain_text("If this was an employee, add a photo of them")
        page.get_by_label("Result").select_option("let in")
        tab.click("Show")
        expect(rows).to_have_count(1)
        page.get_by_label("Employee number").fill("2")
        tab.click("Show")
        expect(page.get_by_text("There is no such attempt.")).to_be_visible()
        page.get_by_label("Result").select_option("all results")
        page.get_by_label("Employee number").fill("1")
        tab.click("Show")
        expect(rows).to_have_count(1)


def test_without_an_audit_file_it_says_what_to_do(browser: Browser, tmp_path: Path) -> None:
    with RunningService(tmp_path) as service, browser.tab() as tab:
        page = tab.open(f"{service.url}/console/#attempts")
        expect(page.get_by_text("sets AUDIT_LOG to the path of a file")).to_be_visible()
        page.goto(f"{service.url}/console/#health")
        expect(page.get_by_text("With 30 people or more, the service can tell")).to_be_visible()


def test_the_health_of_the_gallery(browser: Browser, service: RunningService) -> None:
    headers = {"X-API-Key": KEYS["admin"][0]}
    measured = service.call("GET", "/api/v2/gallery", headers=headers).json()["measurement"]
    with browser.tab() as tab:
        page = enter(tab, service, "admin", "health")
        main = page.locator("main")
        expect(main).to_contain_text(f"{measured['with_one_vector']} people have one sample.")
        heading = page.get_by_role("heading", name="With one sample only")
        singles = page.locator(".card", has=heading)
        links = singles.get_by_role("link").all_inner_texts()
        assert links == [str(number) for number in measured["first_with_one_vector"]]
        assert len(links) == 20
        expect(singles).to_contain_text(f"And {measured['with_one_vector'] - 20} more.")
        chart = page.get_by_role("img", name="Share of strangers who are let in")
        expect(chart).to_be_visible()
        expect(chart.locator("circle")).to_have_count(len(measured["fpir_by_threshold"]))
        shares = page.get_by_role("table", name="Strangers let in at each α").locator("tbody tr")
        expect(shares).to_have_count(len(measured["fpir_by_threshold"]))
        expect(shares.last).to_contain_text("in force")
        pairs = page.get_by_role("table", name="Likely one person under two numbers")
        first, second = company.FIRST, company.FIRST + PEOPLE
        expect(pairs.get_by_role("row", name=f"{first} {second}")).to_be_visible()
        pairs.get_by_role("link", name=str(second)).click()
        expect(page.get_by_text(f"Employee number {second}")).to_be_visible()


def test_the_system(browser: Browser, service: RunningService) -> None:
    with browser.tab() as tab:
        page = enter(tab, service, "admin", "system")
        main = page.locator("main")
        for said in ("CC0-1.0, public domain", "sqlite:", "MAX_BODY_MB", "0 of 28", "0.1.0"):
            expect(main).to_contain_text(said)
        audit_log = page.get_by_role("listitem").filter(has_text="Audit log")
        expect(audit_log).to_contain_text("works")
        logins = page.locator(".card", has=page.get_by_role("heading", name="Since the start"))
        expect(logins).to_contain_text("not recognised")


def test_a_copied_call_runs(browser: Browser, service: RunningService, tmp_path: Path) -> None:
    shutil.copy(GRACE_HOPPER, tmp_path / "me.jpg")
    environment = {"PATH": os.environ["PATH"], "KEY": KEYS["admin"][0], "NO_PROXY": "127.0.0.1"}
    with browser.tab() as tab:
        page = enter(tab, service, "admin", "try")
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])

        def copied(name: str) -> str:
            tab.click(f"Copy for {name}")
            expect(page.get_by_text("Copied.").first).to_be_visible()
            text: str = page.evaluate("navigator.clipboard.readText()")
            assert KEYS["admin"][0] not in text
            assert service.url in text
            return text

        def ran(*command: str) -> str:
            options = {"cwd": tmp_path, "env": environment, "timeout": 30}
            return subprocess.run(
                command, capture_output=True, text=True, check=True, **options
            ).stdout

        assert '"employee_id":1' in ran("sh", "-c", copied("curl"))
        choice = page.get_by_label("What do you want to do?")
        choice.select_option("Change a name")
        assert "Murray Hopper" in ran("sh", "-c", copied("curl"))
        choice.select_option("List people")
        (tmp_path / "call.py").write_text(copied("Python"))
        assert ran(shutil.which("python") or "python", "call.py").startswith("200 ")


def test_without_the_clipboard_the_call_is_marked(
    browser: Browser, service: RunningService
) -> None:
    with browser.tab() as tab:
        page = enter(tab, service, "login", "try")
        tab.click("Copy for curl")
        expect(page.get_by_text("Marked: copy it with Ctrl+C.")).to_be_visible()
        assert page.evaluate("getSelection().toString()").startswith("curl ")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_page_is_for_everybody(
    browser: Browser, service: RunningService, scheme: Literal["light", "dark"]
) -> None:
    with browser.tab(scheme=scheme) as tab:
        page = enter(tab, service, "admin")
        for name in PAGES:
            go(page, name)
            if name == "attempts":
                page.get_by_text("Why?").first.click()
            assert faults(tab) == [], name
            if scheme == "light":
                assert unreached(tab) == set(), name
        assert tab.faults == []
        assert tab.hosts == {f"127.0.0.1:{service.port}"}


def test_every_page_fits_a_telephone_and_large_text(
    browser: Browser, service: RunningService
) -> None:
    with browser.tab(size=(390, 844)) as tab:
        page = enter(tab, service, "admin")
        page.get_by_label("Language").select_option("de")  # its words are the longest
        for size in ("100%", "200%"):
            page.evaluate("size => { document.documentElement.style.fontSize = size }", size)
            for name in PAGES:
                go(page, name)
                assert cut(tab) == [], (name, size)


def test_hostile_names_are_text(browser: Browser, service: RunningService) -> None:
    with browser.tab(size=(390, 844)) as tab:
        page = enter(tab, service, "admin", "people")
        names = page.locator("tbody bdi")
        for name in (HOSTILE, OVERRIDE, HEBREW):
            expect(names.filter(has_text=name)).to_have_count(1)
        for name in PAGES:
            go(page, name)
            expect(page.locator("main img")).to_have_count(0)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        for number, name in ((1, HOSTILE), (company.FIRST, OVERRIDE)):
            go(page, f"people?id={number}")
            expect(page.locator("h1 bdi")).to_contain_text(name)
        photo = {"name": f"{HOSTILE[:60]}.png", "mimeType": "image/png"}
        go(page, "people?enrol")
        page.get_by_label("First name").fill(HOSTILE)
        content = WITHOUT_FACE[1].read_bytes()
        page.get_by_label("Photos").set_input_files([{**photo, "buffer": content}])
        tab.click("Enrol this person")
        expect(page.locator(".outcomes bdi")).to_contain_text(HOSTILE)
        expect(page.get_by_text("No face was found in the picture.")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert tab.faults == []


def test_the_keyboard_alone_does_it_all(browser: Browser, service: RunningService) -> None:
    with browser.tab() as tab:
        page = enter(tab, service, "admin", "attempts")
        summary = page.locator("summary").first
        summary.focus()
        page.keyboard.press("Space")
        expect(page.get_by_text("Below 0.80 was needed")).to_be_visible()
        people = page.get_by_role("link", name="People")
        people.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("People")
        expect(page.get_by_role("main")).to_be_focused()
        page.get_by_role("button", name="Next").focus()
        page.keyboard.press("Space")
        expect(page.get_by_text("26 to")).to_be_visible()
        page.locator("tbody a").first.focus()
        page.keyboard.press("Enter")
        remove = page.get_by_role("button", name="Remove this person")
        remove.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(remove).to_be_focused()
