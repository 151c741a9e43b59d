"""Rules of system requirements: what the free text SystemRequirements of a package means for a Linux distribution.

The format is that of the public database of such rules: a file of JSON each, with patterns that are looked for in the
text, and what to install by distribution and release.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from entrepot.core.errors import Invalid
from entrepot.ecosystems.r import distributions
from entrepot.ecosystems.r.grepl import compile_pattern, matches

LARGEST_RULE = 1 << 20
MOST_RULES = 5000
_MOST_TEXTS = 20_000
"""Texts whose rules are remembered; all of CRAN has some 3,000."""

Text = Annotated[str, Field(min_length=1, max_length=1000)]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Step(_Shape):
    """What to do before or after an installation: a command of the shell, or the name of a script of the database."""

    command: str | None = None
    script: str | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.command is None) == (self.script is None):
            raise ValueError("either a command or a script")
        return self


class Constraint(_Shape):
    """A system that a dependency is for: all releases of the distribution, if `versions` isn't given."""

    os: Literal["linux", "windows"]
    distribution: Text | None = None
    versions: list[Text] | None = None

    def takes(self, system: System) -> bool:
        return (
            self.os == "linux"
            and self.distribution in (None, system.distribution)
            and (self.versions is None or system.release in self.versions)
        )


class Dependency(_Shape):
    """What to install on some systems; without constraints on all."""

    packages: list[Text]
    apt_satisfy: list[Text] = []
    pre_install: list[Step] = []
    post_install: list[Step] = []
    constraints: Annotated[list[Constraint], Field(min_length=1)] | None = None

    def takes(self, system: System) -> bool:
        return self.constraints is None or any(each.takes(system) for each in self.constraints)


class RuleFile(_Shape):
    """A rule as its file has it."""

    patterns: Annotated[list[Text], Field(min_length=1)]
    dependencies: list[Dependency]


class System(NamedTuple):
    """A Linux distribution as rules name it, such as ubuntu 22.04."""

    distribution: str
    release: str


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a package needs of a system: names of its packages, and what to do around their installation."""

    packages: tuple[str, ...] = ()
    apt_satisfy: tuple[str, ...] = ()
    pre_install: tuple[Step, ...] = ()
    post_install: tuple[Step, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.packages or self.pre_install or self.post_install)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that can be used; `name` is its file's."""

    name: str
    patterns: tuple[re.Pattern[str], ...]
    dependencies: tuple[Dependency, ...]

    def dependency(self, system: System) -> Dependency | None:
        """What it says for a system: the first part that is for it."""
        return next((each for each in self.dependencies if each.takes(system)), None)


def read_rule(name: str, data: bytes) -> tuple[Rule, list[str], Any]:
    """A rule file: the rule, a line for each pattern that is left out, and its plain JSON value.

    Raises:
        Invalid: it doesn't have the form of a rule, or no pattern that can be used; the message names the file.
    """
    if len(data) > LARGEST_RULE:
        raise Invalid(f"{name}: larger than {LARGEST_RULE:,} bytes")
    try:
        value = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise Invalid(f"{name}: not JSON ({error})") from None
    return *of_value(name, value), value


def of_value(name: str, value: Any) -> tuple[Rule, list[str]]:
    """As `read_rule`, of a plain JSON value."""
    try:
        read = RuleFile.model_validate(value)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        said = str(fault["msg"]).removeprefix("Value error, ")
        raise Invalid(f"{name}: {where}: {said}" if where else f"{name}: {said}") from None
    patterns, faults = [], []
    for text in read.patterns:
        try:
            patterns.append(compile_pattern(text))
        except Invalid as error:
            faults.append(f"{name}: the pattern {text[:80]!r} {_verb(error.message)}")
    if not patterns:
        raise Invalid("; ".join(faults))
    return Rule(name, tuple(patterns), tuple(read.dependencies)), faults


def _verb(said: str) -> str:
    return said if said.startswith(("has ", "repeats ", "names ")) else f"is {said}"


