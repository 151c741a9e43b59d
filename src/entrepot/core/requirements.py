"""Lists of wanted packages: what a line asks for, and which kind of file a list is, told by its content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from entrepot.core.errors import EntrepotError, Invalid, InvalidBatch
from entrepot.core.model import PackageName, Sha256

MOST_FAULTS = 50
"""How many faulty lines of one list are told one by one."""
ENOUGH_FAULTS = 1000
"""After how many faulty lines a list is read no further: it is something else."""


class ListFormat(StrEnum):
    """The kinds of files that a list is read from."""

    LINES = "requirements"
    """A requirement a line: R (`package [constraints] [extras]`) or Python (pip's requirements file)."""
    RENV_LOCK = "renv.lock"
    DESCRIPTION = "DESCRIPTION"
    PYPROJECT = "pyproject.toml"
    UV_LOCK = "uv.lock"
    PYLOCK = "pylock.toml"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One wanted package.

    Attributes:
        package: in the normal form of its ecosystem.
        specifier: comma-separated bounds such as `>=1.0,<2`; empty: any version. PEP 440 in Python, in R with `==`,
            `>=`, `<=`, `>`, `<`, `!=` and R's versions.
        extras: R: kinds of dependencies (`suggests`) that this line brings besides those of the source; PEP 508.
        hashes: the SHA-256 of the only files that are wanted; empty: any.
        marker: the environment in which it is wanted (PEP 508); empty: always. Never in R.
        line: where it stands in its list, from 1; None where a list has no lines of its own (lock files).
    """

    package: PackageName
    specifier: str = ""
    extras: tuple[str, ...] = ()
    hashes: tuple[Sha256, ...] = ()
    marker: str = ""
    line: int | None = None

    @property
    def text(self) -> str:
        """As a line of a list, without hashes and marker."""
        return self.package + (f"[{','.join(self.extras)}]" if self.extras else "") + self.specifier

    @property
    def where(self) -> str:
        """As a message names it: `line 3 (dplyr>=1.0)`."""
        return f"line {self.line} ({self.text})" if self.line is not None else self.text


@dataclass(frozen=True, slots=True)
class RequirementList:
    """What a file asks for, in its order; a package may be in it more than once (with other markers or bounds)."""

    format: ListFormat
    requirements: tuple[Requirement, ...]


def faults_of_lines(faults: Sequence[tuple[int, EntrepotError]]) -> EntrepotError:
    """One error for the faulty lines (number, what is wrong) of a list."""
    error = faults_of_entries([(f"line {number}", error) for number, error in faults], unit="lines")
    if len(faults) == 1:
        error.payload["line"] = faults[0][0]
    return error


def faults_of_entries(faults: Sequence[tuple[str, EntrepotError]], *, unit: str = "entries") -> EntrepotError:
    """One error for the faulty entries (where it is, what is wrong) of a list that has no lines of its own."""
    if len(faults) == 1:
        subject, error = faults[0]
        return Invalid(f"{subject}: {error.message}", hint=error.hint)
    told = list(faults[:MOST_FAULTS])
    if len(faults) > MOST_FAULTS:
        told.append((f"further {unit}", Invalid(f"{len(faults) - MOST_FAULTS} more can't be read")))
    return InvalidBatch.of(told)
