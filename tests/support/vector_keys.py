"""Keys for VECTOR_KEYS."""

import base64
import secrets


def new_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()
