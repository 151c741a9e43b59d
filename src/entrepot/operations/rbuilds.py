"""Builds source packages of R from checkouts, with `R CMD build` in a sandbox."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from entrepot.app import App
from entrepot.core.errors import BuildFailed, BuildStopped, InvalidArchive, InvalidSettings, Unavailable
from entrepot.core.jobs import Log
from entrepot.core.model import PackageName
from entrepot.ecosystems.r import build, paths, tarball
from entrepot.ecosystems.r.build import Described, Said
from entrepot.operations import vignettes
from entrepot.operations.builds import Ask, Built
from entrepot.sandbox.box import Sandbox
from entrepot.sandbox.task import Check, Task
from entrepot.settings import Settings

_ANSWERS_WITHIN = 30.0
"""Seconds in which R has to tell its version."""
_SYSTEM = ("/usr", "/bin", "/lib", "/lib64", "/etc/R", "/etc/alternatives")
"""What a sandbox has anyway, of /etc/R without site files."""
_SITE_FILES = ("Renviron.site", "Rprofile.site")
_BESIDE = ("bin", "lib", "lib64", "libexec", "include")
"""What an R in a prefix of its own may need of that; the prefix may be somebody's home, so it isn't given whole."""
_LIBRARIES = ("lib", "lib64")
_VERSION = re.compile(r"R version ([0-9]+(?:\.[0-9]+)+)|R Under development \(unstable\) (\([^)]*\))")
_RESULT, _NEEDED = "result", "needed"

ENVIRONMENT: Mapping[str, str] = {
    # Set, but to nothing: no profile and no environment file, neither of the site nor of a user.
    **dict.fromkeys(("R_PROFILE", "R_PROFILE_USER", "R_ENVIRON", "R_ENVIRON_USER", "R_BUILD_ENVIRON"), ""),
    # No library but R's own, and that of what vignettes need.
    "R_LIBS_USER": "NULL",
    "R_LIBS_SITE": "NULL",
    "R_DEFAULT_INTERNET_TIMEOUT": "1",
}
"""Variables of every R that builds."""

# The result leaves by the first standard output, which nothing that the package brings has open. R follows links when
# it copies the package, so links spare it Git's own folder. Variables of ours don't reach the package's makefiles.
_SCRIPT = """
exec 3>&1 1>&2 </dev/null
umask 022
R="$1" OPTIONS="$2" FOLDER="$3" PACKAGE="$4" TARBALL="$5"
shift 5
cd "$WORK" || exit 1
mkdir -p lib built "source/$PACKAGE" || exit 1
R_LIBS="$WORK/lib"
export R_LIBS
for file in "$@"; do
    "$R" CMD INSTALL --library="$R_LIBS" --no-docs --no-multiarch --no-test-load --no-byte-compile "$NEEDED/$file" \\
        3>&- || exit 1
done
find "$TREE/$FOLDER" -mindepth 1 -maxdepth 1 ! -name .git -exec sh -c 'exec ln -s "$@" "$0"' "source/$PACKAGE" {} + ||
    exit 1
