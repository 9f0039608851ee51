"""What values of settings look like, beyond text and numbers."""

import re
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote

from pydantic import AfterValidator, SecretStr

# Where entry.py is. Relative paths begin here, so that a start from another folder finds the same
# files, and the same employees.
ROOT = Path(__file__).parent.parent


def is_file(milvus_uri: str | None) -> bool:
    """Whether it names a file, which milvus-lite keeps inside the process."""
    return bool(milvus_uri and milvus_uri.endswith(".db"))


def without_secrets(values: dict[str, object]) -> dict[str, object]:
    """Take user and password out of LIVENESS_SERVICE_URL: nothing shows them then."""
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


AbsolutePath = Annotated[Path, AfterValidator(lambda path: ROOT / path)]
AuditDestination = Annotated[str, AfterValidator(_destination)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
Sha256 = Annotated[str, AfterValidator(_sha256)]
RedisAddress = Annotated[SecretStr, AfterValidator(_redis_address)]
Origins = Annotated[str, AfterValidator(_origins)]
MilvusAddress = Annotated[str, AfterValidator(_milvus_address)]
