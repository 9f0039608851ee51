"""Words of names, as searches compare them."""

import re
import unicodedata

_WORD = re.compile(r"[^\W_]+")


def words(text: str) -> tuple[str, ...]:
    """Return the different words of a text without case and accents: Müller-Voß → muller, voss.

    Letters that are no accented form of another stay: ł is not l.
    """
    decomposed = unicodedata.normalize("NFKD", text)
    plain = "".join(char for char in decomposed if not unicodedata.combining(char))
    return tuple(dict.fromkeys(_WORD.findall(plain.casefold())))


def last_with(prefix: str) -> str:
    """Return the upper bound of the texts with this prefix."""
    return prefix + "\U0010ffff"
