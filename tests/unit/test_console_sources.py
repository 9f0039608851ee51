"""The console's sources: text is never markup, and all of it is in the files of strings."""

import json
import re
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path

import pytest

STATIC = Path(__file__).parents[2] / "app" / "console" / "static"
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


def test_the_page_holds_no_text_and_no_code() -> None:
    texts: list[str] = []
    tags: list[tuple[str, dict[str, str | None]]] = []

    class Reader(HTMLParser):
        def handle_data(self, data: str) -> None:
            texts.append(data.strip())

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            tags.append((tag, dict(attrs)))

    Reader().feed((STATIC / "index.html").read_text())
    assert "".join(texts) == ""
    for tag, attributes in tags:
        assert not any(name == "style" or name.startswith("on") for name in attributes)
        assert tag != "script" or attributes.get("src") == "app.js"


@pytest.mark.parametrize("path", sorted(STATIC.glob("*.css")), ids=lambda path: path.name)
def test_a_style_sheet_loads_nothing(path: Path) -> None:
    assert not re.search(r"url\(|@import|https?:", path.read_text())