cd built || exit 1
"$R" CMD build $OPTIONS "../source/$PACKAGE" 3>&- || exit 1
[ ! -f "$TARBALL" ] || exec cat "$TARBALL" >&3
"""


@dataclass(frozen=True, slots=True)
class RProgram:
    """The R that builds.

    Attributes:
        path: its program, as it was found.
        version: such as 4.2.2.
        home: what `R RHOME` tells, without symbolic links.
        folders: what it needs beyond the system's own folders; also files, which links in its home lead to.
    """

    path: Path
    version: str
    home: Path
    folders: tuple[Path, ...]


def find_r(settings: Settings) -> RProgram:
    """The R of `[git] r`, else of the PATH.

    Raises:
        InvalidSettings: the R that is configured doesn't work.
        Unavailable: none is configured, and there is none on the PATH that works.
    """
    configured = settings.git.r
    try:
        return r_at(configured)
    except ValueError as error:
        reason = str(error)
        if configured:
            raise InvalidSettings(
                f"[git] r, {configured}, is no R that works: {reason}", hint="name R's program, or its folder"
            ) from error
        raise Unavailable(
            f"packages of R can't be built: {reason}", hint="install R, or name it with [git] r"
        ) from error


def r_at(program: str) -> RProgram:
    """The R of that program or folder; of an empty text that of the PATH. Raises ValueError: none that works."""
    try:
        return _asked(_program(program))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise ValueError(" ".join(str(error).split())[:300]) from error


def _program(configured: str) -> Path:
    if not configured:
        found = shutil.which("R")
        if found is None:
            raise ValueError("there is no R on the PATH")
        return Path(found)
    path = Path(configured).expanduser()
    if not path.is_dir():
        return Path(shutil.which(configured) or path)
    return next((each for each in (path / "bin" / "R", path / "R") if each.is_file()), path / "bin" / "R")


def _asked(path: Path) -> RProgram:
    home = Path(_said(path, "RHOME").strip())
    if not home.is_absolute() or not (home / "bin" / "R").is_file():
        raise ValueError(f"it tells no home: {str(home)[:100]!r}")
    said = _said(path, "--version")
    version = _VERSION.search(said)
    if version is None:
        raise ValueError(f"it tells no version: {said[:100]!r}")
    home = home.resolve()
    return RProgram(path, version[1] or f"unstable {version[2]}", home, tuple(_folders(home)))


def _said(path: Path, option: str) -> str:
    """What R answers, started without anything of ours."""
    done = subprocess.run(
        [str(path), option],
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_ANSWERS_WITHIN,
        check=False,
    )
    if done.returncode:
        raise ValueError(f"it ended with {done.returncode}: {done.stderr.decode(errors='replace')[-200:]}")
    return done.stdout.decode(errors="replace")


def _folders(home: Path) -> Iterator[Path]:
    """What R in `home` needs besides what every sandbox has: what is beside it, home, and where its links lead.

    Home is named, whatever else is given, if it has site files: administrators keep tokens in these, and the sandbox
    hides them in a folder that it is told of.
    """
    given = [Path(folder) for folder in _SYSTEM]
    beside = [home.parent.parent / name for name in _BESIDE] if home.parent.name in _LIBRARIES else []
    links = [entry for folder in (home, home / "etc") for entry in _links(folder)]
    for path in (*(folder for folder in beside if folder.is_dir()), home, *links):
        is_known = any(path.is_relative_to(each) for each in given)
        if not is_known or (path == home and any(_is_own(home / "etc" / name) for name in _SITE_FILES)):
            given.append(path)
            yield path


def _links(folder: Path) -> Iterator[Path]:
    """Where the links in a folder lead, to files or folders; but for site files."""
    for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
        if entry.is_symlink() and entry.exists() and entry.name not in _SITE_FILES:
            yield entry.resolve()


def _is_own(file: Path) -> bool:
    return file.is_file() and not file.is_symlink()


def read_name(ask: Ask) -> PackageName | None:
    """The name in DESCRIPTION. Raises BuildFailed: there is none that can be read."""
    return _described(ask)[0].package


def build_r(app: App, sandbox: Sandbox, ask: Ask, folder: Path, *, log: Log, check: Check) -> Built:
    """Build the package with `R CMD build`; of a commit, with the version that was made for it.

    Raises:
        BuildFailed, Cancelled, SandboxUnavailable, Unavailable, UpstreamUnavailable: as `builds.Build`.
    """
    described, description = _described(ask)
    version = _version(ask, described, log)
    program = _program_of_build(app.settings)
    if version != described.version:
        ask.checkout.replace(_description(ask), build.replace_version(description, version))
    needed = folder / _NEEDED
    needed.mkdir(mode=0o755)
    try:
        files: tuple[str, ...] = ()
        if ask.build_vignettes:
            files = vignettes.gather(app, described, needed, of_r=program.home / "library", log=log, check=check)
        name = paths.file_name(described.package, version)
        task = _task(program, ask, described.package, name, needed, files)
        log(f"R CMD build of {described.package} {version}, with R {program.version}")
        _run(sandbox, task, folder / _RESULT, ask, log, check)
        return _taken(folder / _RESULT, folder / name, described.package, version)
    finally:
        shutil.rmtree(needed, ignore_errors=True)
        (folder / _RESULT).unlink(missing_ok=True)


def _described(ask: Ask) -> tuple[Described, bytes]:
    ask.checkout.folder(ask.sub_dir)
    data = ask.checkout.read(_description(ask), build.LARGEST_DESCRIPTION)
    if data is None:
        raise BuildFailed(
            f"there is no DESCRIPTION in {ask.sub_dir or 'the root of the repository'}",
            hint="`--sub-dir` names the folder of the package",
        )
    return build.read_description(data), data


def _description(ask: Ask) -> str:
    return f"{ask.sub_dir}/DESCRIPTION" if ask.sub_dir else "DESCRIPTION"


def _version(ask: Ask, described: Described, log: Log) -> str:
    """The version that the package gets, after a look at whether it is the one that was asked for."""
    if ask.name is not None and described.package != ask.name:
        raise BuildFailed(
            f"DESCRIPTION is of the package {described.package}, the builder is for {ask.name}",
            hint="the builder's name is that of the package in DESCRIPTION",
        )
    if ask.tag is not None:
        build.check_tag(ask.tag, described.version)
        return described.version
    version = build.commit_version(described.version, ask.stamp, ask.newest)
    if not build.is_of(version, described.version):
        log(
            f"DESCRIPTION has version {described.version}, the source had {ask.newest} already: "
            f"this commit becomes {version}, which is above it"
        )
    return version


def _program_of_build(settings: Settings) -> RProgram:
    try:
        return find_r(settings)
    except InvalidSettings as error:  # no fault of the package
        raise Unavailable(error.message, hint=error.hint) from error


def _task(
    program: RProgram, ask: Ask, package: PackageName, tarball_name: str, needed: Path, files: tuple[str, ...]
) -> Task:
    # The whole tree is there, because a package may have links into the rest of its repository.
    options = "--no-manual" if ask.build_vignettes else "--no-manual --no-build-vignettes"
    r = str(program.home / "bin" / "R")
    return Task(
        argv=("/bin/sh", "-c", _SCRIPT, "build", r, options, ask.sub_dir, package, tarball_name, *files),
        folders={"TREE": ask.checkout.root, "NEEDED": needed},
        programs=program.folders,
        environment={**ENVIRONMENT, "SOURCE_DATE_EPOCH": str(max(ask.stamp, 0))},
    )


def _run(sandbox: Sandbox, task: Task, result: Path, ask: Ask, log: Log, check: Check) -> None:
    said = Said()

    def hear(line: str) -> None:
        said.hear(line)
        log(line)

    try:
        sandbox.run(task, result, log=hear, check=check)
    except BuildStopped:
        raise
    except BuildFailed as error:
        hint = error.hint
        if said.lacks_package and not ask.build_vignettes:
            hint = "with --build-vignettes the packages that it needs are installed for the build"
        raise BuildFailed(f"R CMD build failed: {said.fault or error.message}", hint=hint) from error


def _taken(result: Path, path: Path, package: PackageName, version: str) -> Built:
    """What came out, under the name that it is listed with, after a look at whether it is what was asked for."""
    size = result.stat().st_size if result.exists() else 0
    if not size:
        raise BuildFailed(f"R CMD build made no {path.name}")
    try:
        with result.open("rb") as stream:
            tarball.read_source_package(stream, file_name=path.name, compressed_size=size)
    except InvalidArchive as error:
        raise BuildFailed(f"what R CMD build made is not a source package: {error.message}") from error
    result.rename(path)
    return Built(package, version, (path,))
