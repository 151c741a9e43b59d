"""A mirror of CRAN, or of a repository made like it: indexes by conditional requests, rows all or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.changes import History, Plan, plan
from entrepot.core.errors import AlreadySynced, SyncRunning, UpstreamInvalid
from entrepot.core.jobs import Report
from entrepot.core.model import FOREVER, File, FileStatus, Listed, PackageName, Source, TransactionId, seconds
from entrepot.core.platforms import System
from entrepot.core.snapshots import Cut
from entrepot.core.timelines import Found
from entrepot.core.urls import shown
from entrepot.db import files as db_files
from entrepot.db import listings as db_listings
from entrepot.db import sources as db_sources
from entrepot.db import transactions as db_transactions
from entrepot.ecosystems.r import news, upstream
from entrepot.ecosystems.r.upstream import Inventory, Texts
from entrepot.sources import documents, upstreamcopy
from entrepot.sources.documents import ARCHIVE, SUMMARY, Validators
from entrepot.sources.places import Place, place_of
from entrepot.sources.upstreamcopy import Summary, UpstreamCopy

LOST_HALF = 0.5
SMALL = 20
"""Below this number of packages an index may lose any share of them."""
PIECE = 5000
"""Rows written between two reports of progress."""

ACTOR = "sync"


@dataclass(frozen=True, slots=True)
class Synced:
    """What a sync brought: its transactions (none if nothing changed), packages by what happened to them in all, and
    the entries of upstream's index that could not be used."""

    transactions: tuple[TransactionId, ...] = ()
    added: int = 0
    updated: int = 0
    archived: int = 0
    removed: int = 0
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Comparison:
    """What is known and what was found, but for what is the same on both sides: `same` (current, all) versions."""

    known: list[Listed]
    inventory: Inventory
    same: tuple[int, int] = (0, 0)


def refresh(
    app: App,
    source: Source,
    *,
    force: bool,
    history: History | None = None,
    report: Report,
    place: Place | None = None,
) -> Synced:
    """Bring the rows of a mirror up to date with its upstream, in one database transaction.

    Args:
        place: where upstream is, if not where the settings say.
        force: accept an index that lost more than half of its packages.
        history: how much of the past a first sync records; None is all that upstream tells.

    Raises:
        AlreadySynced: `history` is given, and this is not the first sync.
        UpstreamUnavailable: upstream does not answer; worth trying again.
        UpstreamLacksIndex: it has none.
        UpstreamInvalid: upstream's index can't be used; nothing was changed.
        SyncRunning: another sync was faster.
    """
    if history is not None:
        check_is_first(source)
    # A clock that was set back must not open days again that were closed.
    began = max(app.clock(), source.synced_from or app.clock())
    place = place or place_of(app.settings, source)
    url = place.url
    with app.db.read() as connection:
        state = db_sources.mirror_state(connection, source.id)
        assert state is not None
        last = db_transactions.newest_of(connection, source_id=source.id)
    validators: Validators = state.validators if state.upstream == url else {}
    copy = UpstreamCopy(app.settings.server.data_dir / "cache" / "upstream" / str(source.id))
    report("asking upstream", 0, 0)
    asked = documents.ask(app.fetch, place, validators, copy)
    if asked is None:
        _close_days(app, source, url=url, began=began, validators=validators)
        return Synced()
    report("reading the index", 0, 0)
    system = place.platform.system if place.platform is not None else None
    found = _compare(app, Cut(source.id, TransactionId(last or 0)), validators, copy, asked.texts, system)
    _check_sizes(found, url, force=force, archive_is_known=ARCHIVE in asked.bodies)
    first_open = source.synced_from.date() if source.synced_from else None
    todo = plan(
        found.known,
        found.inventory.found,
        first_open=first_open,
        sync_day=max(began.date(), first_open or began.date()),
        archive_is_known=ARCHIVE in asked.bodies,
        events=found.inventory.events,
        history=history or History.FULL,
        progress=lambda done, total: report("comparing", done, total),
    )
    validators = _keep(copy, asked, found.inventory, todo)
    with app.db.write() as connection:
        if db_transactions.newest_of(connection, source_id=source.id) != last:
            raise SyncRunning(f"source {source.name!r} was changed by another sync meanwhile; nothing was changed")
        message = f"synced from {shown(url)}"
        ids = _write(connection, app, source, todo, found.known, message=message, report=report)
        record_success(connection, source, url=url, began=began, validators=validators)
    copy.keep_only(sha256 for _, _, sha256 in validators.values())
    return _summary(ids, found.known, found.inventory.found, tuple(found.inventory.faults))


def check_is_first(source: Source) -> None:
    """Raises AlreadySynced if a mirror has its history."""
    if source.synced_from is not None:
        raise AlreadySynced(
            f"source {source.name!r} was synced before: how much history it has was decided then",
            hint="history can be chosen for the first sync alone",
        )


def _compare(
    app: App, cut: Cut, validators: Validators, copy: UpstreamCopy, now: Texts, system: System | None
) -> _Comparison:
    """What is known and what upstream has now: of the packages that changed, or of all if only that can tell."""
    summary = upstreamcopy.unpack(copy.get(validators[SUMMARY][2])) if SUMMARY in validators else None
    before = documents.recall(validators, copy) if summary is not None else None
    if summary is not None and before is not None:
        new = news.compare(before, summary.outline, now, also=summary.unsettled)
        if new is not None:
            with app.db.read() as connection:
                known = db_listings.visible_of(connection, cut, new.packages)
                current, versions = db_listings.count_visible(connection, cut)
            same = current - sum(row.status is FileStatus.CURRENT for row in known), versions - len(known)
            return _Comparison(known, new.inventory, same)
    inventory = upstream.inventory(now, system=system)
    with app.db.read() as connection:
        return _Comparison(db_listings.visible(connection, cut), inventory)


