"""The administrator's token of an installation: a file in its data folder, for whoever may read that."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from entrepot.core.errors import InvalidSettings

TOKEN_FILE = "admin.token"
ADMIN = "admin"


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