class Rules:
    """Rules that are in use; what was found in a text is remembered."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules: Sequence[Rule] = sorted(rules, key=lambda rule: rule.name)
        self._found: dict[str, tuple[Rule, ...]] = {}
        named = (c for rule in self.rules for each in rule.dependencies for c in each.constraints or ())
        self._systems = {System(c.distribution, v) for c in named if c.distribution for v in c.versions or ()}
        self._systems |= {System(d.distribution, d.release) for d in distributions.every() if d.has_requirements}
        self._systems.discard(System(distributions.INTERNAL, "all"))

    @property
    def systems(self) -> list[System]:
        """All that something is known of, by name and release."""
        return sorted(self._systems, key=lambda system: (system.distribution, _number(system.release)))

    def find_system(self, distribution: str, release: str) -> System | None:
        """The system that is meant: some distributions have several names, and rules know major releases of some."""
        name = distribution.strip().lower()
        name = _SAME.get(name, name)
        wanted = release.strip().lower()
        candidates = (System(name, each) for each in (wanted, wanted.partition(".")[0]))
        return next((each for each in candidates if each in self._systems), None)

    def matching(self, text: str) -> tuple[Rule, ...]:
        """The rules of which some pattern is found in a text."""
        found = self._found.get(text)
        if found is None:
            found = tuple(rule for rule in self.rules if any(matches(pattern, text) for pattern in rule.patterns))
            if len(self._found) >= _MOST_TEXTS:
                self._found.clear()
            self._found[text] = found
        return found

    def requirements(self, text: str, system: System) -> Requirements:
        """What a text asks for on a system; nothing where the rules know none of it."""
        found = [each for rule in self.matching(text) if (each := rule.dependency(system)) is not None]
        if not found:
            return Requirements()
        return Requirements(
            packages=_unique(name for each in found for name in each.packages),
            apt_satisfy=_unique(name for each in found for name in each.apt_satisfy),
            pre_install=merge_steps([each.pre_install for each in found]),
            post_install=merge_steps([each.post_install for each in found]),
        )


_SAME = {
    "rhel": "redhat",
    "almalinux": "redhat",
    "rocky": "rockylinux",
    "sles": "sle",
    "suse": "sle",
    "opensuse-leap": "opensuse",
}


def merge_steps(sequences: Iterable[Sequence[Step]]) -> tuple[Step, ...]:
    """Several sequences one after the other, without what was done before.

    What follows something new is done again: the list of packages is to be read after each repository that was added.
    """
    merged: list[Step] = []
    for sequence in sequences:
        is_new = False
        for step in sequence:
            is_new = is_new or step not in merged
            if is_new:
                merged.append(step)
    return tuple(merged)


def install_scripts(system: System, packages: Iterable[str]) -> list[str]:
    """The command that installs each package of the system."""
    command = _installer(system)
    return [f"{command} {shlex.quote(package)}" for package in packages]


def _installer(system: System) -> str:
    match system.distribution:
        case "ubuntu" | "debian":
            return "apt-get install -y"
        case "opensuse" | "sle":
            return "zypper --non-interactive install"
        case "alpine":
            return "apk add --no-cache"
        case "centos" | "redhat" if system.release in ("6", "7"):
            return "yum install -y"
        case _:
            return "dnf install -y"


def rule_files(paths: Iterable[str]) -> dict[str, str]:
    """Which of the files of a folder or archive are rules: path -> name.

    Those of the shallowest folder named `rules`; without one, those beside each other nearest to the top.
    """
    found = [path for path in paths if path.lower().endswith(".json") and not path.rpartition("/")[2].startswith(".")]
    by_folder: dict[str, list[str]] = {}
    for path in found:
        by_folder.setdefault(path.rpartition("/")[0], []).append(path)
    folders = sorted(by_folder, key=lambda folder: (folder.count("/") + bool(folder), folder))
    named = [folder for folder in folders if folder.rpartition("/")[2] == "rules"]
    chosen = next(iter(named or folders), None)
    if chosen is None:
        return {}
    names = {path: path.rpartition("/")[2] for path in by_folder[chosen]}
    return {path: name for path, name in names.items() if named or name not in ("schema.json", "systems.json")}


def read_rules(files: Mapping[str, bytes]) -> tuple[dict[str, Any], list[str]]:
    """(file's name -> rule as plain JSON) of the rules that can be used, and a line for each fault."""
    values: dict[str, Any] = {}
    faults: list[str] = []
    for name, data in sorted(files.items()):
        try:
            _, said, value = read_rule(name, data)
        except Invalid as error:
            faults.append(error.message)
            continue
        values[name] = value
        faults += said
    return values, faults


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _number(release: str) -> tuple[int, ...]:
    """For the order of releases; names come after numbers."""
    return tuple(int(part) if part.isdecimal() else 10**6 for part in release.split("."))
