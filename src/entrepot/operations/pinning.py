"""Which state of a mirror a snapshot's name stands for, where a curated or pinned source is to be drawn from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.errors import NeverSynced, SnapshotNotFound
from entrepot.core.model import Source, SourceType, TransactionId
from entrepot.core.snapshots import PRESENT, AsOfDay, AsOfTransaction, Cut, Latest, end_of, parse_snapshot, time_of
from entrepot.db import sources as db_sources
from entrepot.db.transactions import DatabaseHistory
from entrepot.sources.kinds import KINDS


@dataclass(frozen=True, slots=True)
class Named:
    """A state of a mirror: the name that people give it (a day, or a transaction), and its cut.

    `at` is the time of the newest state of a mirror that is read by the project: its cut says that no more later.
    """

    name: str
    cut: Cut
    at: int | None = None


def base_of(connection: Connection, type_: SourceType) -> Source | None:
    """The mirror whose files sources of a type show; None if they show their own."""
    base = KINDS[type_].base
    if base is None:
        return None
    return next(source for source in db_sources.live(connection) if source.type is base)


def name_snapshot(app: App, connection: Connection, base: Source, text: str | None) -> Named:
    """What `text` (`YYYY-MM-DD`, a transaction id, `latest`; None: the newest) stands for.

    A day may be that of the last sync, though it isn't over: the cut that is kept says what it stood for.

    Raises:
        NeverSynced: nothing is known of the mirror yet.
        SnapshotNotFound: it is newer than the last sync, or before anything was there.
    """
    wanted = parse_snapshot(text or "latest")
    history = DatabaseHistory(connection)
    if isinstance(wanted, AsOfTransaction):
        _check_recorded(wanted.id, history.newest())
    if base.is_read_by_project:
        return _of_times(app, base, wanted, history)
    return _of_syncs(base, wanted, history)


def _of_syncs(base: Source, wanted: Latest | AsOfTransaction | AsOfDay, history: DatabaseHistory) -> Named:
    if base.synced_from is None:
        raise NeverSynced(
            f"source {base.name!r} was never synced, so there is nothing to draw from",
            hint=f"run `entrepot sync --source={base.name}` first",
        )
    last = base.synced_from.date()
    match wanted:
        case Latest():
            newest = history.last_upto(base.id, history.newest())
            is_of_day = history.last_by_day(base.id, last) == newest
            return _checked(base, str(last) if is_of_day else str(newest), newest)
        case AsOfTransaction(id=id_):
            return _checked(base, str(id_), history.last_upto(base.id, id_))
        case AsOfDay(day=day):
            if day > last:
                raise _too_new(day, last, f"the last sync of {base.name!r}", f"entrepot sync --source={base.name}")
            return _checked(base, str(day), history.last_by_day(base.id, day))


def _of_times(app: App, base: Source, wanted: Latest | AsOfTransaction | AsOfDay, history: DatabaseHistory) -> Named:
    now, today = int(app.clock().timestamp()), app.today()
    match wanted:
        case Latest():
            return Named(str(today), Cut(base.id, PRESENT), now)
        case AsOfTransaction(id=id_):
            return Named(str(id_), Cut(base.id, history.newest(), time_of(history, id_)))
        case AsOfDay(day=day) if day == today:
            return Named(str(day), Cut(base.id, PRESENT), now)
        case AsOfDay(day=day):
            if day > today:
                raise _too_new(day, today, "today", None)
            at = min(end_of(day), now)
            if at < 0:
                raise _too_old(base, str(day))
            return Named(str(day), Cut(base.id, history.newest(), at))


def _checked(base: Source, name: str, upto: TransactionId) -> Named:
    if not upto:
        raise _too_old(base, name)
    return Named(name, Cut(base.id, upto))


def _check_recorded(wanted: TransactionId, newest: TransactionId) -> None:
    if not 0 < wanted <= newest:
        raise SnapshotNotFound(
            f"transaction {wanted} does not exist; this installation has 1 to {newest}", transaction=wanted
        )


def _too_new(day: date, last: date, what: str, sync: str | None) -> SnapshotNotFound:
    hint = f"use a date up to {last}" + (f", or run `{sync}` for a newer one" if sync else "")
    return SnapshotNotFound(f"{day} is newer than {what} ({last})", hint=hint, newest=last.isoformat())


def _too_old(base: Source, name: str) -> SnapshotNotFound:
    return SnapshotNotFound(f"source {base.name!r} has nothing at {name}", hint="use a later snapshot")
