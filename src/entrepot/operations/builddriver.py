"""Builds a Python package from inside a sandbox. It is run by its path and never imported; standard library alone.

It finds in its environment: SRC, the tree; NEEDS, a folder of its path with what the build needs; TOOLS, the library
`build` and this file; WORK, where it may write; BUILD, a JSON object: `sub_dir`; `known`, the requirements in NEEDS;
`stop_at`, versions at which it ends, and `newest`, above which the version has to be.

Its standard output is one line of JSON, and then the bytes of what that lists:

    {"needs": ["wheel"]}                             it needs more, and nothing was built
    {"version": "1.0"}                               `stop_at` has the sdist's version, or it isn't above `newest`
    {"files": [["demo-1.0.tar.gz", 1200], ...]}      the sdist, then the wheel that was built from it

What went wrong is written to the standard error; then it ends with 1.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from build import ProjectBuilder

Result = tuple[dict[str, Any], list[Path]]
"""The line of JSON, and the files that follow it."""


class Failed(Exception):
    """What is wrong is said by its message."""


def main() -> int:
    """Build, and write the result to what was the standard output."""
    with os.fdopen(os.dup(1), "wb") as result:
        # Whatever a build backend prints is for people.
        os.dup2(2, 1)
        sys.path.insert(0, os.environ.pop("TOOLS"))
        source, needs = Path(os.environ.pop("SRC")), Path(os.environ.pop("NEEDS"))
        asked = json.loads(os.environ.pop("BUILD"))
        from build import BuildBackendException, BuildException

        try:
            header, paths = make(source, needs, asked)
        except (Failed, BuildException, tarfile.TarError) as error:
            tell(str(error))
            return 1
        except BuildBackendException as error:
            # A backend that ran has just shown its traceback.
            if not isinstance(error.exception, subprocess.CalledProcessError):
                tell(f"{error.exception}\n{error}")
            return 1
        result.write(json.dumps(header).encode() + b"\n")
        for path in paths:
            with path.open("rb") as file:
                shutil.copyfileobj(file, result, 1 << 20)
    return 0


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def make(source: Path, needs: Path, asked: dict[str, Any]) -> Result:
    """The sdist of a tree and the wheel of that sdist; or what is needed before."""
    from build import ProjectBuilder

    work = Path(os.environ["WORK"])
    shutil.copytree(source, work / "tree", symlinks=True)
    python = make_environment(needs, work / "environment")
    builder = ProjectBuilder(work / "tree" / asked["sub_dir"], str(python))
    if lacking := more(builder, ("sdist", "wheel"), asked["known"]):
        return {"needs": lacking}, []
    sdist = made(builder, "sdist", work / "sdist", ".tar.gz")
    unpacked, version = unpack(sdist, work / "unpacked")
    if is_at_end(version, asked["stop_at"], asked["newest"]):
        return {"version": version}, []
    builder = ProjectBuilder(unpacked, str(python))
    if lacking := more(builder, ("wheel",), asked["known"]):
        return {"needs": lacking}, []
    wheel = made(builder, "wheel", work / "wheel", ".whl")
    return {"files": [[path.name, path.stat().st_size] for path in (sdist, wheel)]}, [sdist, wheel]


def make_environment(needs: Path, root: Path) -> Path:
    """A virtual environment of what the build needs; the path of its Python."""
    minor = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    programs, packages = root / "bin", root / "lib" / minor
    programs.mkdir(parents=True)
    packages.mkdir(parents=True)
    own = Path(sys.executable).resolve()
    (root / "pyvenv.cfg").write_text(f"home = {own.parent}\ninclude-system-site-packages = false\n", encoding="utf-8")
    (root / "lib64").symlink_to("lib")
    (packages / "site-packages").symlink_to(needs)
    python = programs / "python"
    python.symlink_to(own)
    for name in ("python3", minor):
        (programs / name).symlink_to("python")
    for script in sorted((needs / "bin").glob("*")):
        add_script(script, programs / script.name, python)
    os.environ.update(VIRTUAL_ENV=str(root), PATH=f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}")
    return python


def add_script(script: Path, target: Path, python: Path) -> None:
    """A program of what the build needs; one in Python runs in the environment."""
    if target.exists() or not script.is_file():
        return
    with script.open("rb") as file:
        first = file.readline(4096)
        if first == b"#!/bin/sh\n" and file.readline(4096).startswith(b"'''exec' "):
            first = b"#!python"  # the path of a Python that no line of that kind has room for: it ends with the third
            file.readline(4096)
        if first[:2] == b"#!" and b"python" in first:
            target.write_bytes(f"#!{python}\n".encode() + file.read())
            target.chmod(0o755)
        else:
            target.symlink_to(script)


def more(builder: ProjectBuilder, kinds: Iterable[Literal["sdist", "wheel"]], known: Iterable[str]) -> list[str]:
    """What the backend wants besides what is there."""
    wanted: set[str] = set()
    return sorted(wanted.union(*(builder.get_requires_for_build(kind) for kind in kinds)).difference(known))


def made(builder: ProjectBuilder, kind: Literal["sdist", "wheel"], folder: Path, suffix: str) -> Path:
    """Build one of the two; the file."""
    tell(f"building the {kind}")
    path = Path(builder.build(kind, folder))
    if path.is_symlink() or not path.is_file() or not path.name.endswith(suffix):
        raise Failed(f"build_{kind} gave {path.name!r}, which is no file {suffix}")
    return path


def unpack(sdist: Path, folder: Path) -> tuple[Path, str]:
    """The folder in an sdist, unpacked, and the version that it says it has."""
    folder.mkdir()
    with tarfile.open(sdist) as tar:
        if hasattr(tarfile, "data_filter"):
            tar.extractall(folder, filter="data")
        else:
            tar.extractall(folder)  # a Python of before that: it can only hurt what it is built in
    found = list(folder.iterdir())
    if len(found) != 1 or not (found[0] / "PKG-INFO").is_file():
        raise Failed(f"{sdist.name} is no sdist: it has to have one folder with a PKG-INFO")
    with (found[0] / "PKG-INFO").open("rb") as file:
        return found[0], str(BytesHeaderParser().parse(file).get("Version", ""))


def is_at_end(version: str, stop_at: Iterable[str], newest: str | None) -> bool:
    """Whether nothing more is to be built of a version."""
    from packaging.version import InvalidVersion, Version

    try:
        own = Version(version)
    except InvalidVersion:
        raise Failed(f"the version {version[:100]!r} of the sdist is none (PEP 440)") from None
    return any(own == Version(one) for one in stop_at) or (newest is not None and own <= Version(newest))


if __name__ == "__main__":
    sys.exit(main())
