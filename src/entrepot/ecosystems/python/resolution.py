"""What uv says of a resolution: the pinned packages with their reasons, or why there are none (written for uv 0.13)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from packaging.markers import Marker
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from entrepot.core.model import PackageName
from entrepot.ecosystems.python.names import normalize

_PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;]+)(?: ; (?P<marker>.+))?")
_REASON = re.compile(r" +#(?: via)?(?: +(?P<via>.*))?")
_QUOTED = r"""(?:'[^']*'|"[^"]*")"""
_OPERATOR = r"(?:===|==|!=|<=|>=|~=|<|>|not in|in)"
_ATOM = re.compile(
    rf"(?P<left>[a-z_]+) {_OPERATOR} {_QUOTED}|{_QUOTED} {_OPERATOR} (?P<right>[a-z_]+)",
)
_ALWAYS = "python_full_version >= '0'"
_NUMBERS = re.compile(r"\d+(?:\.\d+)+")
_ANY_PATCH = (0, 1, 1000)
"""Patch versions that stand for all that no bound names."""


class Pin(NamedTuple):
    """One line of a resolution: a version, where it is wanted (PEP 508; empty: everywhere), and its reasons: names of
    packages, or `-r FILE` and `-c FILE`."""

    package: PackageName
    version: str
    marker: str
    via: tuple[str, ...]


def read_pins(text: str) -> list[Pin]:
    """The pins of a requirements file with annotations in lines of their own ("split").

    Raises:
        ValueError: a line is none that uv is known to write.
    """
    pins: list[Pin] = []
    for line in text.splitlines():
        if not line.strip():
            continue
        pin, reason = _PIN.fullmatch(line), _REASON.fullmatch(line)
        if pin is not None:
            pins.append(Pin(normalize(pin["name"]), pin["version"], pin["marker"] or "", ()))
        elif reason is not None and pins:
            if reason["via"]:
                pins[-1] = pins[-1]._replace(via=(*pins[-1].via, reason["via"].strip()))
        else:
            raise ValueError(line[:200])
    return pins


def holds_on(marker: str, python: str) -> bool:
    """Whether a marker can hold on a Python (`3.12`, any patch version of it, or `3.12.4`), on some platform."""
    if not marker:
        return True
    # There is no "not" in markers: with all that isn't about Python true, the whole is true if it can be at all.
    about_python = Marker(_ATOM.sub(_only_python, marker))
    return any(
        about_python.evaluate({"python_version": _minor(version), "python_full_version": version})
        for version in versions(python, marker)
    )


def fits(requires_python: str, python: str) -> bool:
    """Whether some patch version of a Python is within a Requires-Python; what can't be read excludes none."""
    try:
        bounds = SpecifierSet(requires_python)
    except InvalidSpecifier:
        return True
    return any(bounds.contains(version, prereleases=True) for version in versions(python, requires_python))


def _only_python(atom: re.Match[str]) -> str:
    return atom[0] if (atom["left"] or atom["right"]) in ("python_version", "python_full_version") else _ALWAYS


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def versions(python: str, bounds: str) -> list[str]:
    """Full versions of a Python that tell whether any of it is within `bounds`: those at each bound and between."""
    if python.count(".") >= 2:
        return [python]
    patches = set(_ANY_PATCH)
    for numbers in _NUMBERS.findall(bounds):
        release = Version(numbers).release
        if len(release) > 2 and _minor(numbers) == python:
            patches |= {max(0, release[2] - 1), release[2], release[2] + 1}
    return [f"{python}.{patch}" for patch in sorted(patches)]


# --- why there is no resolution ------------------------------------------------------------------------------------

