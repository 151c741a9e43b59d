"""Sources that are read by the project: a page is fetched when somebody asks for it, and compared with what is known.

The walk of a reading: `learn` says whether what is known will do; if not, `read` starts the one flight of that project,
or joins it. The flight asks upstream (conditionally), reads the page and writes the difference as one transaction. A
project that is known is never waited for: it is answered as it is, and read again behind the request.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from urllib.parse import urlsplit

from sqlalchemy import Connection

from entrepot.app import App, JustRead
from entrepot.core.answers import About, Unlearned
from entrepot.core.errors import EntrepotError, FileNotListed, UpstreamInvalid
from entrepot.core.model import FOREVER, File, FileStatus, PackageName, Source, TransactionId
from entrepot.core.pages import Begin, PageChanges, ProjectPage, compare
from entrepot.core.snapshots import Cut
from entrepot.db import files as db_files
from entrepot.db import jobs as db_jobs
from entrepot.db import listings as db_listings
from entrepot.db import projects as db_projects
from entrepot.db import transactions as db_transactions
from entrepot.db.engine import catalogue_version
from entrepot.db.projects import ProjectState
from entrepot.ecosystems.python import entry, upstream
from entrepot.fetch import Fetched
from entrepot.flights import Flight, Sink
from entrepot.sources.mirror import ACTOR

PAGE_LIMIT = 256 * 1024**2
ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
ABSENT = 60.0
"""Seconds for which a project that upstream doesn't have is not asked for again."""
FAILED = 30.0
"""Seconds after a reading that failed until the next one behind a request."""
METADATA_JOB = "read-metadata"
SOON = 1.0
"""Seconds that an answer holds while the project is being read again."""


def learn(app: App, connection: Connection, source: Source, cut: Cut, package: PackageName) -> float | None:
    """See that what is known of a project will do for a cut.

    Returns:
        Until when an answer made of it holds, in seconds since 1970; None: for good.

    Raises:
        Unlearned: upstream has to be asked first.
        FileNotListed: the project can't be told as of a past time.
    """
    now = app.clock().timestamp()
    state = db_projects.state(connection, source.id, package)
    if state is None:
        absent = app.waits.until(_absent(source, package), now)
        if absent is not None:
            return absent
    if cut.at is not None:
        if state is None or state.checked < cut.at:
            raise Unlearned(partial(read, app, source, package))
        if not state.is_dated:
            raise undated(package)
        return None
    if state is None:
        raise Unlearned(partial(read, app, source, package))
    due = state.checked + app.settings.pypi.refresh
    if due > now:
        return due
    waiting = app.waits.until(_failed(source, package), now)
    if waiting is None:
        read(app, source, package)
    return waiting or now + SOON


def undated(package: PackageName) -> FileNotListed:
    """What is told of a project as of a past time whose files have no times."""
    return FileNotListed(
        f"dates are not available for {package!r} here: upstream does not tell when its files were uploaded",
        hint="use 'latest'",
    )


def read(app: App, source: Source, package: PackageName) -> Flight[None]:
    """The flight that reads a project now; the one that is under way if there is one."""
    return app.pages.join(topic(source.id, package), partial(_read, app, source, package))


def _read(app: App, source: Source, package: PackageName, sink: Sink) -> None:
    began = int(app.clock().timestamp())
    try:
        _ask(app, source, package, began)
    except EntrepotError:
        app.waits.put(_failed(source, package), began + FAILED)
        raise
    sink.verified()


def _ask(app: App, source: Source, package: PackageName, began: int) -> None:
    with app.db.read() as connection:
        state = db_projects.state(connection, source.id, package)
    fetched = _page(app, package, state)
    if fetched is not None and fetched.not_modified:
        assert state is not None
        with app.db.write(shows=False) as connection:
            db_projects.touch(connection, source.id, package, began)
    elif fetched is None and state is None:
        app.waits.put(_absent(source, package), began + ABSENT)
    else:
        page = _parse(app, package, fetched) if fetched is not None else ProjectPage(About(package), ())
        _record(app, source, package, page, fetched, began, state)


