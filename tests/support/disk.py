"""A disk of a few MiB that is really full when it is full: a tmpfs, which root may mount."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TRIES = 50


class NoDisk(Exception):
    """This machine lets us mount nothing."""


@dataclass(frozen=True, slots=True)
class Disk:
    """A mounted file system."""

    path: Path

    def fill(self, *, leave: int = 0) -> None:
        """Take all room but about `leave` bytes (whole KiB pages), also while others write there."""
        for _ in range(TRIES):
            self.make_room()
            try:
                with self._ballast.open("wb") as ballast:
                    room = os.statvfs(self.path)
                    os.posix_fallocate(ballast.fileno(), 0, room.f_bavail * room.f_frsize - leave)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
            else:
                return
        raise AssertionError(f"{self.path}: its room was taken by others {TRIES} times between a look and the taking")

    def make_room(self) -> None:
        self._ballast.unlink(missing_ok=True)

    @property
    def _ballast(self) -> Path:
        return self.path / "ballast"


@contextmanager
def mounted(path: Path, *, size: int) -> Iterator[Disk]:
    """A disk of `size` bytes at `path`, gone at the end whoever still has files open on it.

    Raises:
        NoDisk
    """
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except OSError as error:
        raise NoDisk(f"no mount: {error}") from error
    if done.returncode != 0:
        raise NoDisk(done.stderr.strip() or "mount failed")
    try:
        yield Disk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
