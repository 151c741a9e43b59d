"""Builds Python packages: the sdist of a tree and the wheel of that sdist, in a sandbox, at the right version."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

from packaging.version import Version

from entrepot.app import App
from entrepot.core.errors import BuildFailed, Invalid
from entrepot.core.jobs import Log
from entrepot.core.model import PackageName
from entrepot.core.room import needs_room
from entrepot.ecosystems.python import build as projects
from entrepot.ecosystems.python.build import Files, Project
from entrepot.ecosystems.python.distribution import read_distribution
from entrepot.ecosystems.python.metadata import Distribution
from entrepot.operations.buildneeds import fetch_needs
from entrepot.operations.builds import Ask, Built
from entrepot.operations.pythonprogram import PythonProgram, find_python
from entrepot.sandbox.box import Sandbox
from entrepot.sandbox.task import Check, Task

__all__ = ["PythonProgram", "build_python", "find_python", "read_name"]

ROUNDS = 6
"""How often a build may ask for more than it has."""
_DRIVER = "builddriver.py"
_TOOLS = ("build", "pyproject_hooks", "packaging")
_TOML = "import tomlkit\nfrom tomlkit.exceptions import ParseError as TOMLDecodeError\n\n\n"
_TOML += (
    "def loads(text):\n    return tomlkit.parse(text).unwrap()\n\n\ndef load(file):\n    return loads(file.read())\n"
)
_HAS_TOML = (3, 11)
_EARLIEST = 315_532_800
"""1980 began: no file in a zip is older."""
_LONGEST_HEADER = 1 << 20
_SUFFIXES = (".tar.gz", ".whl")
_PIECE = 1 << 20


def read_name(ask: Ask) -> PackageName | None:
    """The name that the files of the project give without running anything; None: they don't."""
    try:
        return projects.read_project(_files(ask)).name
    except Invalid:
        return None


def build_python(app: App, sandbox: Sandbox, ask: Ask, folder: Path, *, log: Log, check: Check) -> Built:
    """Build the sdist and the wheel (`operations.builds.Build`)."""
    try:
        with (
            needs_room("the package could not be built"),
            tempfile.TemporaryDirectory(prefix="work-", dir=folder, ignore_cleanup_errors=True) as work,
        ):
            # A sandbox may run as somebody else.
            folder.chmod(0o755)
            Path(work).chmod(0o755)
            bench = _Bench(app, sandbox, ask, find_python(app.settings), Path(work), log, check)
            found = _at_its_version(bench)
            return _published(ask, found, folder)
    except Invalid as error:
        raise BuildFailed(error.message, hint=error.hint) from error


@dataclass(slots=True)
class _Bench:
    """What the builds of one package share. `known` are the requirements in the folder `needs`."""

    app: App
    sandbox: Sandbox
    ask: Ask
    python: PythonProgram
    work: Path
    log: Log
    check: Check
    known: list[str] = field(default_factory=list)
    needs: Path | None = None
    runs: int = 0


@dataclass(frozen=True, slots=True)
class _Found:
    """What one build gave: files, or only the `version` at which it stopped."""

    version: str
    files: tuple[tuple[Path, Distribution], ...]


def _files(ask: Ask) -> Files:
    names = (projects.PYPROJECT, projects.SETUP_CFG, projects.SETUP_PY)
    return Files(*(ask.checkout.read(_at(ask, name), projects.LARGEST[name]) for name in names))


def _at(ask: Ask, name: str) -> str:
    return f"{ask.sub_dir}/{name}" if ask.sub_dir else name


# --- versions ------------------------------------------------------------------------------------------------------


def _at_its_version(bench: _Bench) -> _Found:
    """Build at the version that is meant."""
    ask = bench.ask
    ask.checkout.folder(ask.sub_dir)  # that there is none is told before what isn't in it
    files = _files(ask)
    project = projects.read_project(files)
    _check_name(ask, project.name)
    if ask.tag is not None and project.version is not None:
        _check_tag(ask.tag, project.version)
    bench.log(f"built with Python {bench.python.version} ({bench.python.path})")
    _fetch(bench, project.requires)
    if ask.tag is not None:
        found = _build(bench)
        _check_tag(ask.tag, found.version)
        return found
    if project.version is not None:
        return _stamped(bench, files, project, project.version)
    stop_at = [project.guess] if project.guess is not None and _is_version(project.guess) else []
    found = _build(bench, newest=ask.newest, stop_at=stop_at)
    if found.files:
        if not projects.is_above(found.version, ask.newest):
            raise _unreadable()
        return found
    return _stamped(bench, files, project, found.version)


