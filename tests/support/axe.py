"""Whether pages are for everybody: axe-core, the keyboard, small screens and large text."""

from axe_playwright_python.sync_playwright import Axe

from testbed.browser import Tab

_NAME = """(control) =>
    control.getAttribute("aria-label") || control.labels?.[0]?.innerText || control.innerText"""
_FOCUSED = f"""() => {{
    const {{ activeElement: focused, body }} = document;
    return focused === body ? null : [({_NAME})(focused), getComputedStyle(focused).outlineStyle];
}}"""
_CONTROLS = f"""() => {{
    const controls = "a, button, input, select, summary, [tabindex='0']";
    return [...document.querySelectorAll(controls)]
        .filter((control) => control.checkVisibility() && !control.disabled)
        .map({_NAME});
}}"""
_CUT = """() => [...document.querySelectorAll("a, button, input, select, summary")]
    .filter((control) => control.checkVisibility() && !control.closest(".scroll, nav, .skip"))
    .filter((control) => {
        const { left, right } = control.getBoundingClientRect();
        const isCut = control.scrollWidth > control.clientWidth + 2 && !control.matches("a, input");
        return left < 0 || right > innerWidth || isCut;
    })
    .map((control) => control.outerHTML)"""
_BEYOND = """() => [...document.querySelectorAll("body *")]
    .filter((each) => document.documentElement.scrollWidth > innerWidth
        && each.getBoundingClientRect().right > innerWidth && !each.closest(".scroll, nav"))
    .map((each) => each.outerHTML.slice(0, 200))"""


def faults(tab: Tab) -> list[str]:
    """Return the serious and critical faults that axe-core finds in a page."""
    found = Axe().run(tab.page).response["violations"]
    return [
        f"{fault['id']}: {[node['html'] for node in fault['nodes']]}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
    ]


def unreached(tab: Tab) -> set[str]:
    """Return the controls of the page that Tab does not reach; each that it reaches is marked."""
    page = tab.page
    wanted = set(page.evaluate(_CONTROLS))
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Tab")
    reached: set[str] = set()
    for _ in range(2 * len(page.evaluate(_CONTROLS)) + 5):
        if focused := page.evaluate(_FOCUSED):
            name, outline = focused
            assert outline in ("solid", "auto"), name
            reached.add(name)
        page.keyboard.press("Tab")
    return wanted - reached


def cut(tab: Tab) -> list[str]:
    """Return what widens the page, and controls that are outside or whose text does not fit."""
    return [*tab.page.evaluate(_BEYOND), *tab.page.evaluate(_CUT)]
