"""URLs that may be shown and written down: those of databases hold passwords."""

from __future__ import annotations

import re

HIDDEN = "***"
_OF_USER = re.compile(r"(://[^:@/]*):.*@", re.DOTALL)
_OF_USER_AMISS = re.compile(r":.*@", re.DOTALL)
"""Where the `//` was forgotten, and nobody can say what is user and what password."""
_OPTION = re.compile(r"([?&](?:ssl)?pass(?:word|wd)?=)[^&]*", re.IGNORECASE)


def hide_passwords(word: str) -> str:
    """A word of a command line, such as a URL or `tune.storage=URL`, with `***` for each password of a URL in it.

    >>> hide_passwords("tune.storage=postgresql://me:secret@host/db")
    'tune.storage=postgresql://me:***@host/db'
    """
    return _OPTION.sub(rf"\1{HIDDEN}", _OF_USER.sub(rf"\1:{HIDDEN}@", word))


def hide_password(url: str) -> str:
    """As `hide_passwords`, for what was meant as a URL even where it is none."""
    return hide_passwords(url) if "://" in url else _OF_USER_AMISS.sub(f":{HIDDEN}@", url)
