"""Builds one binary package of R with `R CMD INSTALL --build`: in a sandbox here, or in a shell on another system."""

from __future__ import annotations

import shlex
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from entrepot.core.errors import BuildFailed, BuildStopped, Invalid
from entrepot.core.jobs import Log
from entrepot.core.model import PackageName
from entrepot.core.platforms import architecture, r_minor
from entrepot.core.targets import Target, split_command
from entrepot.ecosystems.r.build import Said
from entrepot.operations.rbuilds import ENVIRONMENT, RProgram, r_at
from entrepot.sandbox.box import Sandbox
from entrepot.sandbox.elsewhere import READY, run_elsewhere
from entrepot.sandbox.task import Check, Limits, Task
from entrepot.settings import Settings

_ASKED = Limits(seconds=60, memory=2**40, disk=2**40, processes=10_000, output=4 * 1024**2)
"""For the question what an R is; memory and the like are whatever it needs."""
_MOST_SAID = 300
_QUESTION = (
    'cat("R", paste0(R.version$major, ".", R.version$minor), R.version$arch, "\\n"); '
    "p <- installed.packages(lib.loc = .Library, noCache = TRUE); "
    'cat(paste("package", p[, "Package"], p[, "Version"]), sep = "\\n")'
)

# Libraries are binary packages: unpacking them is installing them. The result leaves by descriptor 3, which nothing
# that the package brings has open.
_COMPILE = """
umask 022
mkdir -p "$WORK/lib" "$WORK/out" || exit 1
R_LIBS="$WORK/lib"
export R_LIBS
for file in "$@"; do
    tar -x -z -o -f "$NEEDED/$file" -C "$R_LIBS" 3>&- || exit 1
done
cd "$WORK/out" || exit 1
$LIMIT "$R" CMD INSTALL --build --no-multiarch --library="$R_LIBS" "$NEEDED/$SOURCE" 3>&- || exit $?
set -- *.tar.gz
[ -f "$1" ] || exit 1
cat "$1" >&3
"""
_HERE = f"""
exec 3>&1 1>&2 </dev/null
R="$1" SOURCE="$2" LIMIT=
shift 2
{_COMPILE}
"""
# Within braces, so that the shell has read all of it before it runs; it never reads on.
_ELSEWHERE = """{{
echo {ready}
exec 3>&1 1>&2
WORK=$(mktemp -d) || exit 1
trap 'rm -rf "$WORK"' EXIT
trap 'exit 143' HUP INT TERM
NEEDED="$WORK/needed"
mkdir "$NEEDED" && tar -x -o -f - -C "$NEEDED" || exit 1
exec </dev/null
{variables}
LIMIT=
if command -v timeout >/dev/null 2>&1; then LIMIT="timeout -k 10 {seconds}"; fi
{compile}
exit
}}
"""
_ASK = """{{
echo {ready}
exec </dev/null
{variables}
"$R" --vanilla --slave -e {question}
exit
}}
"""


@dataclass(frozen=True, slots=True)
class FoundR:
    """What an R says of itself: its version, such as 4.2.2, the architecture, and the packages that came with it."""

    version: str
    arch: str
    packages: Mapping[PackageName, str]

    @property
    def minor(self) -> str:
        return r_minor(self.version) or self.version


@dataclass(frozen=True, slots=True)
class Making:
    """One build.

    Attributes:
        needed: the folder with the source package and the binary packages that it needs.
        source: the name of the source package there.
        library: the names of the binary packages there.
    """

    package: PackageName
    version: str
    needed: Path
    source: str
    library: Sequence[str]


class Place(Protocol):
    """Where binary packages are built."""

    def ask(self, folder: Path, *, check: Check) -> FoundR:
        """What R is there; `folder` is for files of the question.

        Raises:
            Invalid: none that works. Unavailable: the other system can't be used.
        """

    def compile(self, making: Making, result: Path, *, log: Log, check: Check) -> None:
        """Build one binary package into the new file `result`.

        Raises:
            BuildFailed: with R's exit status in its payload, if it had one.
            Cancelled: by `check`. SandboxUnavailable, Unavailable, OutOfSpace: nothing is wrong with the package.
        """