def _page(app: App, package: PackageName, state: ProjectState | None) -> Fetched | None:
    """The project's page; None if upstream has none. In a folder it is a file of its own."""
    url = f"{app.settings.pypi_upstream}/{package}/"
    in_folder = ("index.v1_json", "index.html")
    known = (state.etag, state.last_modified) if state is not None else (None, None)
    for name in in_folder if url.startswith("file:") else ("",):
        found = app.fetch.get(url + name, etag=known[0], last_modified=known[1], limit=PAGE_LIMIT, accept=ACCEPT)
        if found is not None:
            return found
    return None


def _parse(app: App, package: PackageName, fetched: Fetched) -> ProjectPage:
    page = upstream.read_page(fetched.body or b"", url=fetched.url, project=package)
    if page.serial is None:
        page = replace(page, serial=fetched.serial)
    if any(file.uploaded is None for file in page.files):
        page = _with_times(app, package, page)
    return page


def _with_times(app: App, package: PackageName, page: ProjectPage) -> ProjectPage:
    """The times of an upstream whose pages don't tell them, from its JSON API if it has one."""
    base, slash, last = app.settings.pypi_upstream.rpartition("/")
    if not slash or last != "simple":
        return page
    try:
        told = app.fetch.get(f"{base}/pypi/{package}/json", limit=PAGE_LIMIT, accept="application/json")
        return upstream.merge_times(page, told.body) if told is not None and told.body else page
    except UpstreamInvalid:
        return page


def _record(
    app: App,
    source: Source,
    package: PackageName,
    page: ProjectPage,
    fetched: Fetched | None,
    began: int,
    before: ProjectState | None,
) -> None:
    """Write what a reading found. Only where it changes something is the catalogue's version raised."""
    changes_something = before is None or before.about != page.about
    if before is not None and not changes_something:
        with app.db.read() as connection:
            changes_something = bool(_changes(connection, source, package, page, before, began))
    just: JustRead | None = None
    with app.db.write(shows=changes_something, topics=[topic(source.id, package)]) as connection:
        state = db_projects.state(connection, source.id, package)
        if state is not None and state.checked > began:
            return  # another reading began later and is recorded already
        changes = _changes(connection, source, package, page, state, began)
        if changes:
            rows = _write(connection, source, package, page, changes, began, is_first=state is None)
            if state is None:
                just = JustRead(catalogue_version(connection) + 1, rows)  # the version of this write
        if state is not None:
            _move(connection, source, package, page)
        db_projects.save(connection, source.id, package, _new_state(page, fetched, began, state))
        if _lacks_metadata(page) and _can_read_metadata(app, source, began):
            db_jobs.request(
                connection, kind=METADATA_JOB, source_id=source.id, payload={}, actor=ACTOR, now=app.clock()
            )
    if just is not None:
        app.just_read.put(topic(source.id, package), just)


def _new_state(page: ProjectPage, fetched: Fetched | None, began: int, before: ProjectState | None) -> ProjectState:
    is_there = fetched is not None
    is_dated = any(file.uploaded is not None for file in page.files) or (before is not None and before.is_dated)
    etag, last_modified = (fetched.etag, fetched.last_modified) if fetched is not None else (None, None)
    return ProjectState(page.about, etag, last_modified, page.serial, began, is_dated, is_there)


def _changes(
    connection: Connection,
    source: Source,
    package: PackageName,
    page: ProjectPage,
    state: ProjectState | None,
    began: int,
) -> PageChanges:
    if state is None:
        return compare((), page.files, checked=None, now=began)
    now = Cut(source.id, db_transactions.newest(connection))
    known = db_listings.visible_of(connection, now, [package])
    return compare(known, page.files, checked=state.checked, now=began)