MOST_FACTS = 5
LONGEST_FACT = 200
_WARNING = re.compile(r"^warning: .*\n?", re.MULTILINE)
_HINT = re.compile(r"^hint: ", re.MULTILINE)
_CAUSE = re.compile(r"\n +cause: ")
_SPLIT = re.compile(r"for split \(markers: (.+)\)")
_BECAUSE = re.compile(r"(?:^| )(?:And because|Because) ")
_CONCLUSION = re.compile(r",? we can conclude that ")
_VERB = re.compile(r" (?:depends?|was|were|is|are|has|have|requires?|needs?|cannot|does not|do not) |^you require ")
_KNOWN = re.compile(r"we know from ")
_NOT_FOUND = re.compile(r"(\S+) was not found in the package registry")
_NO_VERSION = re.compile(r"there are no versions of ([A-Za-z0-9._-]+)(?![^\s,])")
_WITHIN = re.compile(r"(?<=\S)\{[^{}]*\}")
"""`name{marker}`: a package where a marker holds, as uv calls it in between."""
_NEEDS = re.compile(r"(?P<who>.+?) depends? on (?P<what>[A-Za-z0-9._-]+)(?:\[[^]]*\])?(?P<bounds>[<>=!~].*)?")
_NAME = re.compile(r"(?:all versions of )?([A-Za-z0-9._-]+)")


class Explanation(NamedTuple):
    """Why requirements can't be met: all that uv says, that in one line, and the names of which it found nothing."""

    text: str
    line: str
    missing: tuple[PackageName, ...]


def explain(said: str) -> Explanation:
    """What uv's last words mean.

    The line has the facts that contradict each other without what is concluded from them: all if they are few, else
    those about the package whose bounds clash, and what was asked for.
    """
    text = _WITHIN.sub("", _WARNING.sub("", said)).strip().removeprefix("error: ")
    body, *_ = _HINT.split(text)
    head, *causes = _CAUSE.split(body)
    facts = _facts(" ".join(causes[0].split())) if causes and _BECAUSE.match(causes[0]) else []
    if not facts:
        return Explanation(text, " ".join(f"{head}: {causes[0]}".split()) if causes else " ".join(head.split()), ())
    split = _SPLIT.search(head)
    where = f" where {split[1]}" if split else ""
    missing = tuple(sorted({normalize(name) for name in _NOT_FOUND.findall(body) + _NO_VERSION.findall(body)}))
    line = "; ".join(_NOT_FOUND.sub(r"\1 is not on the index", _shortened(fact)) for fact in _smallest(facts))
    return Explanation(text, f"the requirements can't be met together{where}: {line}", missing)


def _facts(derivation: str) -> list[str]:
    """What is given, each once, in the order of the derivation: what follows "because" and isn't known from before."""
    facts: dict[str, None] = {}
    for step in _BECAUSE.split(derivation):
        premise = _CONCLUSION.split(step)[0]
        facts.update(dict.fromkeys(fact for fact in _clauses(premise) if not _KNOWN.match(fact)))
    return [fact for fact in facts if fact]


def _clauses(premise: str) -> list[str]:
    """`a depends on b and c, and d was not found` at the "and"s that join sentences, not at those within one."""
    clauses: list[str] = []
    for part in premise.split(" and "):
        if clauses and not _VERB.search(part):
            clauses[-1] += f" and {part}"
        else:
            clauses.append(part)
    return [clause.strip(" ,.") for clause in clauses]


def _smallest(facts: Sequence[str]) -> list[str]:
    """The facts to tell: all if they are few, else those of one clash, the last (what was asked for), and a count."""
    if len(facts) <= MOST_FACTS:
        return list(facts)
    told = [*_clash(facts)[: MOST_FACTS - 1]]
    if facts[-1] not in told:
        told.append(facts[-1])
    left = len(facts) - len(told)
    return [*told, f"{left} more in the explanation"] if left else told


def _clash(facts: Iterable[str]) -> list[str]:
    """Of the package for which the most others have bounds: the first fact of each of these others, then the rest."""
    about: dict[str, list[tuple[str, str]]] = {}
    for fact in facts:
        found = _NEEDS.fullmatch(fact)
        if found is not None and found["bounds"]:
            name = _NAME.match(found["who"])
            about.setdefault(found["what"], []).append((name[1] if name else found["who"], fact))
    if not about:
        return list(facts)
    clash = max(about.values(), key=lambda needs: len({who for who, _ in needs}))
    firsts = dict(reversed(clash))
    first = [fact for who, fact in clash if firsts[who] == fact]
    return first + [fact for _, fact in clash if fact not in first]


def _shortened(fact: str) -> str:
    return fact if len(fact) <= LONGEST_FACT else fact[: LONGEST_FACT - 3] + "..."
