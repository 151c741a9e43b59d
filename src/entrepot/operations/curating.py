"""How curated and pinned sources are made, and how single packages are taken out of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.closure import ALL, DEFAULT, KINDS
from entrepot.core.errors import Invalid, NeverSynced, PackageNotFound, WrongType
from entrepot.core.model import FileStatus, Listed, Source, SourceType, TransactionId
from entrepot.core.proposals import Report
from entrepot.db import curations as db_curations
from entrepot.db import files as db_files
from entrepot.db import sources as db_sources
from entrepot.operations import cran_snapshots, dialects, proposals
from entrepot.operations.changing import Outcome
from entrepot.operations.drafting import Draft, State, Wish
from entrepot.operations.pinning import base_of, name_snapshot


@dataclass(frozen=True, slots=True)
class Curation:
    """How a curated or pinned source is made: the snapshot (None: the newest), the kinds of dependencies that every
    package brings (None: the usual ones), and whether versions show that the mirror has archived."""

    snapshot: str | None = None
    include: tuple[str, ...] | None = None
    shows_archive: bool = True


def parse_include(words: Iterable[str]) -> tuple[str, ...]:
    """The kinds of dependencies that `imports,suggests`, `none` or `all` name, in a fixed order. Raises Invalid."""
    given = {word.strip().lower().replace("linkingto", "linking-to") for word in words if word.strip()}
    if given == {"none"}:
        return ()
    if given == {"all"}:
        return ALL
    wrong = sorted(given - set(KINDS))
    if wrong or not given:
        raise Invalid(
            f"{', '.join(wrong) or 'nothing'} is no kind of dependency",
            hint=f"kinds are {', '.join(ALL)}; or none, or all",
        )
    return tuple(kind for kind in KINDS if kind in given)


def check(type_: SourceType, wanted: Curation) -> None:
    """Raises Invalid: a source of that type is not made so."""
    if wanted.include is not None and type_ is not SourceType.CURATED_CRAN:
        raise Invalid(f"sources of type {type_.value} bring no dependencies by themselves", hint="leave --include out")
    if wanted != Curation() and type_ not in (SourceType.CRAN_SNAPSHOT, SourceType.CURATED_CRAN):
        raise Invalid(
            f"sources of type {type_.value} are not made of a snapshot",
            hint="--snapshot, --include and --no-archived are for cran-snapshot and curated-cran",
        )


def first_draft(app: App, name: str, type_: SourceType, wanted: Curation) -> Draft | None:
    """What a new source shows at first; None: nothing, and it isn't pinned yet."""
    if type_ not in (SourceType.CRAN_SNAPSHOT, SourceType.CURATED_CRAN):
        return None
    with app.db.read() as connection:
        base = base_of(connection, type_)
        assert base is not None
        if type_ is SourceType.CURATED_CRAN:
            try:
                named = name_snapshot(app, connection, base, wanted.snapshot)
            except NeverSynced:
                if wanted.snapshot is not None:
                    raise
                return None
            return Draft(named, {"requirements": [], "removed": []}, {}, Report())
    new = Source(0, name, type_, app.clock(), False, base_id=base.id, shows_archive=wanted.shows_archive)
    state = State(new, base, (), None, TransactionId(0), {})
    return cran_snapshots.draft(app, state, Wish("create", snapshot=wanted.snapshot))


def begin(
    app: App,
    connection: Connection,
    source_id: int,
    type_: SourceType,
    wanted: Curation,
    first: Draft | None,
    *,
    actor: str,
) -> None:
    """Record how a source that was just made is curated, and pin it."""
    base = base_of(connection, type_)
    if base is None:
        return
    include = DEFAULT if wanted.include is None else wanted.include
    of_r = type_ is SourceType.CURATED_CRAN
    db_curations.add(
        connection, source_id, base_id=base.id, include=include if of_r else (), shows_archive=wanted.shows_archive
    )
    if first is not None:
        proposals.pin_new(app, connection, db_sources.by_id(connection, source_id), first, actor=actor)


def take_out(app: App, source: Source, package: str, *, scope: str, actor: str, comment: str = "") -> Outcome:
    """Take a package, one version or one file of it out of a curated source; no later list brings the latter back.

    Raises:
        PackageNotFound: there is nothing of that name or scope.
        Conflict: other packages of the source need it.
    """
    if source.is_pinned:
        raise WrongType(
            f"source {source.name!r} shows a mirror whole; no single package can be taken out",
            hint="use a source of type curated-cran for a set of packages",
        )
    name, versions = _within(app, source, package, scope)
    wish = Wish("remove", packages=(name,), removed=versions)
    return proposals.apply_wish(app, source.name, wish, actor=actor, comment=comment)


def _within(app: App, source: Source, package: str, scope: str) -> tuple[str, tuple[str, ...]]:
    """The package's name, and the versions or files that a scope means; none: all of it."""
    name = dialects.of_source(source).name(package)
    with app.db.read() as connection:
        shown = db_curations.shown_now(connection, source.id)
        found = [file for file in db_files.by_ids(connection, shown).values() if file.package == name]
    if not found or name is None:
        raise PackageNotFound(
            f"source {source.name!r} has no package {package!r}",
            hint=f"`entrepot list packages --source={source.name}`",
        )
    if scope == "all":
        return name, ()
    if scope == "current":
        listed = [Listed(file, FileStatus.CURRENT) for file in found if shown[file.id] is FileStatus.CURRENT]
        known = dialects.of_source(source).releases(listed)
        scopes = {known.latest.version} if known is not None else set()
    else:
        scopes = {file.version for file in found if file.version == scope}
        scopes |= {file.version if source.has_archive else file.name for file in found if file.name == scope}
    if not scopes:
        have = ", ".join(dict.fromkeys(file.version for file in found))
        what = "current version" if scope == "current" else f"version or file {scope}"
        raise PackageNotFound(f"{name!r} has no {what} in source {source.name!r}", hint=f"it has {have}")
    return name, tuple(scopes)
