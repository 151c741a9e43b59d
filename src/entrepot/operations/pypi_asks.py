"""What is asked of a curated PyPI source: read from a wish, kept as JSON, and read again for the next one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from entrepot.core.errors import Invalid
from entrepot.core.model import PackageName, Sha256
from entrepot.core.requirements import Requirement
from entrepot.ecosystems.python import lists
from entrepot.ecosystems.python.names import canonical_version, is_canonical
from entrepot.ecosystems.python.narrowing import Narrowing, narrowing
from entrepot.operations.drafting import State, Wish, lifts


class Ask(NamedTuple):
    """What is asked of a source from then on."""

    requirements: list[Requirement]
    constraints: list[str]
    removed: list[tuple[str, str]]
    with_dependencies: bool
    narrowing: Narrowing

    def packed(self) -> dict[str, Any]:
        """As JSON values, without the numbers of lines of a file that nobody has later."""
        rows = [[r.package, r.specifier, list(r.extras), list(r.hashes), r.marker] for r in self.requirements]
        return {
            "requirements": rows,
            "constraints": self.constraints,
            "removed": [list(each) for each in self.removed],
            "with_dependencies": self.with_dependencies,
            "only_binary": self.narrowing.only_binary,
            "platforms": list(self.narrowing.platforms),
            "python_versions": list(self.narrowing.python_versions),
        }


def of_wish(state: State, wish: Wish) -> Ask:
    """What is asked for once a wish came to what was asked before.

    Raises:
        Invalid, InvalidBatch: it asks for nothing, or can't be read.
    """
    before = unpacked(state.pin.request) if state.pin is not None else Ask([], [], [], False, Narrowing())
    narrow = wish.narrow
    asked = _asked(before.requirements, state, wish)
    constraints = before.constraints
    if wish.list_text is not None:
        new = [pep508(bound) for bound in lists.read_constraints(wish.constraints or "")]
        constraints = new if wish.action == "update" else [*constraints, *new]
    gone = [(package, each) for package in wish.packages for each in wish.removed]
    return Ask(
        asked,
        constraints,
        [each for each in before.removed if not lifts(wish, each, asked, before.requirements)] + gone,
        before.with_dependencies if narrow.with_dependencies is None else narrow.with_dependencies,
        narrowing(
            only_binary=before.narrowing.only_binary if narrow.only_binary is None else narrow.only_binary,
            platforms=before.narrowing.platforms if narrow.platforms is None else narrow.platforms,
            python_versions=before.narrowing.python_versions
            if narrow.python_versions is None
            else narrow.python_versions,
        ),
    )


def _asked(before: list[Requirement], state: State, wish: Wish) -> list[Requirement]:
    if wish.action == "remove":
        gone = set(wish.packages) if not wish.removed else set()
        return [requirement for requirement in before if requirement.package not in gone]
    if wish.constraints is not None and wish.list_text is None:
        raise Invalid("constraints are of a list", hint="give the list as well, with --file-in")
    new: list[Requirement] = []
    if wish.list_text is not None:
        new += lists.read(wish.list_text, constraints=wish.constraints).requirements
    if wish.packages:
        new += lists.read("\n".join(wish.packages)).requirements
    if wish.action == "add":
        if not new:
            raise Invalid("no packages to add", hint="give --packages=NAME,... or --file-in=FILE")
        new = [replace(each, line=None) for each in new]
        return before + [each for each in new if each not in before]
    if not new and not before:
        raise Invalid(
            f"nothing was asked of source {state.source.name!r} yet",
            hint="give the list of its packages with --file-in",
        )
    return new or before


def unpacked(request: Mapping[str, Any]) -> Ask:
    """What `Ask.packed` made."""
    return Ask(
        [
            Requirement(PackageName(name), specifier, tuple(extras), tuple(map(Sha256, hashes)), marker)
            for name, specifier, extras, hashes, marker in request["requirements"]
        ],
        list(request.get("constraints", ())),
        [(package, what) for package, what in request["removed"]],
        bool(request.get("with_dependencies")),
        narrowing(
            only_binary=bool(request.get("only_binary")),
            platforms=request.get("platforms", ()),
            python_versions=request.get("python_versions", ()),
        ),
    )


def removed_of(ask: Ask, name: PackageName) -> list[str]:
    """The versions and files of a project that were taken out by hand."""
    return [what for package, what in ask.removed if package == name]


def barred_versions(ask: Ask) -> list[str]:
    """Versions that were taken out by hand, as constraints."""
    return [f"{name}!={what}" for name, what in ask.removed if is_canonical(canonical_version(what))]


def pep508(requirement: Requirement) -> str:
    """A requirement as a line, with its marker."""
    return requirement.text + (f" ; {requirement.marker}" if requirement.marker else "")
