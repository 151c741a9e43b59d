"""Binary packages of R for versions that a source has: given by people or built by us, and taken back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.errors import Conflict, FileExists, Invalid, PackageNotFound, SourceNotFound, WrongType
from entrepot.core.model import SOURCE_TYPES_OF, Listed, PackageName, RepositoryType, Source, SourceType, TransactionId
from entrepot.core.platforms import Platform, System, r_minor
from entrepot.db import owned as db_owned
from entrepot.db import parts as db_parts
from entrepot.db import sources as db_sources
from entrepot.ecosystems.r import distributions, paths
from entrepot.ecosystems.r.binarypackage import BinaryPackage
from entrepot.ecosystems.r.versions import version_key
from entrepot.operations.adding import Adding
from entrepot.operations.changing import Outcome, State
from entrepot.operations.uploads import Checked, Upload, checked_binary, store
from entrepot.sources.kinds import KINDS

__all__ = ["Added", "add_binary", "checked_binary", "platform_for", "publish", "remove_binary"]

_MOST_NAMED = 12
"""Versions that a message names."""
_MACOS_FOLDERS = ("big-sur-arm64", "big-sur-x86_64", "sonoma-arm64", "sonoma-x86_64", "el-capitan")
_MACOS_PLAIN = "macosx"
"""How people name the folder bin/macosx/contrib, which has no name of its own."""


@dataclass(frozen=True, slots=True)
class Added:
    """A binary package that is there for a platform now; the transaction is None if it was before."""

    package: PackageName
    version: str
    platform: Platform
    outcome: Outcome


def add_binary(
    app: App,
    source: str,
    upload: Upload,
    *,
    distribution: str | None = None,
    actor: str,
    replace: bool = False,
    comment: str = "",
) -> Added:
    """Add a binary package to a version that a local or git source has.

    Platform, version of R and architecture are those that the file tells.

    Args:
        distribution: Linux: for which one, by the name in URLs or an alias; macOS: the folder, where the file doesn't
            tell it.

    Raises:
        InvalidArchive: no binary package.
        Invalid: the distribution is missing, not known, or contradicts the file.
        PackageNotFound: the source doesn't have that version.
        FileExists: there is another binary for that platform and `replace` is not set.
        WrongType: the source takes no binary packages.
    """
    with app.db.read() as connection:
        found = _check_takes_binaries(db_sources.get(connection, source))
    checked, package = checked_binary(upload)
    platform = platform_for(package, distribution)
    message = comment or f"added binary of {package.name} {package.version} for {platform.shown}"
    outcome = publish(app, found, checked, platform, actor=actor, message=message, replace=replace)
    return Added(checked.package, checked.version, platform, outcome)


def publish(
    app: App,
    owner: Source,
    checked: Checked,
    platform: Platform,
    *,
    actor: str,
    message: str,
    replace: bool = False,
    built_from: int | None = None,
    also: Callable[[Connection, TransactionId | None], None] | None = None,
) -> Outcome:
    """Keep a binary package and show it beside the source package of the same version; all in one transaction.

    The same bytes again are no change.

    Args:
        owner: the source that has the source package, or shows it.
        built_from: the file of the source package that it was built from; None if nobody knows.
        also: called within the database transaction, with the transaction that shows the binary, if anything changed.

    Raises:
        SourceNotFound: the source was deleted.
        PackageNotFound: it has no such version now.
        Conflict: it has other bytes under that version by now than those of `built_from`.
        FileExists: there is another binary of that version for that platform and `replace` is not set.
    """
    store(app, [checked])
    with app.db.write() as connection:
        owner = _again(connection, owner)
        row = _listed(connection, owner, checked.package, checked.version)
        if built_from is not None and row.file.id != built_from:
            raise Conflict(
                f"{checked.package} {checked.version} of source {owner.name!r} was replaced while its binary was built",
                hint="build it again",
            )
        part = db_parts.ensure(connection, owner, platform.path, SourceType.BINARIES, now=app.clock())
        if part.type is not SourceType.BINARIES:
            raise WrongType(f"binary packages of source {owner.name!r} for {platform.shown} come from its upstream")
        adding = Adding(app, connection, part, [checked], replace=replace)
        for id_, file in list(adding.state.files.items()):
            # Of a source package that had other bytes: it is served no more, and may be of another kind.
            if file.id < row.file.id:
                del adding.state.rows[id_]
            elif file.name == checked.name and file.sha256 != checked.digests.sha256 and not replace:
                raise FileExists(
                    f"source {owner.name!r} has another binary of {file.package} {file.version} for {platform.shown}",
                    hint="use --replace, or raise the version of the package",
                    file=checked.name,
                )
        outcome = adding.record(actor=actor, message=message)
        if also is not None:
            also(connection, outcome.transaction)
        return outcome


def remove_binary(
    app: App,
    source: str,
    package: str,
    version: str,
    *,
    distribution: str,
    r_version: str,
    actor: str,
    comment: str = "",
) -> list[tuple[Platform, Outcome]]:
    """Take the binaries of one version for a distribution and a version of R back, of all architectures; at once.

    Older snapshots keep them.

    Args:
        distribution: as of Linux in URLs, the folder of macOS, or `windows`.

    Raises:
        SourceNotFound
        Invalid: no such distribution or version of R.
        PackageNotFound: there is no such binary; the hint names those that there are.
    """
    system, name = _named(distribution)
    r = _minor(r_version)
    removed: list[tuple[Platform, Outcome]] = []
    with app.db.write() as connection:
        owner = db_sources.get(connection, source)
        have = []
        for part in db_sources.parts_of(connection, [owner.id]):
            if part.type is not SourceType.BINARIES or part.part is None:
                continue
            platform = Platform.of_path(part.part)
            rows = db_owned.visible_now(connection, part, [PackageName(package)])
            gone = [row for row in rows if row.file.version == version]
            have += [platform.shown] if gone else []
            if gone and (platform.system, platform.distribution, platform.r) == (system, name, r):
                state = State(rows)
                for row in gone:
                    del state.rows[row.file.id]
                message = comment or f"removed binary of {package} {version} for {platform.shown}"
                removed.append((platform, state.record(app, connection, part, actor=actor, message=message)))
    if not removed:
        raise PackageNotFound(
            f"source {owner.name!r} has no binary of {package} {version} for {distribution} and R {r}",
            hint=f"it has some for {'; '.join(have)}" if have else "it has none of that version",
        )
    return removed


def platform_for(package: BinaryPackage, distribution: str | None) -> Platform:
    """Where a binary package fits, by what its file tells and the distribution that people name.

    Raises:
        Invalid: the distribution is missing, not known, or contradicts the file.
    """
    r = _minor(package.r)
    match package.system:
        case System.LINUX:
            if distribution is None:
                raise Invalid(
                    f"{package.name} {package.version} was built on Linux: for which distribution is not in the file",
                    hint=f"give --distribution: {_linux_names()}",
                )
            return Platform(System.LINUX, _linux(distribution), r, package.arch)
        case System.WINDOWS:
            if distribution not in (None, "", System.WINDOWS.value):
                raise Invalid(
                    f"{package.name} {package.version} was built for Windows, not for {distribution[:60]!r}",
                    hint="leave --distribution out",
                )
            return Platform(System.WINDOWS, "", r)
        case System.MACOS:
            return Platform(System.MACOS, _macos(package, distribution), r)


def _macos(package: BinaryPackage, distribution: str | None) -> str:
    names = ", ".join((*_MACOS_FOLDERS, _MACOS_PLAIN))
    given = "" if distribution == _MACOS_PLAIN else distribution
    if given is not None and given and given not in _MACOS_FOLDERS:
        raise Invalid(f"{given[:60]!r} is no folder for binaries of macOS", hint=f"they are {names}")
    if package.flavour is None:
        if given is None:
            raise Invalid(
                f"{package.name} {package.version} was built on macOS: for which one is not in the file",
                hint=f"give --distribution: {names}",
            )
        return given
    if given not in (None, package.flavour):
        raise Invalid(
            f"{package.name} {package.version} was built for {package.flavour or _MACOS_PLAIN}, not for {given}",
            hint="leave --distribution out",
        )
    return package.flavour


def _named(distribution: str) -> tuple[System, str]:
    """A system and its distribution, of what people call it. Raises Invalid."""
    if distribution == System.WINDOWS.value:
        return System.WINDOWS, ""
    if distribution in (*_MACOS_FOLDERS, _MACOS_PLAIN):
        return System.MACOS, "" if distribution == _MACOS_PLAIN else distribution
    return System.LINUX, _linux(distribution)


def _linux(name: str) -> str:
    """The name in URLs of a distribution. Raises Invalid."""
    found = distributions.find(name)
    if found is None:
        raise Invalid(f"there is no distribution {name[:60]!r}", hint=f"there are {_linux_names()}")
    return found.url


def _linux_names() -> str:
    names = distributions.urls()
    return ", ".join(names if distributions.INTERNAL in names else [*names, distributions.INTERNAL])


def _minor(version: str) -> str:
    """Raises Invalid."""
    minor = r_minor(version)
    if minor is None:
        raise Invalid(f"{version[:60]!r} is no version of R", hint="such as 4.4 or 4.4.1")
    return minor


def _check_takes_binaries(source: Source) -> Source:
    """Raises WrongType."""
    kind = KINDS.get(source.type)
    is_of_r = source.type in SOURCE_TYPES_OF[RepositoryType.R]
    if kind is None or not kind.owns_files or not is_of_r:
        raise WrongType(
            f"source {source.name!r} is of type {source.type.value}, which takes no binary packages",
            hint="binary packages are added to local and git sources of R; those of CRAN come from upstream",
        )
    return source


def _again(connection: Connection, owner: Source) -> Source:
    """The source as it is now. Raises SourceNotFound: it was deleted."""
    if owner.part is None and not db_sources.live(connection, [owner.id]):
        raise SourceNotFound(f"source {owner.name!r} was deleted", hint="`entrepot list sources` shows those there are")
    return db_sources.by_id(connection, owner.id)


def _listed(connection: Connection, owner: Source, package: PackageName, version: str) -> Listed:
    """The source package that a source has, or shows. Raises PackageNotFound."""
    shown = db_sources.by_id(connection, owner.files_of)
    rows = db_owned.visible_now(connection, shown, [package])
    name = paths.file_name(package, version)
    found = [row for row in rows if row.file.name == name]
    if found:
        return found[-1]
    raise PackageNotFound(
        f"source {owner.name!r} has no {package} {version}", hint=_versions(owner, package, rows), package=package
    )


def _versions(owner: Source, package: PackageName, rows: Sequence[Listed]) -> str:
    versions = sorted({row.file.version for row in rows}, key=version_key)
    if not versions:
        return f"binaries belong to versions that a source has: add the source package to {owner.name!r} first"
    more = f"the newest of {len(versions)}: " if len(versions) > _MOST_NAMED else ""
    return f"of {package} it has {more}{', '.join(versions[-_MOST_NAMED:])}"
