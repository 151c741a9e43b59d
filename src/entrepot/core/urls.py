"""URLs as they may be shown to people and written to logs."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

# To the last "@": some accept a password with "/", "?" or "#" in it, and too much cut out is better than too little.
_LOGIN = re.compile(r"(?<!/)//(?!/).*@", re.DOTALL)
_LONGEST = 500
_ODD = re.compile(r"[\s<>\"\\]")


def is_link(url: str) -> bool:
    """Whether a page may lead there: http or https, to some host, without a login, and short enough to be shown."""
    if len(url) > _LONGEST or not url.isprintable() or _ODD.search(url):
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
    except ValueError:
        return False


def shown(url: str) -> str:
    """`url` for messages: `***` in place of user and password, and of the query (signed URLs carry secrets there)."""
    bare, question, _ = _LOGIN.sub("//***@", url).partition("#")[0].partition("?")
    return bare + ("?***" if question else "")