@dataclass(frozen=True, slots=True)
class Here:
    """This machine. `limits` are those of builds."""

    program: RProgram
    sandbox: Sandbox

    def ask(self, folder: Path, *, check: Check) -> FoundR:
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}
        return ask(["/bin/sh", "-s"], self._r, folder, check=check, environment=environment)

    def compile(self, making: Making, result: Path, *, log: Log, check: Check) -> None:
        task = Task(
            argv=("/bin/sh", "-c", _HERE, "build", self._r, making.source, *making.library),
            folders={"NEEDED": making.needed},
            programs=self.program.folders,
            environment=ENVIRONMENT,
        )
        said = Said()
        try:
            self.sandbox.run(task, result, log=_heard(said, log), check=check)
        except BuildFailed as error:
            raise _failed(error, said) from error

    @property
    def _r(self) -> str:
        return str(self.program.home / "bin" / "R")


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Another system, by a command that runs a shell there."""

    command: str
    distribution: str
    r: str
    limits: Limits

    def ask(self, folder: Path, *, check: Check) -> FoundR:
        words = split_command(self.command, distribution=self.distribution, package="R", version="0")
        return ask(words, self.r, folder, check=check)

    def compile(self, making: Making, result: Path, *, log: Log, check: Check) -> None:
        words = split_command(
            self.command, distribution=self.distribution, package=making.package, version=making.version
        )
        names = " ".join(shlex.quote(name) for name in making.library)
        variables = {**ENVIRONMENT, "R": self.r, "SOURCE": making.source}
        script = _ELSEWHERE.format(
            ready=READY.decode(),
            variables=f"{_assigned(variables)}\nset -- {names}",
            seconds=int(self.limits.seconds),
            compile=_COMPILE,
        )
        said = Said()
        with tempfile.NamedTemporaryFile(dir=result.parent, prefix="input-", suffix=".tar") as file:
            with tarfile.open(fileobj=file, mode="w") as tar:
                for name in (making.source, *making.library):
                    tar.add(making.needed / name, name)
            file.flush()
            try:
                given = (words, script.encode(), Path(file.name), result)
                run_elsewhere(*given, limits=self.limits, log=_heard(said, log), check=check)
            except BuildFailed as error:
                raise _failed(error, said) from error


def place_of(settings: Settings, target: Target, sandbox: Sandbox | None) -> Place:
    """Where a target's packages are built; on this machine in `sandbox`.

    Raises:
        Invalid: R's program is gone, or doesn't work.
    """
    return place(settings, target.distribution, target.r, target.command, sandbox)


def place(settings: Settings, distribution: str, r: str, command: str, sandbox: Sandbox | None) -> Place:
    """As `place_of`, of a target in the making; an empty `r` is that of [git] r, or of the PATH there."""
    if command:
        git = settings.git
        limits = Limits(seconds=git.build_time, memory=git.build_memory, disk=git.build_disk, processes=1_000_000)
        return Elsewhere(command, distribution, r or "R", limits)
    assert sandbox is not None
    try:
        return Here(r_at(r or settings.git.r), sandbox)
    except ValueError as error:
        raise Invalid(
            f"there is no R that works at {r or settings.git.r or 'the PATH'}: {error}",
            hint="name R's program on this machine with --r, or say with --command how another system is reached",
        ) from error


def ask(
    words: Sequence[str], r: str, folder: Path, *, check: Check, environment: Mapping[str, str] | None = None
) -> FoundR:
    """What an R says of itself in a shell. Raises Invalid: it doesn't work; Unavailable: there is no such shell."""
    script = _ASK.format(
        ready=READY.decode(), variables=_assigned({**ENVIRONMENT, "R": r}), question=shlex.quote(_QUESTION)
    )
    said: list[str] = []
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        result = Path(scratch) / "answer"
        try:
            given = (words, script.encode(), None, result)
            run_elsewhere(*given, limits=_ASKED, log=said.append, check=check, environment=environment)
        except BuildFailed as error:
            reason = " ".join(said)[-_MOST_SAID:] or error.message
            raise Invalid(
                f"{r!r} is no R that works there: {reason}", hint="name R's program with --r, as that system has it"
            ) from error
        return _read(r, result.read_text("utf-8", "replace"))


def _read(r: str, answer: str) -> FoundR:
    """Raises Invalid: it isn't what an R answers, or of an R that nobody asks for binaries of."""
    lines = [line.split() for line in answer.splitlines()]
    told = next((words[1:] for words in lines if len(words) == 3 and words[0] == "R"), None)
    if told is None or r_minor(told[0]) is None:
        raise Invalid(f"{r!r} is no R that works there: it answers {answer[:100]!r}", hint="name R's program with --r")
    arch = architecture(told[1])
    if arch is None:
        raise Invalid(f"R runs on {told[1][:60]!r} there", hint="binaries for x86_64 and arm64 (aarch64) are served")
    found = {PackageName(words[1]): words[2] for words in lines if len(words) == 3 and words[0] == "package"}
    return FoundR(told[0], arch, found)


def _assigned(variables: Mapping[str, str]) -> str:
    return "\n".join(f"{name}={shlex.quote(value)}\nexport {name}" for name, value in variables.items())


def _heard(said: Said, log: Log) -> Log:
    def hear(line: str) -> None:
        said.hear(line)
        log(line)

    return hear


def _failed(error: BuildFailed, said: Said) -> BuildFailed:
    """The failure in R's own words, where it has some."""
    if isinstance(error, BuildStopped):
        return error
    return BuildFailed(f"R CMD INSTALL failed: {said.fault or error.message}", hint=error.hint, **error.payload)
