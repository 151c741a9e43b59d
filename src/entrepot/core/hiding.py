"""Texts without what looks like a token in them: somebody may have sent one where a name belongs."""

from __future__ import annotations

import re

HIDDEN = "[secret]"
_SECRET = re.compile(
    r"eyJ[\w-]{10,}(?:\.[\w-]+){1,4}"  # JSON Web Tokens, and ours that look like them
    r"|entrepot(?:-[a-z]+)?_[\w-]{20,}",
    re.ASCII,
)


def without_secrets(text: str) -> str:
    """A text as it may be logged, kept and answered."""
    return _SECRET.sub(HIDDEN, text)