def _check_sizes(found: _Comparison, url: str, *, force: bool, archive_is_known: bool) -> None:
    packages, versions = found.same
    had = packages + sum(row.status is FileStatus.CURRENT for row in found.known)
    has = packages + sum(row.status is FileStatus.CURRENT for row in found.inventory.found)
    _check_size(had, has, url, "packages", force=force)
    had, has = versions + len(found.known), versions + len(found.inventory.found)
    _check_size(had, has, url, "versions", force=force or not archive_is_known)


def _check_size(had: int, has: int, url: str, what: str, *, force: bool) -> None:
    if not force and had >= SMALL and has < had * LOST_HALF:
        raise UpstreamInvalid(
            f"the index of {shown(url)} has {has} {what} instead of {had}; nothing was changed",
            hint="if that is right, `entrepot sync --force` accepts it",
            had=had,
            has=has,
        )


def _keep(copy: UpstreamCopy, asked: documents.Asked, inventory: Inventory, todo: Plan) -> Validators:
    """Keep the documents for the next sync, which takes them if it finds these validators in the database."""
    if inventory.outline is None:
        return asked.validators
    for body in asked.bodies.values():
        copy.put(body)
    summary = copy.put(upstreamcopy.pack(Summary(inventory.outline, todo.unsettled)))
    return {**asked.validators, SUMMARY: [None, None, summary]}


def _write(
    connection: Connection,
    app: App,
    source: Source,
    todo: Plan,
    known: Sequence[Listed],
    *,
    message: str,
    report: Report,
) -> tuple[TransactionId, ...]:
    """Record the plan: one transaction a day, all files and their visibility."""
    ids = db_transactions.add_many(
        connection, [(day.day, message) for day in todo.days], time=app.clock(), actor=ACTOR, source_id=source.id
    )
    first_file = db_files.next_id(connection)
    hashed = {(row.file.package, row.file.version, row.file.md5): row.file for row in known if row.file.md5}
    ended, rows = _rows(source, todo, ids, first_file)
    total = len(todo.new_files) + len(rows)
    for start in range(0, len(todo.new_files), PIECE):
        report("writing", start, total)
        piece = enumerate(todo.new_files[start : start + PIECE], first_file + start)
        db_files.add(connection, [_file(id_, source, found, hashed) for id_, found in piece])
    db_files.hide(connection, source.id, ended)
    for start in range(0, len(rows), PIECE):
        report("writing", len(todo.new_files) + start, total)
        db_files.show(connection, rows[start : start + PIECE])
    return tuple(ids)


_Row = tuple[int, int, FileStatus, TransactionId, TransactionId]


def _rows(
    source: Source, todo: Plan, ids: Sequence[TransactionId], first_file: int
) -> tuple[list[tuple[int, TransactionId]], list[_Row]]:
    """Visible rows that end, and new rows of visibility: those that the plan itself ends again, and those that stay."""
    ended: list[tuple[int, TransactionId]] = []
    rows: list[_Row] = []
    begun: dict[int, tuple[FileStatus, TransactionId]] = {}
    for at, day in zip(ids, todo.days, strict=True):
        for handle in day.ends:
            file_id = handle if handle > 0 else first_file - handle - 1
            if file_id in begun:
                status, since = begun.pop(file_id)
                rows.append((file_id, source.id, status, since, at))
            else:
                ended.append((file_id, at))
        for handle, status in day.begins:
            begun[handle if handle > 0 else first_file - handle - 1] = (status, at)
    rows += [(file_id, source.id, status, since, FOREVER) for file_id, (status, since) in begun.items()]
    return ended, rows


def _file(id_: int, source: Source, found: Found, hashed: dict[tuple[PackageName, str, str], File]) -> File:
    # The same bytes under a changed index entry: what is known of them stays known.
    same = hashed.get((found.package, found.version, found.md5)) if found.md5 else None
    return File(
        id=id_,
        source_id=source.id,
        package=found.package,
        version=found.version,
        name=found.name,
        size=found.size if found.size is not None or same is None else same.size,
        md5=found.md5,
        sha256=same.sha256 if same else None,
        sha256_since=same.sha256_since if same else None,
        published_at=seconds(found.published),
        fields=found.fields,
    )


def record_success(
    connection: Connection, source: Source, *, url: str, began: datetime, validators: Validators
) -> None:
    """A sync that began then is done; what comes next is asked for with these validators."""
    db_sources.update_mirror(
        connection,
        source.id,
        upstream=url,
        validators=validators,
        synced_from=began,
        failures=0,
        error_code=None,
        error=None,
        next_try=None,
    )


def _close_days(app: App, source: Source, *, url: str, began: datetime, validators: Validators) -> None:
    """Upstream has nothing new: the days until now are closed, and that is all there is to write."""
    with app.db.write() as connection:
        record_success(connection, source, url=url, began=began, validators=validators)


def _summary(
    ids: tuple[TransactionId, ...], known: Sequence[Listed], found: Sequence[Found], faults: tuple[str, ...]
) -> Synced:
    before = {row.file.package: row.file.version for row in known if row.status is FileStatus.CURRENT}
    after = {row.package: row.version for row in found if row.status is FileStatus.CURRENT}
    left = {row.package for row in found}
    gone = before.keys() - after.keys()
    return Synced(
        transactions=ids,
        added=len(after.keys() - before.keys()),
        updated=sum(before.get(package, version) != version for package, version in after.items()),
        archived=len(gone & left),
        removed=len(gone - left),
        faults=faults,
    )
