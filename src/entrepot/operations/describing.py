"""Dependencies of a mirror's archived versions: how many are not known, and the job that reads them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.errors import Invalid, NeverSynced, WrongType
from entrepot.core.jobs import Log, Report
from entrepot.core.model import Source
from entrepot.core.snapshots import ONE_DAY, closed_through
from entrepot.db import described as db_described
from entrepot.db import jobs as db_jobs
from entrepot.db import sources as db_sources
from entrepot.db.described import Span
from entrepot.db.jobs import Job
from entrepot.db.transactions import DatabaseHistory
from entrepot.sources.describe import Described
from entrepot.sources.kinds import KINDS, Describe


@dataclass(frozen=True, slots=True)
class Completeness:
    """Of the versions that were current on some day from `start` to `end`: how many, and how many of them lack their
    dependencies."""

    start: date
    end: date
    incomplete: int
    versions: int


def request_describe(app: App, source: str, *, start: date | None, end: date | None, actor: str) -> Job:
    """The job that reads what is missing from `start` to `end`: the one for these days that waits or runs, else a new
    one. Without days it is all of the source's days that are over.

    Raises:
        SourceNotFound
        WrongType: the source is no mirror.
        NeverSynced: it has nothing yet.
        Invalid: there is nothing between these days.
    """
    with app.db.write(shows=False) as connection:
        found = db_sources.get(connection, source)
        _kind(found)
        first, last = _days(app, connection, found, start, end)
        payload = {"from": first.isoformat(), "to": last.isoformat()}
        for job in db_jobs.active(connection, kind="describe", source_id=found.id):
            if job.payload == payload and not job.is_cancelled:
                # One that waits after a failure: who asks by hand wants to know now.
                db_jobs.change(connection, job.id, due=None)
                return job
        return db_jobs.add(
            connection, kind="describe", payload=payload, source_id=found.id, actor=actor, now=app.clock()
        )


def completeness(app: App, source: str, *, start: date | None, end: date | None) -> Completeness:
    """What such a job would have to read. Raises as `request_describe`."""
    with app.db.read() as connection:
        found = db_sources.get(connection, source)
        _kind(found)
        first, last = _days(app, connection, found, start, end)
        incomplete, versions = db_described.count(connection, _span(connection, found, first, last))
    return Completeness(first, last, incomplete, versions)


def describe(app: App, source_id: int, *, start: date, end: date, report: Report, log: Log) -> Described:
    """Read what is missing now. Raises as `sources.describe.describe`."""
    with app.db.read() as connection:
        source = db_sources.by_id(connection, source_id)
        span = _span(connection, source, start, end)
    return _kind(source)(app, span, report=report, log=log)


def _kind(source: Source) -> Describe:
    kind = KINDS.get(source.type)
    if source.is_read_by_project:
        raise WrongType(
            f"nothing need be described in {source.name!r}: the metadata of its wheels comes from upstream, or is read "
            "by itself where upstream offers none",
            hint=f"`entrepot list jobs --source={source.name} --kind=read-metadata` shows how far that is",
        )
    if kind is None or kind.describe is None:
        raise WrongType(
            f"source {source.name!r} is of type {source.type.value}, which has no archive to read from",
            hint="mirrors such as cran are described; packages of one's own are read when they are added",
        )
    return kind.describe


def _days(app: App, connection: Connection, source: Source, start: date | None, end: date | None) -> tuple[date, date]:
    """The range that is meant, within what the source can have."""
    history = DatabaseHistory(connection)
    begun = history.first_of(source.id)
    if begun is None:
        raise NeverSynced(f"source {source.name!r} has no packages yet", hint="`entrepot sync` brings them")
    if start is not None and end is not None and start > end:
        raise Invalid(f"the range from {start} to {end} ends before it begins", hint="swap the two days")
    first_day, today = begun[1], app.clock().date()
    first = max(start or first_day, first_day)
    newest = closed_through(source, today=app.today()) or first_day
    last = min(end, today) if end else max(newest, min(first, today))
    if first > last:
        what = f"{first} is in the future" if first > today else f"source {source.name!r} has nothing before {first}"
        raise Invalid(f"there is nothing to read: {what}", hint=f"use days from {first_day} to {today}")
    return first, last


def _span(connection: Connection, source: Source, start: date, end: date) -> Span:
    history = DatabaseHistory(connection)
    return Span(source.id, history.last_by_day(source.id, start - ONE_DAY), history.last_by_day(source.id, end))
