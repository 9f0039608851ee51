"""Find the setting that an unknown environment variable was probably meant to be."""

import re
from collections.abc import Collection
from difflib import SequenceMatcher
from functools import cache

# Variables that Kubernetes, OpenShift and Docker links set for every service nearby.
_INJECTED = re.compile(
    r".+_SERVICE_(HOST|PORT(_.+)?)|.+_PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?|.+_ENV_.+"
)
_SYNONYMS = {"PASS": "PASSWORD", "PASSWD": "PASSWORD", "PWD": "PASSWORD", "URI": "URL"}
# Words and endings that people add or leave out without meaning another setting.
_PADDING = re.compile(
    "(ALLOW|ALLOWED|COUNT|DATABASE|DB|ENCRYPTION|FILE|LIST|MATCH|NAME|NUMBER|PATH|SERVICE|SIZE|"
    "STRING|VALUE|(?<!S)S)$"
)
_LEAST_LIKENESS = 0.845  # MATCH_THRESHOLD is caught (0.849), KEYS_FILE is not (0.842)
_LEAST_LETTERS = 5  # in shorter names one letter makes another word: PORT, POST
_MOST_LETTERS = 60  # longer names are not compared; the longest setting has 28 characters


def nearest(name: str, known: Collection[str]) -> str | None:
    """Return the setting that the variable `name` resembles; None if it resembles none.

    known: the settings, in capitals. Letters may be missing, added or swapped; words may be
    reordered, or replaced by synonyms. Variables that an orchestrator sets resemble none.
    """
    given = name.upper()
    if given in known or len(given) > _MOST_LETTERS or _INJECTED.fullmatch(given):
        return None
    alike, _, setting = max((*_likeness(given, setting), setting) for setting in known)
    return setting if alike >= _LEAST_LIKENESS else None


def _likeness(given: str, setting: str) -> tuple[float, float]:
    """Return the better likeness of letters and of words, then that of letters; 0 to 1 each."""
    letters = _alike(_letters(given), _letters(setting))
    return max(letters, _alike(_words(given), _words(setting), anagrams=False)), letters


@cache
def _letters(name: str) -> str:
    return re.sub("[^A-Z0-9]", "", name)


@cache
def _words(name: str) -> str:
    """Return the words in alphabetical order, in the singular, without synonyms and padding."""
    return "".join(sorted(_plain(word) for word in re.findall("[A-Z]+", name)))


def _plain(word: str) -> str:
    if word.endswith("IES"):
        return word[:-3] + "Y"
    return _SYNONYMS.get(word) or _PADDING.sub("", word)


def _alike(one: str, other: str, *, anagrams: bool = True) -> float:
    """Return the share of letters in common; 0 if it is too small to matter."""
    if anagrams and sorted(one) == sorted(other):
        return 1.0
    shorter, longer = sorted((len(one), len(other)))
    if shorter < _LEAST_LETTERS or 2 * shorter < _LEAST_LIKENESS * (shorter + longer):
        return 0.0
    return SequenceMatcher(None, one, other, autojunk=False).ratio()
