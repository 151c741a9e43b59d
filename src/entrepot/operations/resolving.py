"""A list of Python requirements, resolved against one of our own snapshots by uv, which asks nobody else."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import Version

from entrepot.app import App
from entrepot.core.errors import EntrepotError, Invalid, Unavailable, Unresolvable
from entrepot.core.model import PackageName, Source
from entrepot.core.room import needs_room
from entrepot.core.snapshots import Cut
from entrepot.ecosystems.python import resolution
from entrepot.ecosystems.python.names import normalize
from entrepot.ecosystems.python.resolution import Pin
from entrepot.operations import resolver
from entrepot.operations.resolver import Ran
from entrepot.operations.resolverindex import ResolverIndex

RESOLVING = "resolving-"
"""What names of folders of resolutions begin with, in `tmp` of the data folder."""
LONGEST_LINE = 5000
"""Characters of a requirement."""
_PYTHON = re.compile(r"[1-9][0-9]{0,3}\.[0-9]{1,4}(?:\.[0-9]{1,4})?")


@dataclass(frozen=True, slots=True)
class Resolved:
    """One package of a resolution.

    Attributes:
        package: its normalised name; once for each version that is wanted somewhere.
        marker: where it is wanted (PEP 508); empty: everywhere.
        because: normalised names of the packages that need it; empty: it was only asked for.
        is_asked: whether it is among the requirements.
    """

    package: PackageName
    version: str
    marker: str
    because: tuple[str, ...]
    is_asked: bool


def resolve(
    app: App,
    source: Source,
    cut: Cut,
    requirements: Sequence[str],
    *,
    constraints: Sequence[str] = (),
    python_versions: Sequence[str] = (),
    only_binary: bool = False,
) -> tuple[Resolved, ...]:
    """All packages that `requirements` need, each in one version or in one for each kind of environment, by name.

    Newest versions first, pre-releases where nothing else is there, for all platforms. Nothing is built: what an sdist
    needs is what it binds itself to (PEP 643, 621).

    Args:
        source, cut: the index and the time of it that are asked.
        requirements, constraints: lines of PEP 508, without URLs.
        python_versions: such as `3.9`, `3.12`; without any: this server's own minor version and newer ones.
        only_binary: take nothing that has no wheel.

    Raises:
        Invalid: a line or a version that can't be read.
        Unresolvable: they can't be had together, or it isn't known; the payload has the whole `explanation` and the
            names that the index doesn't have (`missing`).
        UpstreamUnavailable, UpstreamInvalid: the index can't be asked.
        Unavailable: the resolver isn't there, or failed.
    """
    asked = [_requirement(line, "requirement") for line in requirements]
    bounds = [_requirement(line, "constraint") for line in constraints]
    pythons = _pythons(python_versions)
    if not asked:
        return ()
    temporary = app.settings.server.data_dir / "tmp"
    with (
        needs_room("the requirements could not be resolved"),
        tempfile.TemporaryDirectory(prefix=RESOLVING, dir=temporary) as name,
        ResolverIndex(app, source, cut, only_binary=only_binary) as index,
    ):
        lines = [str(requirement) for requirement in asked]
        ran = resolver.run(
            Path(name), lines, list(map(str, bounds)), index=index.address, proxy=index.server, python=pythons[0]
        )
        if ran.status:
            raise _failure(ran, index, asked)
    pins = _pins(ran)
    if python_versions:
        pins = [pin for pin in pins if any(resolution.holds_on(pin.marker, python) for python in pythons)]
    _check_known(pins, index)
    _check_pythons(pins, index, pythons)
    return _resolved(pins)


def _requirement(line: str, what: str) -> Requirement:
    try:
        if len(line) > LONGEST_LINE:
            raise InvalidRequirement(f"it has more than {LONGEST_LINE} characters")
        found = Requirement(line.strip())
    except (InvalidRequirement, RecursionError) as error:
        why = str(error).partition("\n")[0]
        raise Invalid(f"{line[:200]!r} is no {what} (PEP 508): {why}", hint="such as 'numpy>=1.26,<3'") from None
    if found.url is not None:
        raise Invalid(
            f"the {what} {found.name} names a URL, but only this snapshot is asked",
            hint=f"ask for {found.name} by its name, with bounds if need be",
        )
    return found


def _pythons(wanted: Sequence[str]) -> list[str]:
    """The wanted Pythons, the lowest first."""
    for version in wanted:
        if not _PYTHON.fullmatch(version):
            raise Invalid(f"{version[:100]!r} is no version of Python", hint="such as 3.12")
    return sorted(set(wanted), key=Version) or [".".join(map(str, sys.version_info[:2]))]


def _pins(ran: Ran) -> list[Pin]:
    try:
        return resolution.read_pins(ran.pins)
    except ValueError as error:
        raise Unavailable(f"this version of the resolver writes what can't be read here: {error}") from error


def _failure(ran: Ran, index: ResolverIndex, asked: Sequence[Requirement]) -> Exception:
    """Why there is no resolution: what the index met, before what the resolver made of it."""
    found = resolution.explain(ran.said.replace(index.base, ""))
    met = index.failure(ran.said, any_will_do=ran.status > 1)
    if met is not None:
        return met
    if "parse requirement" in found.line:
        return Invalid(found.line, explanation=found.text)
    if ran.status != 1:
        return Unavailable(f"the resolver failed: {found.line or ran.status}")
    return _unresolvable(found, index, asked)


def _unresolvable(found: resolution.Explanation, index: ResolverIndex, asked: Sequence[Requirement]) -> EntrepotError:
    # It stops at the first one that it needs; what was asked for was looked up all at once.
    names = {normalize(requirement.name) for requirement in asked} | set(found.missing)
    missing = sorted(names & index.missing.keys()) if found.missing else []
    others = [name for name in missing if f"{name} is not on the index" not in found.line]
    line = f"{found.line}; not on the index: {', '.join(others)}" if others else found.line
    whys = [index.missing[name] for name in missing]
    hint = next((f"{why.message}; {why.hint}" for why in whys if why.hint), None)
    return Unresolvable(line, hint=hint, explanation=found.text, missing=missing)


def _check_known(pins: Sequence[Pin], index: ResolverIndex) -> None:
    """What an sdist that doesn't say so needs was left out: then nobody knows whether this is a resolution."""
    unknown = [
        (pin, index.unknown[pin.package, pin.version]) for pin in pins if (pin.package, pin.version) in index.unknown
    ]
    if unknown:
        names = ", ".join(f"{pin.package} {pin.version}" for pin, _ in unknown)
        raise Unresolvable(
            f"nobody can tell what {names} needs without building it, and nothing is built here ({unknown[0][1]})",
            hint=f"ask for a version of {unknown[0][0].package} that has a wheel or a static list of what it needs",
            packages=[{"name": pin.package, "version": pin.version, "reason": why} for pin, why in unknown],
        )


def _check_pythons(pins: Sequence[Pin], index: ResolverIndex, pythons: Sequence[str]) -> None:
    """uv lets a package be used with any newer Python; installers don't."""
    for pin in pins:
        bounds = index.pythons.get((pin.package, pin.version), frozenset())
        for python in pythons:
            is_out = bounds and not any(resolution.fits(bound, python) for bound in bounds)
            if is_out and resolution.holds_on(pin.marker, python):
                told = " or ".join(sorted(bounds))
                raise Unresolvable(
                    f"{pin.package} {pin.version} can't be used with Python {python}: it requires Python {told}",
                    hint=f"ask for another version of {pin.package}, or leave Python {python} out",
                )


def _resolved(pins: Sequence[Pin]) -> tuple[Resolved, ...]:
    names = {pin.package for pin in pins}
    return tuple(
        Resolved(
            pin.package,
            pin.version,
            pin.marker,
            tuple(sorted(name for name in {normalize(via) for via in pin.via if via[0] != "-"} & names)),
            any(via.startswith("-r ") for via in pin.via),
        )
        for pin in pins
    )
