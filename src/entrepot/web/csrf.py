"""The token against forged requests (CSRF) that goes with a browser's session: only a page of ours can know it."""

from __future__ import annotations

import hashlib
import hmac

HEADER = "X-CSRF-Token"
FIELD = "csrf_token"
"""The field of forms, where there is no script that could send the header."""


def csrf_of(session: str) -> str:
    """The token of a session, 64 hexadecimal digits; `session` is the text in the session's cookie."""
    return hmac.new(session.encode(), b"csrf", hashlib.sha256).hexdigest()


def is_csrf_token(given: str, session: str) -> bool:
    """Whether `given` is the token of that session."""
    return hmac.compare_digest(given.encode(), csrf_of(session).encode())
