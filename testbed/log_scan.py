"""What must be in no log. Every test's output and every service's log is searched for it."""

import re

_SECRETS = {
    "a picture": re.compile(r"[A-Za-z0-9+/]{256,}|JFIF|\\x89PNG|\\xff\\xd8"),
    "a feature vector": re.compile(r"(?:-?\d+\.\d+(?:e[-+]?\d+)?[,\s\[\]]+){6,}"),
    "bytes of a vector": re.compile(r"(?:\\x[0-9a-f]{2}.?.?){12,}"),
    "an API key": re.compile(r"(?<![\w.-])[\w-]{1,40}\.[\w-]{43}(?![\w-])"),
    "a key of 32 bytes": re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{43}=(?!=)"),
}


def leaks(text: str) -> list[str]:
    """Return the secrets found in the text, each with some of the text around it."""
    return [
        f"{what}: {text[max(0, match.start() - 100) : match.start() + 200]}"
        for what, pattern in _SECRETS.items()
        if (match := pattern.search(text))
    ]