def _check_tag(tag: str, version: str) -> None:
    if not projects.is_named_by(tag, version):
        raise BuildFailed(
            f"the tag {tag!r} does not name the package's version, which is {version}",
            hint=f"name the tag {version} or v{version}, or change the version",
        )


def _stamped(bench: _Bench, files: Files, project: Project, own: str) -> _Found:
    """Build after the version was made the commit's."""
    ask = bench.ask
    version = projects.commit_version(own, ask.stamp, ask.newest)
    if not projects.is_of(version, own):
        bench.log(f"its version {own} is below {ask.newest}, which was built before")
    bench.log(f"the version of this commit is {version}")
    for name, content in projects.with_version(files, project.place, version, own=own).items():
        ask.checkout.replace(_at(ask, name), content)
    found = _build(bench, environment=projects.environment_of(version, project.place))
    if Version(found.version) != Version(version):
        raise BuildFailed(f"the version was set to {version}, but {found.version} was built")
    return found


def _is_version(text: str) -> bool:
    try:
        projects.read_version(text)
    except Invalid:
        return False
    return True


def _check_name(ask: Ask, name: PackageName | None) -> None:
    if ask.name is not None and name is not None and name != ask.name:
        raise BuildFailed(
            f"the package is called {name}, but the builder's name is {ask.name}",
            hint="give the builder the package's name, or --sub-dir the folder of another package",
        )


# --- one build -----------------------------------------------------------------------------------------------------


def _fetch(bench: _Bench, more: Sequence[str]) -> None:
    """Have what is known and more in a folder."""
    bench.known += more
    folder = bench.work / f"needs-{len(bench.known)}"
    folder.mkdir()
    folder.chmod(0o755)
    wanted = projects.read_requirements(bench.known)
    bench.needs = fetch_needs(bench.app, bench.python, wanted, folder, log=bench.log, check=bench.check)


