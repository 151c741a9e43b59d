"""The paths of what is in an archive."""

from __future__ import annotations

from entrepot.core.errors import InvalidArchive


def check_path(path: str) -> list[str]:
    """The parts of a member's path.

    Raises:
        InvalidArchive: it may lead out of the place of unpacking, on some system.
    """
    if path.startswith("/") or path[1:2] == ":":
        raise InvalidArchive(f"{shown(path)} in it has an absolute path")
    if "\\" in path or any(ord(letter) < 32 or letter == "\x7f" for letter in path):
        raise InvalidArchive(f"{shown(path)} in it has a backslash or a control character in its path")
    parts = path.split("/")
    if not {"", ".", ".."}.isdisjoint(parts):
        raise InvalidArchive(f"{shown(path)} in it has an empty, '.' or '..' part in its path")
    return parts


def shown(path: str) -> str:
    """A path for a message."""
    return repr(path if len(path) <= 100 else path[:100] + "...")
