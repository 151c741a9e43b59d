"""What the packages of a repository need of a Linux system: system requirements, with all dependencies."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from entrepot.app import App
from entrepot.core.errors import Invalid, PackageNotFound, RulesUnavailable, UnsupportedSystem, WrongType
from entrepot.core.facts import Fact, Version
from entrepot.core.model import File, Listed, PackageName, SourceType
from entrepot.db import facts as db_facts
from entrepot.db import files as db_files
from entrepot.db import sysreqs as db_sysreqs
from entrepot.db.sysreqs import RulesRead
from entrepot.ecosystems.r import dcf, dependencies, packages, sysreqs
from entrepot.ecosystems.r.sysreqs import Requirements, Rules, System
from entrepot.operations import dialects
from entrepot.operations.browsing import Opened
from entrepot.recent import Recent
from entrepot.sources import facts
from entrepot.sources.kinds import KINDS
from entrepot.sources.places import PLACES, place_of

FIELD = "SystemRequirements"
HARD = ("Depends", "Imports", "LinkingTo")
_AT_ONCE = 2000
_MOST_NAMES = 50_000
"""Packages that a DESCRIPTION or a closure may name, more than there are."""
_compiled: Recent[Rules] = Recent(2)


@dataclass(frozen=True, slots=True)
class PackageRequirements:
    """What one package needs; `name` is None of a DESCRIPTION that has none."""

    name: str | None
    requirements: Requirements
    install_scripts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Needed:
    """What packages need, those with needs alone.

    Attributes:
        asked: of the packages that were asked for; of a package or DESCRIPTION by itself, its own, be there needs or
            not.
        dependencies: of what these depend on.
        unread: packages whose system requirements nobody knows, as upstream doesn't tell them or doesn't answer.
    """

    asked: tuple[PackageRequirements, ...]
    dependencies: tuple[PackageRequirements, ...]
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RulesInfo:
    """The rules that are in use; `told` is None before any were read."""

    configured: str
    told: RulesRead | None
    count: int
    systems: tuple[System, ...]


def rules_info(app: App) -> RulesInfo:
    with app.db.read() as connection:
        told = db_sysreqs.find(connection)
    rules = _rules(app, told) if told is not None else Rules(())
    return RulesInfo(app.settings.sysreqs.rules, told, len(rules.rules), tuple(rules.systems))


def of_packages(app: App, opened: Opened, names: Sequence[str], *, distribution: str, release: str) -> Needed:
    """What some packages of a repository need, with what they depend on.

    Raises:
        PackageNotFound: the repository has no such package; names all that it lacks.
        UnsupportedSystem, RulesUnavailable, WrongType
    """
    look = _look(app, opened, distribution, release)
    if not names:
        raise Invalid("no package is named", hint="give pkgname=NAME, once or more, or all=true")
    found = _closure(opened, names)
    missing = [name for name in dict.fromkeys(names) if name not in found]
    if missing:
        raise PackageNotFound(
            f"there is no package {', '.join(map(repr, missing[:10]))} at this snapshot",
            hint="names are case-sensitive",
            names=missing[:100],
        )
    return look.needed(found, set(names))


def of_all(app: App, opened: Opened, *, distribution: str, release: str) -> Needed:
    """What all packages of a repository need; upstream is asked only if it is for a few. Raises as `of_packages`."""
    look = _look(app, opened, distribution, release)
    found: dict[str, Listed] = {row.file.package: row for row in opened.view.current()}
    return look.needed(found, set(found), reads=False)


def of_package(app: App, opened: Opened, name: str, *, distribution: str, release: str) -> Needed:
    """What one package needs, and what its dependencies do. Raises as `of_packages`."""
    needed = of_packages(app, opened, [name], distribution=distribution, release=release)
    nothing = PackageRequirements(name, Requirements(), ())
    return Needed(needed.asked or (nothing,), needed.dependencies, needed.unread)


def of_description(
    app: App, opened: Opened, description: bytes, *, distribution: str, release: str, suggests: bool
) -> Needed:
    """What a package needs of which there is a DESCRIPTION alone; what the repository lacks of its dependencies is
    passed over.

    Raises:
        Invalid: it can't be read.
        UnsupportedSystem, RulesUnavailable, WrongType
    """
    look = _look(app, opened, distribution, release)
    fields = dcf.parse_one(description)
    kinds = (*HARD, "Suggests") if suggests else HARD
    found = _closure(opened, _names(fields, kinds))
    needed = look.needed(found, set())
    own = look.requirements(fields.get("Package"), fields.get(FIELD))
    return Needed((own,), needed.dependencies, needed.unread)


@dataclass(frozen=True, slots=True)
class _Look:
    """Rules, and the system that is asked about."""

    app: App
    opened: Opened
    rules: Rules
    system: System

    def requirements(self, name: str | None, text: str | None) -> PackageRequirements:
        found = self.rules.requirements(dcf.collapse(text), self.system) if text else Requirements()
        return PackageRequirements(name, found, tuple(sysreqs.install_scripts(self.system, found.packages)))

    def needed(self, found: Mapping[str, Listed], asked: Collection[str], *, reads: bool = True) -> Needed:
        """What packages need, in their order; with `reads` upstream is asked for what nobody told yet, and else if that
        is of a few."""
        texts, unread = _texts(self.app, self.opened, [row.file for row in found.values()], reads=reads)
        every = [self.requirements(name, texts.get(row.file.id)) for name, row in found.items()]
        some = [each for each in every if each.requirements]
        return Needed(
            tuple(each for each in some if each.name in asked),
            tuple(each for each in some if each.name not in asked),
            tuple(unread),
        )


def _look(app: App, opened: Opened, distribution: str, release: str) -> _Look:
    """Raises WrongType, RulesUnavailable, UnsupportedSystem."""
    if opened.dialect is not dialects.R:
        raise WrongType("system requirements are known of R packages alone", hint="name an R repository")
    with app.db.read() as connection:
        told = db_sysreqs.find(connection)
    if told is None:
        raise RulesUnavailable(
            "there are no rules of system requirements yet",
            hint="set [sysreqs] rules, and `entrepot sync --type=sysreqs` reads them",
        )
    rules = _rules(app, told)
    system = rules.find_system(distribution, release)
    if system is None:
        known = [each.release for each in rules.systems if each.distribution == distribution.strip().lower()]
        names = sorted({each.distribution for each in rules.systems})
        raise UnsupportedSystem(
            f"Unsupported system: nothing is known of {distribution[:40]!r} {release[:40]!r}",
            hint=f"known are {', '.join(known or names)}",
        )
    return _Look(app, opened, rules, system)


def _rules(app: App, told: RulesRead) -> Rules:
    def make() -> Rules:
        with app.db.read() as connection:
            values = db_sysreqs.rules(connection)
        return Rules(sysreqs.of_value(name, value)[0] for name, value in values.items())

    return _compiled.get((str(app.settings.database_url), told.digest), make)


def _names(fields: Mapping[str, str], kinds: Iterable[str]) -> list[str]:
    return list({each.name for kind in kinds for each in dependencies.parse(fields.get(kind, ""))})


def _closure(opened: Opened, names: Iterable[str]) -> dict[str, Listed]:
    """The current files of packages and of all that they can't be installed without, as far as there are any: by
    name, nearest first. One look for each level of dependencies."""
    found: dict[str, Listed] = {}
    level = {PackageName(name) for name in islice(names, _MOST_NAMES)}
    seen = set(level)
    while level:
        rows = sorted(opened.view.current_of(level), key=lambda row: row.file.package)
        found |= {row.file.package: row for row in rows}
        level = set()
        for row in rows:
            fields = packages.read_fields(row.file.fields or "")
            level |= {PackageName(name) for name in _names(fields, HARD)}
        level -= seen
        seen |= level
    return found


def _texts(app: App, opened: Opened, files: Sequence[File], *, reads: bool) -> tuple[dict[int, str], list[str]]:
    """(file id -> what it says of system requirements, where it says something; names of those nobody knows of)."""
    texts: dict[int, str] = {}
    mirrored: list[File] = []
    for file in files:
        # An entry that was made of DESCRIPTION has the field; that of a mirror's index doesn't tell.
        if file.fields is not None and f"{FIELD}: " in file.fields:
            texts[file.id] = packages.read_fields(file.fields)[FIELD]
        elif file.fields is None or _is_mirrored(opened, file):
            mirrored.append(file)
    if mirrored:
        documents = _documents(app, mirrored)
        missing = [file for file in mirrored if file.id not in documents]
        told = _facts(app, opened, missing)
        unread = [file for file in missing if (file.package, file.version) not in told]
        if reads or len(unread) <= facts.MOST_READ:
            heads = [(file, url) for file in unread if (url := _upstream(app, opened, file)) is not None]
            documents |= facts.read_now(app, heads)
        for file in mirrored:
            fact = told.get((file.package, file.version))
            text = _field(documents[file.id]) if file.id in documents else fact and fact.system_requirements
            if text:
                texts[file.id] = text
        return texts, [file.package for file in unread if file.id not in documents]
    return texts, []


def _documents(app: App, files: Sequence[File]) -> dict[int, str]:
    """The DESCRIPTIONs that are kept."""
    found: dict[int, str] = {}
    with app.db.read() as connection:
        for start in range(0, len(files), _AT_ONCE):
            found |= db_files.documents(connection, [file.id for file in files[start : start + _AT_ONCE]])
    return found


def _facts(app: App, opened: Opened, files: Sequence[File]) -> Mapping[Version, Fact]:
    if not files:
        return {}
    names = {file.package for file in files} if len(files) < _AT_ONCE else None
    with app.db.read() as connection:
        return db_facts.of_packages(connection, {cut.files_of for cut in opened.cuts}, names)


def _is_mirrored(opened: Opened, file: File) -> bool:
    return not KINDS[opened.sources[file.source_id].type].owns_files


def _upstream(app: App, opened: Opened, file: File) -> str | None:
    """The base URL of the mirror that a listed file is of."""
    source = opened.sources[file.source_id]
    if source.type in PLACES:
        return place_of(app.settings, source).url
    return app.settings.cran.upstream if KINDS[source.type].base is SourceType.CRAN else None


def _field(document: str) -> str | None:
    try:
        return dcf.parse_one(document).get(FIELD)
    except Invalid:
        return None