def _build(
    bench: _Bench,
    *,
    newest: str | None = None,
    stop_at: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> _Found:
    """Build the tree as it is; whatever more its backend needs is fetched first.

    Args:
        newest, stop_at: it is given up where the version isn't above the first, or is one of the second.
    """
    folder = bench.ask.checkout.folder(bench.ask.sub_dir)
    for _ in range(ROUNDS):
        asked = {
            "sub_dir": str(folder.relative_to(bench.ask.checkout.root)),
            "known": bench.known,
            "newest": newest,
            "stop_at": list(stop_at),
        }
        result = _run(bench, asked, environment or {})
        with result.open("rb") as stream:
            header = _header(stream)
            if (more := header.get("needs")) is None:
                found = _found(bench, header, stream)
                if not found.files and newest is None and not stop_at:
                    raise _unreadable()
                return found
        result.unlink()
        _fetch(bench, _lines(more))
    raise BuildFailed(f"its build backend asks for something else each time: {', '.join(bench.known)[:500]}")


def _run(bench: _Bench, asked: dict[str, Any], environment: Mapping[str, str]) -> Path:
    """Run the driver; the file of its result."""
    assert bench.needs is not None
    bench.runs += 1
    result = bench.work / f"result-{bench.runs}"
    python, last = bench.python, [""]

    def log(line: str) -> None:
        last[0] = line.strip() or last[0]
        bench.log(line)

    task = Task(
        # Where the folders are is told by variables alone.
        ("/bin/sh", "-c", 'exec "$0" -I -S -B "$TOOLS/$1"', str(python.path), _DRIVER),
        folders={"SRC": bench.ask.checkout.root, "NEEDS": bench.needs, "TOOLS": _tools(bench)},
        programs=python.prefixes,
        environment={
            **environment,
            "BUILD": json.dumps(asked),
            "SOURCE_DATE_EPOCH": str(max(bench.ask.checkout.time, _EARLIEST)),
            "PYTHONUNBUFFERED": "1",
        },
    )
    try:
        bench.sandbox.run(task, result, log=log, check=bench.check)
    except BuildFailed as error:
        if type(error) is BuildFailed and last[0]:
            raise BuildFailed(f"its build failed: {last[0][:500]}", hint=error.hint, **error.payload) from error
        raise
    return result


def _tools(bench: _Bench) -> Path:
    """The library `build` and what it needs, out of our own environment, and the driver."""
    tools = bench.work / "tools"
    if tools.exists():
        return tools
    tools.mkdir()
    names = _TOOLS if bench.python.minor >= _HAS_TOML else (*_TOOLS, "tomlkit")
    for name in names:
        package = Path(import_module(name).__file__ or "").parent
        shutil.copytree(package, tools / name, ignore=shutil.ignore_patterns("__pycache__"))
    if bench.python.minor < _HAS_TOML:
        (tools / "tomli.py").write_text(_TOML, encoding="utf-8")
    shutil.copy(Path(__file__).with_name(_DRIVER), tools)
    for path in (tools, *tools.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return tools


# --- what came of it, which nobody vouches for ---------------------------------------------------------------------


def _header(stream: BinaryIO) -> dict[str, Any]:
    line = stream.readline(_LONGEST_HEADER)
    try:
        header = json.loads(line)
    except (ValueError, RecursionError):
        header = None
    if not line.endswith(b"\n") or not isinstance(header, dict):
        raise _unreadable()
    return header


def _unreadable() -> BuildFailed:
    return BuildFailed(
        "what the build gave can't be read", hint="the package's build may have disturbed it; see its log"
    )


def _lines(told: object) -> list[str]:
    if not isinstance(told, list) or not told or not all(isinstance(line, str) for line in told):
        raise _unreadable()
    return told


def _found(bench: _Bench, header: dict[str, Any], stream: BinaryIO) -> _Found:
    """The files of a result, or the version at which it stopped."""
    version = header.get("version")
    if isinstance(version, str):
        return _Found(str(projects.read_version(version)), ())
    files = _sizes(header.get("files"))
    made = bench.work / f"made-{bench.runs}"
    made.mkdir()
    paths = [_taken(stream, made / name, size) for name, size in files]
    if stream.read(1):
        raise _unreadable()
    return _described(paths)


def _sizes(told: object) -> list[tuple[str, int]]:
    """(name, size) of an sdist and a wheel."""
    files: list[tuple[str, int]] = []
    for each in told if isinstance(told, list) else []:
        name, size = each if isinstance(each, list) and len(each) == 2 else (None, None)
        if not isinstance(name, str) or not isinstance(size, int) or size < 0 or isinstance(size, bool):
            raise _unreadable()
        if Path(name).name != name or "\\" in name or not name.isprintable() or len(name) > 240:
            raise BuildFailed(f"the build gave a file named {name[:100]!r}")
        files.append((name, size))
    suffixes = tuple(next((suffix for suffix in _SUFFIXES if name.endswith(suffix)), "") for name, _ in files)
    if suffixes != _SUFFIXES:
        raise BuildFailed(f"the build gave {[name for name, _ in files]}, not an sdist and a wheel")
    return files


def _taken(stream: BinaryIO, target: Path, size: int) -> Path:
    """The next `size` bytes as a file."""
    with target.open("xb") as file:
        while size:
            piece = stream.read(min(size, _PIECE))
            if not piece:
                raise _unreadable()
            file.write(piece)
            size -= len(piece)
    return target


def _described(paths: Sequence[Path]) -> _Found:
    """Both files as they say that they are, which has to be the same."""
    files: list[tuple[Path, Distribution]] = []
    for path in paths:
        with path.open("rb") as stream:
            found = read_distribution(stream, file_name=path.name, size=path.stat().st_size)
        files.append((path, found))
    (_, sdist), (_, wheel) = files
    if (sdist.project, sdist.version) != (wheel.project, wheel.version):
        raise BuildFailed(
            f"the sdist is {sdist.name} {sdist.version}, but the wheel that was built from it is "
            f"{wheel.name} {wheel.version}"
        )
    return _Found(sdist.version, tuple(files))


def _published(ask: Ask, found: _Found, folder: Path) -> Built:
    """The files in the folder where the caller wants them, if they are of the right package."""
    project = found.files[0][1].project
    _check_name(ask, project)
    paths = [path.rename(folder / path.name) for path, _ in found.files]
    return Built(project, found.version, tuple(paths))
