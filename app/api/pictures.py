"""Pictures in base64, as clients in many languages write it."""

from contextlib import suppress

import pybase64

_LINES = b"\t\r\n"
_TO_STANDARD = bytes.maketrans(b"-_ ", b"+/+")
_QUOTED = ('"', "'", 'b"', "b'")  # as Python prints bytes
_FIRST = 4096  # characters, in which the length of lines shows
_LONGEST_HEAD = 200  # of a data URL


def decode(text: object) -> bytes:
    """The bytes of a picture in base64, with or without the prefix of a data URL.

    Both alphabets of base64 are taken, lines may be broken, and padding may be missing. Raises
    ValueError, whose message says what is wrong, without a subject.
    """
    if not isinstance(text, str):
        raise ValueError("must be a picture in base64")
    text = _payload(text)
    if not text or text.isspace():
        raise ValueError("is empty")
    with suppress(ValueError):
        return pybase64.b64decode(text, validate=True)
    return _as_clients_write_it(text)


def _payload(text: str) -> str:
    text = text.lstrip()
    if text.startswith(_QUOTED):
        raise ValueError("has quotation marks around it, send it without them")
    if text[:5].lower() != "data:":
        return text
    head, _, payload = text.partition(",")
    if len(head) > _LONGEST_HEAD:
        raise ValueError("is not base64")
    if not head.lower().replace(" ", "").endswith(";base64"):
        raise ValueError("is a data URL, but not in base64")
    return payload


def _as_clients_write_it(text: str) -> bytes:
    try:
        encoded = text.encode("ascii").strip()
    except UnicodeEncodeError:
        raise ValueError("is not base64") from None
    if (b"-" in encoded or b"_" in encoded) and (b"+" in encoded or b"/" in encoded):
        raise ValueError("mixes the two alphabets of base64, with + and / and with - and _")
    changed = b" " in encoded and _were_plus_signs(encoded)
    encoded = encoded.translate(_TO_STANDARD, _LINES if changed else _LINES + b" ")
    if len(encoded) % 4:
        encoded = encoded.rstrip(b"=")
        encoded += b"=" * (-len(encoded) % 4)
    try:
        decoded = pybase64.b64decode(encoded, validate=True)
    except ValueError:
        raise ValueError("is not base64") from None
    if changed:
        raise ValueError("has spaces where + signs were, a form or a web address changed them")
    return decoded


def _were_plus_signs(encoded: bytes) -> bool:
    """Whether spaces stand for `+`, and do not break or indent lines, which are of one length."""
    lines = encoded[:_FIRST].split()[:-1]
    with_spaces = len(encoded) - sum(encoded.count(sign) for sign in (b"\t", b"\r", b"\n"))
    without = with_spaces - encoded.count(b" ")
    in_lines = len({len(line) for line in lines}) <= 1 and (len(lines) > 1 or without % 4 == 0)
    return not in_lines and with_spaces % 4 != 1
