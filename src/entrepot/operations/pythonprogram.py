"""The Python that builds packages: which one it is, and whether a sandbox can use it."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import metadata
from pathlib import Path

from packaging.specifiers import SpecifierSet

from entrepot.core.errors import InvalidSettings, Unavailable
from entrepot.settings import Settings

PATIENCE = 30
"""Seconds that an interpreter has to tell its version."""
SYSTEM = Path("/usr")
"""What every sandbox has."""
_HINT = "set [git] python to a Python that every user of this machine may read, such as /usr/bin/python3"
_ASK = """
import json, os, sys
path = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
told = [path, "%d.%d.%d" % sys.version_info[:3], sys.base_prefix, sys.base_exec_prefix, os.path.dirname(os.__file__)]
json.dump(told, sys.stdout)
"""


@dataclass(frozen=True, slots=True)
class PythonProgram:
    """An interpreter that is no virtual environment.

    Attributes:
        path: of the program, without symbolic links.
        version: such as `3.11.2`.
        prefixes: folders besides /usr that it needs.
    """

    path: Path
    version: str
    prefixes: tuple[Path, ...]

    @property
    def minor(self) -> tuple[int, int]:
        major, minor, *_ = map(int, self.version.split("."))
        return major, minor


class _Unfit(Exception):
    """Why a Python can't build, in a few words."""


def find_python(settings: Settings) -> PythonProgram:
    """The Python of `[git] python`, else python3 of the PATH, that of the system or the server's own.

    Raises:
        InvalidSettings: the one of the settings doesn't do.
        Unavailable: none does.
    """
    if settings.git.python:
        try:
            return _probed(_program(Path(settings.git.python).expanduser()))
        except _Unfit as error:
            raise InvalidSettings(f"[git] python can't build packages: {error}", hint=_HINT) from None
    why: list[str] = []
    for path in dict.fromkeys(_candidates()):
        try:
            return _probed(path)
        except _Unfit as error:
            why.append(str(error))
    raise Unavailable(f"there is no Python that can build packages: {'; '.join(why)}", hint=_HINT)


def _candidates() -> Iterator[Path]:
    found = shutil.which("python3")
    if found is not None:
        yield Path(found)
    if (system := SYSTEM / "bin" / "python3").exists():
        yield system
    yield Path(sys.executable)


def _program(named: Path) -> Path:
    """The interpreter that a setting names: itself, or the folder that it is installed in."""
    if named.is_dir():
        return named / "bin" / "python3"
    if not named.is_absolute():
        found = shutil.which(str(named))
        if found is None:
            raise _Unfit(f"there is no {named} on the PATH")
        return Path(found)
    return named


def _probed(path: Path) -> PythonProgram:
    try:
        done = subprocess.run(
            [path, "-I", "-S", "-c", _ASK],
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE,
            check=False,
        )
        program, version, *folders = json.loads(done.stdout)
    except OSError as error:
        raise _Unfit(f"{path} can't be run ({error.strerror})") from None
    except (subprocess.TimeoutExpired, ValueError):
        raise _Unfit(f"{path} does not tell its version") from None
    python = PythonProgram(Path(program), version, _outside(map(Path, folders)))
    _check(python, [Path(folder) for folder in folders])
    return python


def _outside(folders: Iterable[Path]) -> tuple[Path, ...]:
    """Those that the system's don't contain, nor another one."""
    resolved = sorted({folder.resolve() for folder in folders})
    kept: list[Path] = []
    for folder in resolved:
        if not any(folder.is_relative_to(other) for other in (SYSTEM, *kept)):
            kept.append(folder)
    return tuple(kept)


def _check(python: PythonProgram, folders: Iterable[Path]) -> None:
    needs = metadata("build")["Requires-Python"] or ""
    if not SpecifierSet(needs).contains(python.version):
        raise _Unfit(f"{python.path} is Python {python.version}, and building needs {needs}")
    # A sandbox that root starts runs as nobody.
    if os.geteuid() == 0:
        for path in (python.path, *folders):
            if not _is_for_all(path.resolve()):
                raise _Unfit(f"{python.path} can be read by some users alone (see the modes of {path} and above it)")


def _is_for_all(path: Path) -> bool:
    """Whether every user can read a file or folder."""
    try:
        above = all(folder.stat().st_mode & stat.S_IXOTH for folder in path.parents)
        return above and bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False
