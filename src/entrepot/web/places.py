"""Where the path of a package client's URL leads."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

from entrepot.core.errors import FileNotListed

FILES = "packages"
"""Files of Python projects are below this folder of a snapshot and, as `/packages/REPOSITORY/SNAPSHOT/...`, below that
of the server: bandersnatch takes files from nowhere else."""
LINUX = "__linux__"
"""Below it are the same indexes as elsewhere, and binary packages in the place of source packages."""
WITHOUT_SNAPSHOT = ("packages", "config.yaml")
"""What may follow a repository of Bioconductor at once, for `latest`."""
_ODD = re.compile(r"[/\\\x00-\x1f]")


class Place(NamedTuple):
    """Where a path leads: `/{repository}[/__linux__/{distribution}][/{snapshot}[/{tail}]]`, decoded.

    `tail` has no slash at its end. Repositories of Bioconductor may leave the snapshot out.
    """

    repo: str
    snapshot: str | None
    tail: str
    is_folder: bool
    distribution: str | None = None


def split_path(path: str) -> Place:
    """Where a path leads. Raises FileNotListed for what no client asks.

    Decoded after it was split: an encoded slash never becomes a path's.
    """
    parts = [unquote(part, errors="replace") for part in path.removeprefix("/").split("/")]
    is_folder = parts[-1] == ""
    if is_folder:
        parts.pop()
    if not parts or any(part in ("", ".", "..") or _ODD.search(part) for part in parts):
        raise FileNotListed("there is nothing at this path")
    if parts[0] == FILES and len(parts) == 5:
        return Place(parts[1], parts[2], "/".join([FILES, *parts[3:]]), is_folder)
    repo, rest, distribution = parts[0], parts[1:], None
    if rest[:1] == [LINUX] and len(rest) > 1:
        distribution, rest = rest[1], rest[2:]
    if rest and rest[0] in WITHOUT_SNAPSHOT:
        rest.insert(0, "latest")
    return Place(repo, rest[0] if rest else None, "/".join(rest[1:]), is_folder, distribution)
