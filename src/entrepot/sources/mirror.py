"""A mirror of an upstream CRAN: indexes by conditional requests, rows all or nothing, files on first request."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.changes import Found, Plan, plan
from entrepot.core.errors import EntrepotError, Invalid, SyncRunning, UpstreamInvalid, UpstreamLacksFile
from entrepot.core.model import FOREVER, File, FileStatus, Listed, PackageName, Sha256, Source, TransactionId
from entrepot.core.snapshots import Cut
from entrepot.core.urls import shown
from entrepot.db import files as db_files
from entrepot.db import sources as db_sources
from entrepot.db import transactions as db_transactions
from entrepot.ecosystems.r import gzips, packages, paths, tarball, upstream
from entrepot.fetch import Fetched
from entrepot.flights import Flight, Sink
from entrepot.storage import Key

Report = Callable[[str, int, int], None]
"""Told about progress: the step, how much of it is done and its total (0 if unknown)."""

INDEX_GZ = "src/contrib/PACKAGES.gz"
INDEX = "src/contrib/PACKAGES"
ARCHIVE = "src/contrib/Meta/archive.rds"
CURRENT = "src/contrib/Meta/current.rds"
DOCUMENT_LIMIT = 256 * 1024**2
UNPACKED_LIMIT = 1024**3
FILE_LIMIT = 16 * 1024**3
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


def fetch_file(app: App, listed: Listed) -> Flight[File]:
    """The one download of a listed file; it ends with the file in the store and its row telling so."""

    def start(sink: Sink) -> File:
        with app.db.read() as connection:
            file = db_files.get(connection, listed.file.id) or listed.file
        _download(app, replace(listed, file=file), sink)
        return file

    return app.flights.join(f"file:{listed.file.id}", start)


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
        published=found.published,
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


def _download(app: App, listed: Listed, sink: Sink) -> None:
    file = listed.file
    if file.sha256 and app.storage.size(Key.blob(file.sha256)) is not None:
        # The flight before this one ended a moment ago, or another node's did.
        _copy(app, file.sha256, sink)
        return
    got = None
    lacks: UpstreamLacksFile | None = None
    for path in paths.upstream_paths(file.package, file.version, listed.status):
        try:
            got = app.fetch.download(
                f"{app.settings.cran.upstream}/{path}",
                sink,
                limit=FILE_LIMIT,
                size=file.size,
                md5=file.md5,
                sha256=file.sha256,
                began=sink.expect,
            )
            break
        except UpstreamLacksFile as error:
            # It moves to the archive when a newer version comes, maybe since the last sync.
            lacks = lacks or error
    if got is None:
        assert lacks is not None
        raise lacks
    if file.md5 is None and file.sha256 is None:
        _check_is_package(file, sink)
    sink.verified()
    sha256 = Sha256(got.sha256)
    app.storage.put_file(Key.blob(sha256), sink.path)
    _learn(app, file, sink, size=got.size, md5=got.md5, sha256=sha256)


def _check_is_package(file: File, sink: Sink) -> None:
    """Where no hash is known, at least a whole gzip archive, and no other package than the one that was asked for."""
    try:
        with sink.path.open("rb") as stream:
            unpacked = gzips.Reader(stream, limit=FILE_LIMIT)
            while unpacked.read(1024 * 1024):
                pass
    except Invalid as error:
        raise UpstreamInvalid(f"what upstream sent as {file.name} is no source package: {error}") from error
    try:
        with sink.path.open("rb") as stream:
            says = tarball.describe(stream)[0].get("Package", file.package)
    except EntrepotError:
        return  # as old as CRAN's oldest, perhaps: R may make something of it
    if says != file.package:
        raise UpstreamInvalid(f"what upstream sent as {file.name} is a package named {says[:60]!r}")


def _copy(app: App, sha256: Sha256, sink: Sink) -> None:
    sink.expect(app.storage.size(Key.blob(sha256)))
    for chunk in app.storage.stream(Key.blob(sha256)):
        sink.write(chunk)
    sink.verified()


def _learn(app: App, file: File, sink: Sink, *, size: int, md5: str, sha256: Sha256) -> None:
    """Record that the file is stored; an entry that nobody knew more of than its name gets its fields."""
    described = _read_description(sink)
    with app.db.write() as connection:
        row = db_files.get(connection, file.id)
        if row is None or row.sha256 == sha256:
            return
        last = db_transactions.newest_of(connection, source_id=file.source_id) or 0
        facts: dict[str, object] = {"sha256": sha256, "sha256_since": last + 1}
        if row.fields is None and described is not None:
            # Only here: the size of a complete entry would add a Filesize to the indexes of old snapshots.
            facts |= {"fields": described[0], "md5": md5, "size": size}
            state = db_sources.mirror_state(connection, file.source_id)
            if state is not None:
                db_sources.update_mirror(connection, file.source_id, filled=state.filled + 1)
        db_files.learn(connection, file.id, **facts)
        if described is not None and db_files.description(connection, file.id) is None:
            db_files.add_descriptions(connection, [(file.id, described[1])])


def _read_description(sink: Sink) -> tuple[str, str] | None:
    """(index fields, DESCRIPTION) of the downloaded file; None if it has none that can be read."""
    try:
        with sink.path.open("rb") as stream:
            description, text, has_src_folder = tarball.describe(stream)
    except (EntrepotError, OSError):
        # Upstream's bytes are served as they are; a package that R can't read either is not ours to judge.
        return None
    return packages.fields_of_description(description, has_src_folder=has_src_folder), text