def _write(
    connection: Connection,
    source: Source,
    package: PackageName,
    page: ProjectPage,
    changes: PageChanges,
    began: int,
    *,
    is_first: bool,
) -> list[File]:
    """Write the difference as a transaction; the new rows."""
    # The transaction has the time of the reading, so that as of this transaction is as of this reading.
    now = datetime.fromtimestamp(began, UTC)
    day = db_transactions.day_for_source(connection, source.id, now.date())
    message = _message(page, changes, is_first=is_first)
    at = db_transactions.add(connection, time=now, day=day, actor=ACTOR, message=message, source_id=source.id)
    first = db_files.next_id(connection)
    rows = [_file(first + n, source, package, begin) for n, begin in enumerate(changes.begins)]
    replaced = [begin.replaces.id for begin in changes.begins if begin.replaces is not None]
    learnt = db_projects.metadata_hashes(connection, replaced) if replaced else {}
    db_files.add(connection, rows)
    db_files.hide(connection, source.id, [(file.id, at) for file in changes.ends], time=changes.at)
    db_files.show(
        connection,
        [(file.id, source.id, FileStatus.CURRENT, at, FOREVER) for file in rows],
        [begin.begins for begin in changes.begins],
    )
    db_projects.add_origins(connection, [(row.id, b.found.url) for row, b in zip(rows, changes.begins, strict=True)])
    same = {
        row.id: learnt[b.replaces.id][0]
        for row, b in zip(rows, changes.begins, strict=True)
        if b.replaces is not None and b.replaces.id in learnt and row.sha256 == b.replaces.sha256
    }
    db_projects.add_metadata(connection, same, since=at)
    return rows


def _file(id_: int, source: Source, package: PackageName, begin: Begin) -> File:
    found, old = begin.found, begin.replaces
    # The same bytes under a changed entry: what was learnt of them stays known.
    keeps = old is not None and found.sha256 is None and found.md5 is not None and found.md5 == old.md5
    return File(
        id=id_,
        source_id=source.id,
        package=package,
        version=found.version,
        name=found.name,
        size=found.size,
        md5=found.md5,
        sha256=old.sha256 if keeps and old is not None else found.sha256,
        sha256_since=old.sha256_since if keeps and old is not None else (TransactionId(0) if found.sha256 else None),
        published_at=found.uploaded,
        fields=found.fields,
    )


def _move(connection: Connection, source: Source, package: PackageName, page: ProjectPage) -> None:
    """Files that stayed as they are and are to be had elsewhere now."""
    now = Cut(source.id, db_transactions.newest(connection))
    ids = {row.file.name: row.file.id for row in db_listings.visible_of(connection, now, [package])}
    known = db_projects.origins_of(connection, list(ids.values()))
    urls = ((ids[file.name], file.url) for file in page.files if file.name in ids)
    db_projects.move_origins(connection, [(id_, url) for id_, url in urls if known.get(id_) != url])


def _can_read_metadata(app: App, source: Source, now: float) -> bool:
    return bool(app.settings.pypi.metadata_rate) and app.waits.until(no_parts(source), now) is None


def no_parts(source: Source) -> tuple[str, int]:
    """Key of `App.waits`: upstream gives files as a whole only, so no metadata can be read out of them."""
    return "no parts", source.id


def _lacks_metadata(page: ProjectPage) -> bool:
    return any(file.name.endswith(".whl") and not entry.has_metadata(file.fields) for file in page.files)


def _message(page: ProjectPage, changes: PageChanges, *, is_first: bool) -> str:
    if is_first:
        return f"read {page.about.name}: {_files(len(changes.begins))}"
    replaced = {begin.found.name for begin in changes.begins if begin.replaces is not None}
    counts = {
        "added": len(changes.begins) - len(replaced),
        "changed": len(replaced),
        "removed": sum(file.name not in replaced for file in changes.ends),
    }
    return f"read {page.about.name}: " + ", ".join(f"{_files(n)} {what}" for what, n in counts.items() if n)


def _files(number: int) -> str:
    return "1 file" if number == 1 else f"{number} files"


def topic(source_id: int, package: PackageName) -> str:
    """What `Database.write` is told that changes a project alone."""
    return f"{source_id}:{package}"


def _absent(source: Source, package: PackageName) -> tuple[str, int, str]:
    return "absent", source.id, package


def _failed(source: Source, package: PackageName) -> tuple[str, int, str]:
    return "failed", source.id, package


def with_login(app: App, url: str) -> str:
    """A URL of the upstream with the login that the settings give it; any other as it is."""
    own, other = urlsplit(app.settings.pypi_upstream), urlsplit(url)
    host = own.netloc.rpartition("@")[2]
    if own.username is None or (own.scheme, host) != (other.scheme, other.netloc):
        return url
    return other._replace(netloc=own.netloc).geturl()
