"""URLs as they may be shown to people and written to logs."""

from __future__ import annotations

import re

# To the last "@": some accept a password with "/", "?" or "#" in it, and too much cut out is better than too little.
_LOGIN = re.compile(r"(?<!/)//(?!/).*@", re.DOTALL)


def shown(url: str) -> str:
    """`url` for messages: `***` in place of user and password, and of the query (signed URLs carry secrets there)."""
    bare, question, _ = _LOGIN.sub("//***@", url).partition("#")[0].partition("?")
    return bare + ("?***" if question else "")
