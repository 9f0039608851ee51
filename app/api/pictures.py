"""Decode base64 pictures in the variants that clients send."""

from contextlib import suppress

import pybase64

_LINE_BREAKS = b"\t\r\n"
_TO_STANDARD = bytes.maketrans(b"-_ ", b"+/+")
_QUOTED = ('"', "'", 'b"', "b'")  # the latter two: Python's repr of bytes
_SAMPLE = 4096  # characters; enough to see whether lines have equal lengths
_MAX_PREFIX = 200  # characters of a data URL before its comma


def decode(text: object) -> bytes:
    """Return the bytes of a base64 picture, with or without a data URL's prefix.

    Bytes are a picture from a form, and stay as they are. Accept both base64 alphabets, line breaks
    and missing padding. Raise ValueError with a predicate such as "is empty"; the caller adds the
    field's name.
    """
    if isinstance(text, bytes):
        if not text:
            raise ValueError("is empty")
        return text
    if not isinstance(text, str):
        raise ValueError("must be a picture in base64")
    text = _payload(text)
    if not text or text.isspace():
        raise ValueError("is empty")
    with suppress(ValueError):
        return pybase64.b64decode(text, validate=True)
    return _decode_leniently(text)


def _payload(text: str) -> str:
    text = text.lstrip()
    if text.startswith(_QUOTED):
        raise ValueError("has quotation marks around it, send it without them")
    if text[:5].lower() != "data:":
        return text
    prefix, _, payload = text.partition(",")
    if len(prefix) > _MAX_PREFIX:
        raise ValueError("is not base64")
    if not prefix.lower().replace(" ", "").endswith(";base64"):
        raise ValueError("is a data URL, but not in base64")
    return payload


def _decode_leniently(text: str) -> bytes:
    try:
        encoded = text.encode("ascii").strip()
    except UnicodeEncodeError:
        raise ValueError("is not base64") from None
    if (b"-" in encoded or b"_" in encoded) and (b"+" in encoded or b"/" in encoded):
        raise ValueError("mixes the two alphabets of base64, with + and / and with - and _")
    lost_plus_signs = b" " in encoded and _spaces_were_plus_signs(encoded)
    ignored = _LINE_BREAKS if lost_plus_signs else _LINE_BREAKS + b" "
    encoded = encoded.translate(_TO_STANDARD, ignored)
    if len(encoded) % 4:
        encoded = encoded.rstrip(b"=")
        encoded += b"=" * (-len(encoded) % 4)
    try:
        decoded = pybase64.b64decode(encoded, validate=True)
    except ValueError:
        raise ValueError("is not base64") from None
    if lost_plus_signs:
        raise ValueError("has spaces where + signs were, a form or a web address changed them")
    return decoded


def _spaces_were_plus_signs(encoded: bytes) -> bool:
    """Return whether spaces replace `+`, rather than break or indent lines of equal length."""
    lines = encoded[:_SAMPLE].split()[:-1]
    with_spaces = len(encoded) - sum(encoded.count(sign) for sign in (b"\t", b"\r", b"\n"))
    without = with_spaces - encoded.count(b" ")
    in_lines = len({len(line) for line in lines}) <= 1 and (len(lines) > 1 or without % 4 == 0)
    return not in_lines and with_spaces % 4 != 1
