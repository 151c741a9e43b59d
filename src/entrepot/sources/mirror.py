"""A mirror of an upstream CRAN: indexes by conditional requests, rows all or nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.changes import Found, Plan, plan
from entrepot.core.errors import SyncRunning, UpstreamInvalid
from entrepot.core.jobs import Report
from entrepot.core.model import FOREVER, File, FileStatus, Listed, PackageName, Source, TransactionId, seconds
from entrepot.core.snapshots import Cut
from entrepot.core.urls import shown
from entrepot.db import files as db_files
from entrepot.db import sources as db_sources
from entrepot.db import transactions as db_transactions
from entrepot.ecosystems.r import upstream
from entrepot.fetch import Fetched

INDEX_GZ = "src/contrib/PACKAGES.gz"
INDEX = "src/contrib/PACKAGES"
ARCHIVE = "src/contrib/Meta/archive.rds"
CURRENT = "src/contrib/Meta/current.rds"
DOCUMENT_LIMIT = 256 * 1024**2
UNPACKED_LIMIT = 1024**3
LOST_HALF = 0.5
SMALL = 20
"""Below this number of packages an index may lose any share of them."""

ACTOR = "sync"

Validators = dict[str, list[str | None]]
Documents = dict[str, bytes]


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


def refresh(app: App, source: Source, *, force: bool, report: Report) -> Synced:
    """Bring the rows of a CRAN mirror up to date with its upstream, in one database transaction.

    Args:
        force: accept an index that lost more than half of its packages.

    Raises:
        UpstreamUnavailable: upstream does not answer; worth trying again.
        UpstreamInvalid: upstream's index can't be used; nothing was changed.
    """
    # A clock that was set back must not open days again that were closed.
    began = max(app.clock(), source.synced_from or app.clock())
    url = app.settings.cran.upstream
    with app.db.read() as connection:
        state = db_sources.mirror_state(connection, source.id)
        assert state is not None
        last = db_transactions.newest_of(connection, source_id=source.id)
        known = db_files.visible(connection, Cut(source.id, TransactionId(last or 0)))
    validators: Validators = state.validators if state.upstream == url else {}
    report("asking upstream", 0, 0)
    answered = _ask(app, url, validators)
    if answered is None:
        _close_days(app, source, url=url, began=began, validators=validators)
        return Synced()
    documents, validators = answered
    report("reading the index", 0, 0)
    inventory = upstream.inventory(documents["index"], archive=documents.get(ARCHIVE), current=documents.get(CURRENT))
    had = sum(row.status is FileStatus.CURRENT for row in known)
    has = sum(found.status is FileStatus.CURRENT for found in inventory.found)
    _check_size(had, has, url, "packages", force=force)
    _check_size(len(known), len(inventory.found), url, "versions", force=force or ARCHIVE not in documents)
    report("comparing", 0, 0)
    first_open = source.synced_from.date() if source.synced_from else None
    todo = plan(
        known,
        inventory.found,
        first_open=first_open,
        sync_day=max(began.date(), first_open or began.date()),
        archive_is_known=ARCHIVE in documents,
    )
    report("writing", 0, 0)
    with app.db.write() as connection:
        if db_transactions.newest_of(connection, source_id=source.id) != last:
            raise SyncRunning(f"source {source.name!r} was changed by another sync meanwhile; nothing was changed")
        ids = _write(connection, app, source, todo, known, message=f"synced from {shown(url)}")
        _record_success(connection, source, url=url, began=began, validators=validators)
    return _summary(ids, known, inventory.found, tuple(inventory.faults))


def _ask(app: App, url: str, validators: Validators) -> tuple[Documents, Validators] | None:
    """The documents of upstream and their validators; None if none of them changed."""
    answers = {path: _get(app, url, path, validators.get(path)) for path in (INDEX_GZ, ARCHIVE, CURRENT)}
    if answers[INDEX_GZ] is None:
        answers[INDEX] = _get(app, url, INDEX, validators.get(INDEX))
    if validators and all(_is_same(answer, validators.get(path)) for path, answer in answers.items()):
        return None
    bodies: Documents = {}
    fresh: Validators = {}
    for path, answer in answers.items():
        if answer is not None and answer.body is None:
            # Unchanged itself, but it has to be read together with those that changed.
            answer = _get(app, url, path, None)
        if answer is not None and answer.body is not None:
            bodies[path] = answer.body
            fresh[path] = [answer.etag, answer.last_modified, hashlib.sha256(answer.body).hexdigest()]
    _check_complete(bodies, validators, url)
    packed = INDEX_GZ in bodies
    bodies["index"] = upstream.decompress_index(bodies[INDEX_GZ if packed else INDEX], gz=packed, limit=UNPACKED_LIMIT)
    return bodies, fresh


def _get(app: App, url: str, path: str, known: list[str | None] | None) -> Fetched | None:
    etag, last_modified = (known[0], known[1]) if known else (None, None)
    return app.fetch.get(f"{url}/{path}", etag=etag, last_modified=last_modified, limit=DOCUMENT_LIMIT)


def _is_same(answer: Fetched | None, known: list[str | None] | None) -> bool:
    if answer is None or known is None:
        return answer is None and known is None
    return answer.body is None or hashlib.sha256(answer.body).hexdigest() == known[2]


def _check_complete(bodies: Documents, validators: Validators, url: str) -> None:
    if INDEX_GZ not in bodies and INDEX not in bodies:
        raise UpstreamInvalid(
            f"{shown(url)} has neither {INDEX_GZ} nor {INDEX}",
            hint="[cran] upstream is the base URL of a CRAN mirror, above its src folder",
        )
    if ARCHIVE in validators and ARCHIVE not in bodies:
        raise UpstreamInvalid(
            f"{shown(url)} no longer has {ARCHIVE}; nothing was changed",
            hint="try again later; without it all archived versions would vanish",
        )


def _check_size(had: int, has: int, url: str, what: str, *, force: bool) -> None:
    if not force and had >= SMALL and has < had * LOST_HALF:
        raise UpstreamInvalid(
            f"the index of {shown(url)} has {has} {what} instead of {had}; nothing was changed",
            hint="if that is right, `entrepot sync --force` accepts it",
            had=had,
            has=has,
        )


def _write(
    connection: Connection, app: App, source: Source, todo: Plan, known: Sequence[Listed], *, message: str
) -> tuple[TransactionId, ...]:
    """Record the plan: one transaction a day, all files and their visibility."""
    ids = db_transactions.add_many(
        connection, [(day.day, message) for day in todo.days], time=app.clock(), actor=ACTOR, source_id=source.id
    )
    first_file = db_files.next_id(connection)
    hashed = {(row.file.package, row.file.version, row.file.md5): row.file for row in known if row.file.md5}
    db_files.add(connection, [_file(first_file + n, source, found, hashed) for n, found in enumerate(todo.new_files)])
    ended: list[tuple[int, TransactionId]] = []
    rows: list[tuple[int, int, FileStatus, TransactionId, TransactionId]] = []
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
    db_files.hide(connection, ended)
    db_files.show(connection, rows)
    return tuple(ids)


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


def _record_success(
    connection: Connection, source: Source, *, url: str, began: datetime, validators: Validators
) -> None:
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
        _record_success(connection, source, url=url, began=began, validators=validators)


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
