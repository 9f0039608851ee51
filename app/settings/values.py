"""Types of settings' values, and the cleaning that every value gets first."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, SecretStr, Tag

# The folder of entry.py. Relative paths start here, so a start from another folder finds the same
# files and therefore the same employees.
ROOT = Path(__file__).parent.parent.parent

_QUOTES = "\"'`“”„‟‘’‚‛«»"
_INVISIBLE = "\ufeff\u200b\u2060"  # byte-order mark, zero-width space, word joiner


@dataclass(frozen=True)
class Kind:
    """What a type of value is called in docs/settings.md."""

    name: str


def _day(value: object) -> date:
    """Return the day that is written as 2027-03-31."""
    if isinstance(value, date):
        return value
    try:
        return datetime.strptime(str(value), "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise ValueError("must be a day, written as 2027-03-31") from None


Day = Annotated[date, BeforeValidator(_day), Kind("day")]


def stripped(value: str, *, exact: bool) -> str:
    """Return the value without surrounding white space and byte-order marks.

    Files and `echo` leave them there. exact: remove line ends only, unless nothing else is left;
    blanks may be part of a password.
    """
    bare = value
    while bare != (shorter := bare.strip().strip(_INVISIBLE)):
        bare = shorter
    return value.strip("\r\n") if exact and bare else bare


def fault(value: str, *, exact: bool, several: bool) -> str | None:
    """Return what the value must be, as the rest of a sentence; None if nothing is wrong with it.

    exact: allow quotation marks around it. several: allow line breaks between entries.
    """
    kinds = {unicodedata.category(letter) for letter in value if not several or letter.strip()}
    if "Cs" in kinds:
        return "must be UTF-8 text"
    if kinds & {"Cc", "Zl", "Zp"}:
        return "must not contain line breaks or other control characters"
    if not exact and len(value) > 1 and value[0] in _QUOTES and value[-1] in _QUOTES:
        return "must not be in quotation marks"
    return None


def without_credentials(values: dict[str, object]) -> dict[str, object]:
    """Move the user and password of LIVENESS_SERVICE_URL into settings that are never shown."""
    address = values.get("liveness_service_url")
    held = re.fullmatch(r"(https?://)([^/?#]*)@(.*)", address) if isinstance(address, str) else None
    if not held:
        return values
    username, _, password = held[2].partition(":")
    return {
        "liveness_username": unquote(username),
        "liveness_password": unquote(password),
        **values,
        "liveness_service_url": held[1] + held[3],
    }


def is_file(milvus_uri: str | None) -> bool:
    """Return whether it names a file, which milvus-lite opens inside the process."""
    return bool(milvus_uri and milvus_uri.endswith(".db"))


def _destination(value: str) -> str:
    return "stdout" if value.lower() == "stdout" else str(ROOT / value)


def _web_address(value: str) -> str:
    if not re.fullmatch(r"https?://.+", value):
        raise ValueError("must look like http://host:port")
    return value.rstrip("/")


def _sha256(value: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", value):
        raise ValueError("must be 64 hexadecimal digits")
    return value


def _redis_address(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"(rediss?|redis\+unix)://.+", value.get_secret_value()):
        raise ValueError("must look like redis://host:port")
    return value


def _origins(value: str) -> str:
    for origin in value.split():
        if not re.fullmatch(r"\*|https?://[^/\s*]+", origin):
            raise ValueError("must be origins like https://host:port, separated by white space")
    return value


def _milvus_address(value: str) -> str:
    if not re.fullmatch(r"https?://[^@/]+/?|[^:@]+\.db", value):
        raise ValueError(
            "must look like http://host:port, or be a file that ends in .db; "
            "user and password go into MILVUS_TOKEN"
        )
    return str(ROOT / value) if is_file(value) else value.rstrip("/")


_FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF", "GIF", "TIFF", "BMP")
ALL_FORMATS = " ".join(_FORMATS)


def _formats(value: str) -> str:
    formats = value.upper().split()
    if not formats or not set(formats) <= set(_FORMATS):
        raise ValueError(f"must be some of {', '.join(_FORMATS)}, separated by white space")
    return " ".join(formats)


AbsolutePath = Annotated[Path, AfterValidator(lambda path: ROOT / path), Kind("path")]
AuditDestination = Annotated[str, AfterValidator(_destination), Kind("path, or `stdout`")]
WebAddress = Annotated[str, AfterValidator(_web_address), Kind("`http(s)://host:port`")]
Sha256 = Annotated[str, AfterValidator(_sha256), Kind("64 hexadecimal digits")]
RedisAddress = Annotated[SecretStr, AfterValidator(_redis_address), Kind("`redis://host:port`")]
Origins = Annotated[str, AfterValidator(_origins), Kind("origins")]
MilvusAddress = Annotated[
    str, AfterValidator(_milvus_address), Kind("`http(s)://host:port`, or a file `*.db`")
]
ImageFormats = Annotated[str, AfterValidator(_formats), Kind("formats")]
Threshold = Annotated[
    Annotated[float, Field(ge=0, le=1), Tag("number")] | Annotated[Literal["auto"], Tag("auto")],
    Discriminator(lambda value: "auto" if value == "auto" else "number"),
    Kind("0 to 1, or `auto`"),
]
