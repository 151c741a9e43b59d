"""The tree of a commit on this machine, read and changed so that no symbolic link in it leads out of it."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from entrepot.core.errors import BuildFailed, Invalid
from entrepot.core.giturls import check_sub_dir

LARGEST_READ: Final = 8 * 1024**2
"""Bytes of a file that is read into memory."""
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Checkout:
    """What a commit holds, in a folder.

    Attributes:
        root: the folder, with Git's own in `.git`.
        commit: its id.
        time: of its committer, seconds since 1970.
        made: when its tag was made, if it was fetched by an annotated one; else `time`.
    """

    root: Path
    commit: str
    time: int
    made: int

    def folder(self, sub_dir: str) -> Path:
        """A folder of the tree; empty: its root.

        Raises:
            BuildFailed: it isn't there, isn't a folder, or a symbolic link leads to it.
        """
        parts = _parts(sub_dir)
        try:
            with self._opened(parts):
                return self.root.joinpath(*parts)
        except FileNotFoundError:
            raise BuildFailed(f"there is no folder {'/'.join(parts)} in the repository") from None

    def read(self, path: str, limit: int = LARGEST_READ) -> bytes | None:
        """What a file of the tree holds; None: there is none of that path.

        Raises:
            BuildFailed: it is no regular file, a symbolic link leads to it, or it has more than `limit` bytes.
        """
        *folders, name = _file_parts(path)
        try:
            with self._opened(folders) as parent:
                descriptor = _open_file(parent, name, path)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise BuildFailed(f"{path} in the repository has more than {limit:,} bytes")
        return data

    def replace(self, path: str, data: bytes) -> None:
        """Write a file of the tree, whole or not at all; it keeps its mode.

        Raises:
            BuildFailed: its folder isn't there, it is no regular file, or a symbolic link leads to it.
        """
        *folders, name = _file_parts(path)
        try:
            with self._opened(folders) as parent:
                _replace(parent, name, path, data)
        except FileNotFoundError:
            raise BuildFailed(f"there is no folder {'/'.join(folders)} in the repository") from None

    @contextmanager
    def _opened(self, parts: list[str]) -> Iterator[int]:
        """The descriptor of a folder, reached part by part without following links.

        Raises:
            FileNotFoundError: a part isn't there.
            BuildFailed: a part is no folder.
        """
        descriptor = os.open(self.root, _FOLDER)
        try:
            for n, part in enumerate(parts):
                try:
                    below = os.open(part, _FOLDER, dir_fd=descriptor)
                except OSError as error:
                    if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                        raise
                    raise _no_folder(descriptor, part, "/".join(parts[: n + 1])) from None
                os.close(descriptor)
                descriptor = below
            yield descriptor
        finally:
            os.close(descriptor)


def _parts(path: str) -> list[str]:
    try:
        return [part for part in check_sub_dir(path).split("/") if part]
    except Invalid as error:
        raise BuildFailed(error.message, hint=error.hint) from error


def _file_parts(path: str) -> list[str]:
    parts = _parts(path)
    if not parts:
        raise BuildFailed("the root of the repository is no file")
    return parts


def _no_folder(parent: int, part: str, path: str) -> BuildFailed:
    is_link = stat.S_ISLNK(os.stat(part, dir_fd=parent, follow_symlinks=False).st_mode)
    return BuildFailed(f"{path} in the repository is {'a symbolic link' if is_link else 'no folder'}")


def _open_file(parent: int, name: str, path: str) -> int:
    try:
        descriptor = os.open(name, _FILE, dir_fd=parent)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENXIO):
            raise
        raise _no_file(path) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _no_file(path)
    return descriptor


def _no_file(path: str) -> BuildFailed:
    return BuildFailed(f"{path} in the repository is no regular file")


def _replace(parent: int, name: str, path: str, data: bytes) -> None:
    mode = 0o644
    with suppress(FileNotFoundError):
        before = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if not stat.S_ISREG(before.st_mode):
            raise _no_file(path)
        mode = stat.S_IMODE(before.st_mode)
    aside = f".{secrets.token_hex(8)}"
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(data)
        os.rename(aside, name, src_dir_fd=parent, dst_dir_fd=parent)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(aside, dir_fd=parent)
        raise
