"""Texts that may be shown and written down: URLs of databases, and what they are given, hold passwords."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote_plus

HIDDEN = "***"
_OF_USER = re.compile(r"(://[^:@/]*):.*@", re.DOTALL)
_OF_USER_AMISS = re.compile(r":.*@", re.DOTALL)
"""Where the `//` was forgotten, and nobody can say what is user and what password."""
_NO_PORT = re.compile(r"(://[^:@/\s]+):(?!\d*(?:[/?#\s]|$))[^/@\s]*")
"""Where the host was forgotten: what stands in the place of its port is none."""
_ODBC = re.compile(r"([?&]odbc_connect=)(?!\*\*\*)[^&\s]*(?:\s[^&]*)?", re.IGNORECASE)
_OPTION = re.compile(
    r"((?:(?<![a-z])|(?<=%3b)|(?<=%20))(?:(?:ssl|proxy)?pass(?:word|wd|phrase)?|pwd)\s*(?:=|%3d)\s*)"
    r"(\{[^}]*\}?|%7b.*?(?:%7d|$)|\"[^\"]*\"?|'[^']*'?|.+?)(?=[;&\s]|%3b|%26|$)",
    re.IGNORECASE,
)
"""As a URL, an ODBC driver and libpq are told: password=, Pwd={...}, PWD%3D."""


def hide_passwords(word: str) -> str:
    """A text, such as a word of a command line, with `***` for each password of a URL or a connection in it.

    >>> hide_passwords("tune.storage=postgresql://me:secret@host/db")
    'tune.storage=postgresql://me:***@host/db'
    """
    word = _OF_USER.sub(rf"\1:{HIDDEN}@", word)
    word = _NO_PORT.sub(rf"\1:{HIDDEN}", word)
    return _OPTION.sub(rf"\1{HIDDEN}", _ODBC.sub(rf"\1{HIDDEN}", word))


def hide_password(url: str) -> str:
    """As `hide_passwords`, for what was meant as a URL even where it is none."""
    return hide_passwords(url) if "://" in url else _OF_USER_AMISS.sub(f":{HIDDEN}@", hide_passwords(url))


def without_passwords(values: Any) -> Any:
    """Values with every text in them, however deep in mappings and lists, as it may be shown."""
    if isinstance(values, dict):
        return {key: without_passwords(value) for key, value in values.items()}
    if isinstance(values, (list, tuple)):
        return [without_passwords(value) for value in values]
    return hide_passwords(values) if isinstance(values, str) else values


def hide_secrets_of(url: str, text: str) -> str:
    """A text, such as what a driver says, without what is hidden of a URL, as it stands there or decoded."""
    for secret in sorted(_secrets(url), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return hide_passwords(text)


def _secrets(url: str) -> set[str]:
    found = [match[0].partition(":")[2].strip("/").partition(":")[2].rstrip("@") for match in _OF_USER.finditer(url)]
    found += [match[0].rpartition(":")[2] for match in _NO_PORT.finditer(url)]
    decoded = unquote_plus(url)
    found += [match[2].strip("{}\"'") for text in (url, decoded) for match in _OPTION.finditer(text)]
    return {form for secret in found for form in (secret, unquote_plus(secret)) if form}
