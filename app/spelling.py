"""How operators spell the names and values of settings."""

import re
import unicodedata
from collections.abc import Collection
from difflib import SequenceMatcher
from functools import cache

# What Kubernetes, OpenShift and Docker's links set for every service beside this one.
_INJECTED = re.compile(
    r".+_SERVICE_(HOST|PORT(_.+)?)|.+_PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?|.+_ENV_.+"
)
_MEANT = {
    "DATABASE": "DB",
    "FILE": "PATH",
    "PASS": "PASSWORD",
    "PASSWD": "PASSWORD",
    "PWD": "PASSWORD",
    "URI": "URL",
    "USER": "USERNAME",
}
# Words that the settings of other programs are made of, too.
_COMMON = re.compile(
    "DB|DIR|FACE|FORMAT|HOST|IMAGE|KEY|LEVEL|LOG|LOGIN|MAX|MB|MODEL|PASSWORD|PATH|PORT|READ|"
    "REQUEST|SERVICE|TIMEOUT|TOKEN|URL|USERNAME"
)
# Words that somebody adds without meaning another setting.
_FILLER = re.compile(
    "ALLOW|ALLOWED|BASE|CONNECTION|COUNT|DB|ENCRYPTION|LIST|MAX|NAME|NUMBER|PATH|SERVER|SERVICE|"
    "SIZE|STRING|VALUE"
)
_LONGEST = 60
_QUOTES = "\"'`“”„‟‘’‚‛«»"
_UNSEEN = "\ufeff\u200b\u2060"  # byte-order mark, zero-width space, word joiner


def stripped(value: str, *, exact: bool) -> str:
    """The value without what files and `echo` leave around it: white space, a byte-order mark.

    exact: blanks belong to it, as in a password, unless it is nothing else.
    """
    bare = _strip(value)
    return value.strip("\r\n") if exact and bare else bare


def _strip(value: str) -> str:
    while value != (less := value.strip().strip(_UNSEEN)):
        value = less
    return value


def fault(value: str, *, exact: bool, several: bool) -> str | None:
    """What a value must be, as a sentence, if this one is not.

    exact: quotation marks may belong to it. several: white space of any kind separates entries.
    """
    kinds = {unicodedata.category(letter) for letter in value if not several or letter.strip()}
    if "Cs" in kinds:
        return "must be UTF-8 text"
    if kinds & {"Cc", "Zl", "Zp"}:
        return "must be without line breaks and other control characters"
    if not exact and len(value) > 1 and value[0] in _QUOTES and value[-1] in _QUOTES:
        return "must be without quotation marks around it"
    return None


def nearest(name: str, known: Collection[str]) -> str | None:
    """The setting that the variable `name` is nearly called; None if it is like none of them.

    known: the settings, in capitals. Letters may be missing, added or swapped, words may be missing
    or in another order. Variables that an orchestrator sets are like none.
    """
    given = name.upper()
    if given in known or len(given) > _LONGEST or _INJECTED.fullmatch(given):
        return None
    vocabulary = frozenset(word for setting in known for word in _words(setting))
    words = [part for word in _words(given) for part in _parts(word, vocabulary)]
    unlike = {setting: _unlike(words, given, setting) for setting in known}
    near = {setting: letters for setting, letters in unlike.items() if letters is not None}
    return min(near, key=lambda each: (near[each], -_likeness(given, each)), default=None)


@cache
def _words(name: str) -> tuple[str, ...]:
    """In the singular, of synonyms always the same one."""
    return tuple(_plain(word) for word in re.findall(r"[A-Z]+|[0-9]+", name))


def _plain(word: str) -> str:
    if len(word) > 3 and word.endswith("S") and not word.endswith("SS"):
        word = word[:-3] + "Y" if word.endswith("IES") else word[:-1]
    return _MEANT.get(word, word)


@cache
def _joined(name: str) -> str:
    return re.sub("[^A-Z0-9]", "", name)


def _parts(word: str, vocabulary: frozenset[str]) -> list[str]:
    """The known words that `word` is written together of, or the word itself."""
    for length in range(len(word) - 1, 1, -1):
        if word not in vocabulary and (head := _plain(word[:length])) in vocabulary:
            rest = _parts(_plain(word[length:]), vocabulary)
            if vocabulary.issuperset(rest):
                return [head, *rest]
    return [word]


def _unlike(words: list[str], given: str, setting: str) -> int | None:
    """How many letters differ; None if it is more than a spelling that differs.

    words: those of `given`. Most of the setting's words must be among them, or all and a filler.
    """
    left, more = list(_words(setting)), list[str]()
    for word in words:
        match = next((other for other in left if _same_word(word, other)), None)
        if match is None:
            more.append(word)
        else:
            left.remove(match)
    found = [word for word in _words(setting) if word not in left]
    missing = sum(map(len, left))
    told = len(found) > 1 and not all(map(_COMMON.fullmatch, found))
    if told and not more and missing < sum(map(len, found)):
        return missing
    if told and not left and len(more) == 1 and _FILLER.fullmatch(more[0]):
        return len(more[0])
    one, other = _joined(given), _joined(setting)
    if _alike(one, other, 0.85):
        return round((1 - _likeness(one, other)) * len(one + other))
    return None


@cache
def _same_word(given: str, word: str) -> bool:
    return _alike(given, word, 0.8)


def _alike(given: str, known: str, least: float) -> bool:
    """Whether letters changed places, or so many of all letters are in common."""
    if 2 * min(len(given), len(known)) < least * (len(given) + len(known)):
        return False
    if sorted(given) == sorted(known):
        return True
    return len(known) > 4 and _likeness(given, known) >= least


def _likeness(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other, autojunk=False).ratio()
