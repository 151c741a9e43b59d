"""Texts that others wrote, without what changes more than itself where they are shown."""

from __future__ import annotations

import re

_ODD = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f"
    r"\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_ENDS = re.compile("\r\n?|[\u0085\u2028\u2029]")


def plain(text: str) -> str:
    """A text without control characters and without those that turn the direction of text or show nothing; each end of
    a line is a newline."""
    if text.isascii() and text.isprintable():
        return text
    return _ODD.sub("", _ENDS.sub("\n", text))
