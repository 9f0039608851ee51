"""Words of names, as searches compare them."""

import re
import unicodedata

_WORD = re.compile(r"[^\W_]+")


def words(text: str) -> tuple[str, ...]:
    """Return the different words of a text without case and accents: Łukasz Müller-Voß → …

    Letters that are no accented form of another stay: ł is not l.
    """
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(char for char in decomposed if not unicodedata.combining(char))
    return tuple(dict.fromkeys(_WORD.findall(plain)))


def last_with(prefix: str) -> str:
    """Return a text that is greater than every text with this prefix, and not than any other."""
    return prefix + "\U0010ffff"
