"""Token -> actor. In this version there is one token: the administrator's, a file in the data folder."""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import secrets
from pathlib import Path

from entrepot.core.errors import Forbidden, InvalidSettings, Unauthenticated

TOKEN_FILE = "admin.token"
ADMIN = "admin"
_HINT = "send the administrator's token: Authorization: Bearer TOKEN; the server keeps it in its data folder"


def admin_token(data_dir: Path) -> str:
    """The administrator's token of a data folder; made at the first call, readable by owner and group alone."""
    path = data_dir / TOKEN_FILE
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o750)
        _make(path)
        token = path.read_text("ascii").strip()
    except OSError as error:
        raise InvalidSettings(
            f"the administrator's token {path} can't be read: {error.strerror}",
            hint="run as the server's user or a member of its group, or use --address and --token",
        ) from error
    if not token:
        raise InvalidSettings(f"{path} is empty", hint="delete it and start the server again")
    return token


def _make(path: Path) -> None:
    if path.exists():
        return
    # Written aside and linked into place: no one can ever read half of a token.
    aside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640), "w") as file:
            file.write(f"entrepot_{secrets.token_urlsafe(32)}\n")
        try:
            os.link(aside, path)
        except FileExistsError:
            return
    finally:
        aside.unlink(missing_ok=True)


def actor_of(authorization: str | None, token: str) -> str:
    """Who sends this Authorization header (RFC 6750 Bearer, or Basic with the user `__token__`).

    Raises:
        Unauthenticated: there is none, or it can't be read.
        Forbidden: the token is not the administrator's.
    """
    if not authorization:
        raise Unauthenticated("this needs the administrator's token", hint=_HINT)
    scheme, _, value = authorization.partition(" ")
    given = value.strip()
    if scheme.lower() == "basic":
        try:
            user, _, given = base64.b64decode(given, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise Unauthenticated("the Authorization header can't be read", hint=_HINT) from None
        if user != "__token__":
            raise Unauthenticated("the user name of Basic authentication is __token__", hint=_HINT)
    elif scheme.lower() != "bearer":
        raise Unauthenticated(f"Authorization {scheme!r} is not understood", hint=_HINT)
    if not hmac.compare_digest(given.encode(), token.encode()):
        raise Forbidden("the token is not valid here", hint=_HINT)
    return ADMIN
