"""Folders on disk whose content a build may read, and how they go when their process is gone.

Builds run as nobody where the server runs as root; what they are given must then lie where everybody may pass.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from entrepot.core.errors import SandboxUnavailable

NOBODY = 65534
"""User and group that builds have inside, and outside where we are root."""
PREFIX = "entrepot-builds-"
_lock = threading.Lock()
_shelters: dict[int, tuple[Path, int]] = {}
"""Of this process (by its id, as a fork has none): its folder and the descriptor that holds its lock."""


def is_root() -> bool:
    return os.geteuid() == 0


def workplace(data_dir: Path) -> Path:
    """The folder in which to make folders that builds are given: that of the data folder, or one in the system's
    temporary folder where the sandbox's user could not come to the former.

    The folders made in it must be passable and readable by others if we are root, and have unguessable names.

    Raises:
        SandboxUnavailable: no folder is passable.
    """
    usual = data_dir / "tmp"
    if usual.is_dir() and (not is_root() or is_passable(usual)):
        return usual
    return shelter()


def is_passable(folder: Path) -> bool:
    """Whether everybody may pass through `folder` and all that it is in."""
    real = folder.resolve()
    try:
        return all(part.stat().st_mode & stat.S_IXOTH for part in (real, *real.parents))
    except OSError:
        return False


def shelter() -> Path:
    """This process's folder in the system's temporary folder: others may pass through it, not list it.

    A lock on the folder itself says that the process lives; the folder goes when it ends, or with `sweep`.

    Raises:
        SandboxUnavailable: no temporary folder is passable.
    """
    with _lock:
        held = _shelters.get(os.getpid())
        if held is not None and held[0].is_dir():
            return held[0]
        if held is None:
            atexit.register(_leave, os.getpid())
        else:
            os.close(held[1])
        path, descriptor = _made()
        _shelters[os.getpid()] = (path, descriptor)
        return path


def sweep() -> int:
    """Remove the folders of processes of this user that are gone; how many there were. For the server's start."""
    removed = 0
    for parent in {place for place in _temporary() if place.is_dir()}:
        for path in parent.glob(f"{PREFIX}*"):
            removed += remove_if_left(path)
    return removed


def remove_tree(folder: Path) -> None:
    """Remove `folder` with all in it, also what a build of our own user made unreadable; never follows links."""

    def opened(function: Callable[..., Any], path: str, _error: object) -> None:
        with suppress(OSError):
            parent = Path(path).parent
            for closed in (parent, Path(path)):
                if closed.is_relative_to(folder) and stat.S_ISDIR(closed.lstat().st_mode):
                    closed.chmod(0o700)
            if function in (os.unlink, os.rmdir):
                function(path)
            else:
                shutil.rmtree(path, ignore_errors=True)

    for _ in range(3):
        shutil.rmtree(folder, onerror=opened)
        if not os.path.lexists(folder):
            return


def _temporary() -> Iterator[Path]:
    for name in (tempfile.gettempdir(), "/tmp", "/var/tmp"):
        yield Path(name).resolve()


def _made() -> tuple[Path, int]:
    """A new folder under its lock, which nobody who sweeps has taken in between."""
    for parent in _temporary():
        if not parent.is_dir() or not (is_passable(parent) or not is_root()):
            continue
        for _ in range(10):
            path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if path.is_dir():
                os.fchmod(descriptor, 0o711)
                return path, descriptor
            os.close(descriptor)
    raise SandboxUnavailable(
        "no temporary folder is open to the user that builds run as",
        hint="set TMPDIR to a folder that everybody may pass through, such as /var/tmp",
    )


def remove_if_left(path: Path) -> bool:
    """Remove a folder of ours that nobody holds a lock on: its process is gone. Whether it was."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        if os.fstat(descriptor).st_uid != os.geteuid():
            return False
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        remove_tree(path)
        return True
    except OSError:  # it is locked: its process lives
        return False
    finally:
        os.close(descriptor)


def _leave(process: int) -> None:
    if process == os.getpid():
        with _lock:
            held = _shelters.pop(process, None)
        if held is not None:
            remove_tree(held[0])
            os.close(held[1])
