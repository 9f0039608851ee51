"""The console's sources: text is never markup, and all of it is in the files of strings."""

import json
import re
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path

import pytest

from app.recognition import NotAnImage, UnusableImage

APP = Path(__file__).parents[2] / "app"
STATIC = APP / "console" / "static"
LANGUAGES = sorted((STATIC / "strings").iterdir())
MODULES = sorted(path for path in STATIC.rglob("*.js") if path not in LANGUAGES)

# What makes markup or code of a text, keeps something in the browser, or leaves the origin.
FORBIDDEN = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|setHTML|createContextualFragment|DOMParser|srcdoc"
    r"|document\.write|\beval\b|new Function|setAttribute\(\"(on|style)|javascript:"
    r"|localStorage|sessionStorage|indexedDB|\bcaches\b|document\.cookie|serviceWorker"
    r"|sendBeacon|WebSocket|EventSource|https?://(?!www\.w3\.org/2000/svg)"
)
LINE = re.compile(r'  "([^"]+)": ("(?:[^"\\]|\\.)*"),')
# A string in a module that reads like a sentence or a label. Names of elements, classes, events and
# calls are in lower case, or have no blank between words.
PROSE = re.compile(
    r"^.[A-ZÄÖÜ][a-zäöüß]+.$|\b[A-ZÄÖÜ][a-zäöüß]+ \w|[a-z]{3,} [a-z]{2,} [a-z]{2,} [a-z]{2,}"
)
# Words of programs that the console shows: they are the same in all languages.
PYTHON = {'"Python"', '"None"', '"True"', '"False"'}
LITERAL = re.compile(r'"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`')
SHOWN = re.compile(
    r'(?:textContent|\.title|label|alt|placeholder)"?\s*[:=]\s*["`]([^"`]*[A-Za-z]{2})'
)


def code(path: Path) -> str:
    """Return a module without its comments."""
    text = re.sub(r"^ */\*\*.*?\*/", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"(^|\s)//.*", "", text)


def strings(path: Path) -> dict[str, str]:
    """Return the strings of a language by name; every line must hold one, and in order."""
    _, _, text = path.read_text().partition("export default {\n")
    lines = text.removesuffix("};\n").splitlines()
    found = [LINE.fullmatch(line) for line in lines]
    assert all(found), f"{path.name}: {[line for line in lines if not LINE.fullmatch(line)][:1]}"
    names = [line[1] for line in found if line]
    assert names == sorted(set(names)), f"{path.name}: sort the names, and use each once"
    return {line[1]: json.loads(line[2]) for line in found if line}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(STATIC)))
def test_nothing_makes_markup_of_text_or_keeps_anything(path: Path) -> None:
    assert not FORBIDDEN.search(code(path))


@pytest.mark.parametrize(("one", "other"), [*combinations(LANGUAGES, 2)])
def test_languages_have_the_same_strings(one: Path, other: Path) -> None:
    ours, theirs = strings(one), strings(other)
    assert set(ours) == set(theirs)
    for name, text in ours.items():
        assert text
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", theirs[name])), name


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(STATIC)))
def test_text_is_in_the_strings(path: Path) -> None:
    text = code(path)
    assert [
        found for found in LITERAL.findall(text) if found not in PYTHON and PROSE.search(found)
    ] == []
    assert SHOWN.findall(text) == []


def test_every_string_is_used() -> None:
    sources = "".join(map(code, MODULES))
    families = tuple(re.findall(r"`([a-z_]+\.[a-z_]*)\$\{", sources))
    pages = {f"{path.stem}.title" for path in (STATIC / "pages").iterdir()}
    for name in strings(STATIC / "strings" / "en.js"):
        assert f'"{name}"' in sources or name.startswith(families) or name in pages, name


def test_every_named_string_is_there() -> None:
    known = strings(STATIC / "strings" / "en.js")
    for path in MODULES:
        for name in re.findall(r'\bt\("([^"]+)"', code(path)):
            assert name in known, f"{path.name}: {name}"


def test_the_page_holds_no_code_and_loads_all_modules_at_once() -> None:
    tags: list[tuple[str, dict[str, str | None]]] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            tags.append((tag, dict(attrs)))

    Reader().feed((STATIC / "index.html").read_text())
    for tag, attributes in tags:
        assert not any(name == "style" or name.startswith("on") for name in attributes)
        assert tag != "script" or attributes.get("src") == "app.js"
    loaded = {each["href"] for _, each in tags if each.get("rel") == "modulepreload"}
    needed = {STATIC / "app.js", STATIC / "pages" / "start.js"}
    while found := {path for module in needed for path in imported(module)} - needed:
        needed |= found
    missing = {str(path.relative_to(STATIC)) for path in needed} - loaded - {"app.js"}
    assert {name for name in missing if not name.startswith("pages/")} == set()
    assert all(name and (STATIC / name).is_file() for name in loaded)


def imported(module: Path) -> set[Path]:
    """Return the modules that a module imports when it is loaded."""
    names = re.findall(r'^import .* from "([^"]+)";', code(module), re.MULTILINE)
    return {(module.parent / name).resolve() for name in names}


# Codes of calls that the console never makes, or of bodies that it never sends.
NEVER_SHOWN = {
    *("not_json", "encoded", "wrong_dimension", "page_too_large", "bad_export", "no_audit_file"),
    *("cursor_expired", "not_verified", "employee_exists", "external_id_taken", "last_sample"),
    *("too_many_samples", "other_model", "no_such_sample"),
}


def codes() -> set[str]:
    """Return the codes of all problems that the API answers with."""
    sources = "".join(path.read_text() for path in (APP / "api").rglob("*.py"))
    kinds = [NotAnImage, UnusableImage, *UnusableImage.__subclasses__()]
    named = re.findall(r'(?:Problem\(\d+, |_unavailable\(|: \(|code = )"([a-z_]+)"', sources)
    return {kind.code for kind in kinds} | set(named)


def test_there_are_words_for_each_code_that_the_pages_can_get() -> None:
    found = codes()
    assert {"too_many_failures", "internal_error", "key_missing", "image_too_large"} <= found
    known = strings(STATIC / "strings" / "en.js")
    assert {code for code in found - NEVER_SHOWN if f"problem.{code}" not in known} == set()


@pytest.mark.parametrize("path", sorted(STATIC.glob("*.css")), ids=lambda path: path.name)
def test_a_style_sheet_loads_nothing(path: Path) -> None:
    assert not re.search(r"url\(|@import|https?:", path.read_text())
