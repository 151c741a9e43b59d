"""What a mirror's upstream tells of its packages besides its index: `web/packages/packages.rds`, and DESCRIPTIONs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass

from entrepot.app import App
from entrepot.core.errors import Invalid, UpstreamInvalid, UpstreamUnavailable
from entrepot.core.facts import Fact, Version
from entrepot.core.jobs import Log, Report
from entrepot.core.model import File, Source, SourceType
from entrepot.core.urls import shown
from entrepot.db import facts as db_facts
from entrepot.db import files as db_files
from entrepot.db import jobs as db_jobs
from entrepot.db import sources as db_sources
from entrepot.db.described import Description, Undescribed
from entrepot.ecosystems.r import packagedb
from entrepot.sources.describe import read_description
from entrepot.sources.readers import Before, Readers

JOB = "facts"
DOCUMENT = "web/packages/packages.rds"
LARGEST_DOCUMENT = 128 * 1024**2
LARGEST_UNPACKED = 512 * 1024**2
PIECE = 2000
"""Facts written between two reports of progress."""
MOST_READ = 48
"""Files whose heads are read while somebody waits."""
PATIENCE = 20.0
"""Seconds that somebody waits for these."""
AGAIN_AFTER, AWAY_FOR = 3600.0, 60.0
"""Seconds after which a file that could not be read is tried again; where upstream didn't answer, sooner."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """What reading an upstream's facts brought: how many versions it tells of, and how many facts are new."""

    versions: int = 0
    added: int = 0
    changed: int = 0
    is_there: bool = True


def after_sync(app: App, source_id: int, *, changed: bool, actor: str) -> None:
    """Ask for the job that reads the facts of a CRAN mirror: after each sync that brought something, and as long as
    nobody looked for them."""
    with app.db.read() as connection:
        source = db_sources.by_id(connection, source_id)
        state = db_sources.mirror_state(connection, source_id)
    if source.type is not SourceType.CRAN or state is None or not (changed or state.facts is None):
        return
    with app.db.write(shows=False) as connection:
        db_jobs.request(connection, kind=JOB, source_id=source_id, payload={}, actor=actor, now=app.clock())


def refresh(app: App, source: Source, *, report: Report, log: Log) -> Learnt:
    """Bring the facts of a CRAN mirror up to date, in one database transaction. Facts that are known of versions that
    upstream tells of no more stay.

    Raises:
        UpstreamUnavailable: upstream does not answer; worth trying again.
        UpstreamInvalid: what it has there can't be read; nothing was changed.
        Cancelled: by `report`.
    """
    url = f"{app.settings.cran.upstream}/{DOCUMENT}"
    with app.db.read() as connection:
        state = db_sources.mirror_state(connection, source.id)
    assert state is not None
    known = (state.facts or {}).get(url) or [None, None]
    report("asking upstream", 0, 0)
    try:
        fetched = app.fetch.get(url, etag=known[0], last_modified=known[1], limit=LARGEST_DOCUMENT)
    except UpstreamInvalid as error:
        # Some stores answer 403 for what they don't have.
        log(f"not read: {error.message}")
        fetched = None
    if fetched is not None and fetched.body is None:
        return Learnt()
    if fetched is None:
        _write(app, source, {}, {}, report)
        return Learnt(is_there=False)
    assert fetched.body is not None
    try:
        found = packagedb.read(
            fetched.body, limit=LARGEST_UNPACKED, progress=lambda done, all_: report("reading facts", done, all_)
        )
    except Invalid as error:
        raise UpstreamInvalid(f"{shown(url)} can't be read: {error.message}") from error
    return _write(app, source, found, {url: [fetched.etag, fetched.last_modified]}, report)


def _write(
    app: App,
    source: Source,
    found: Mapping[Version, Fact],
    validators: dict[str, list[str | None]],
    report: Report,
) -> Learnt:
    with app.db.write(shows=False) as connection:
        before = db_facts.of_source(connection, source.id) if found else {}
        new = [fact for key, fact in found.items() if key not in before]
        other = [fact for key, fact in found.items() if before.get(key, fact) != fact]
        for start in range(0, len(new), PIECE):
            report("writing facts", start, len(new) + len(other))
            db_facts.add(connection, source.id, new[start : start + PIECE])
        for start in range(0, len(other), PIECE):
            report("writing facts", len(new) + start, len(new) + len(other))
            db_facts.change(connection, source.id, other[start : start + PIECE])
        db_sources.update_mirror(connection, source.id, facts=validators)
        if new or other:
            db_sources.note_filled(connection, [source.id])
    return Learnt(len(found), len(new), len(other))


def read_now(app: App, files: Iterable[tuple[File, str]]) -> dict[int, str]:
    """The DESCRIPTIONs of some files of mirrors, from the heads of their tarballs; they are kept.

    Args:
        files: each with its mirror's base URL; of more than `MOST_READ` the first are read.

    Returns:
        File id -> text, of those that could be read in time.
    """
    now = app.clock().timestamp()
    wanted = [each for each in files if app.waits.until((JOB, each[0].id), now) is None][:MOST_READ]
    upstream_of = {file.id: upstream for file, upstream in wanted}
    until = time.monotonic() + PATIENCE
    read: dict[int, str] = {}
    for file, _ in wanted:
        app.waits.put((JOB, file.id), now + AWAY_FOR)

    def one(file: File, *, before: Before) -> Description:
        wanted = Undescribed(file.id, file.package, file.version, file.name, None)
        return read_description(app, wanted, upstream=upstream_of[file.id], before=before)

    with closing(Readers(one, rate=app.settings.cran.describe_rate)) as readers:
        for file, _ in wanted:
            readers.add(file)
        while readers.waiting and time.monotonic() < until:
            came = readers.next(patience=0.2)
            if came is None:
                continue
            if isinstance(came.read, Description):
                read[came.item.id] = came.read.text
                app.waits.clear((JOB, came.item.id))
            elif not isinstance(came.read, UpstreamUnavailable):
                app.waits.put((JOB, came.item.id), now + AGAIN_AFTER)
    _keep(app, read)
    return read


def _keep(app: App, read: dict[int, str]) -> None:
    """Whoever was faster has written the same."""
    if not read:
        return
    with app.db.write(shows=False) as connection:
        known = db_files.documents(connection, read)
        new = [(id_, text) for id_, text in read.items() if id_ not in known]
        db_files.add_descriptions(connection, new)
        found = db_files.by_ids(connection, [id_ for id_, _ in new])
        db_sources.note_filled(connection, {file.source_id for file in found.values()})
