"""`App`: the database, the store, the way out and the clock, opened once; nothing else builds these."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from entrepot import __version__
from entrepot.core.changes import Change
from entrepot.core.errors import InvalidSettings
from entrepot.core.handover import Handovers
from entrepot.core.model import File, PackageName
from entrepot.db import migrate as db_migrate
from entrepot.db.auditlog import AuditLog
from entrepot.db.engine import Database
from entrepot.db.listings import Key
from entrepot.db.usagelog import UsageLog
from entrepot.documents import Documents
from entrepot.fetch import Fetch
from entrepot.flights import Flights
from entrepot.issuers import Issuers
from entrepot.keys import Keys
from entrepot.measuring import Meter
from entrepot.readmes.renderer import Renderer
from entrepot.recent import Recent, Waits
from entrepot.settings import Settings, describe
from entrepot.storage import Storage

GRACE = timedelta(minutes=1)
COLLECT_AFTER = 50_000
"""New objects between two looks of Python's collector for cycles. Its own 700 cost an index of 22,000 packages as much
as making it: rows are tuples, and none of them is in a cycle."""
SEARCHED = 96 * 1024**2
"""Bytes of memory, roughly, for what was searched last: CRAN at eight snapshots, or the names of PyPI at four."""
_M_ARENA_MAX = -8
Clock = Callable[[], datetime]


def system_clock() -> datetime:
    return datetime.now(UTC)


class JustRead(NamedTuple):
    """All files of a project as its first reading wrote them, at the version of the catalogue that this write made."""

    version: int
    files: list[File]


@dataclass(frozen=True, slots=True)
class App:
    """What every operation works with.

    `flights` are downloads of files, `pages` readings of projects, which so never wait for large files; `waits` tells
    what need not be asked of an upstream again for a while. `snapshots` are those that `operations.serving` resolved
    last, `just_read` the projects that were read for the first time, `can_build` what can be built here. `listings` are
    of whole snapshots, each in an order that was asked for, `names` those of sources at cuts, `handovers` what would
    change between two orders of these, `reports` what proposals tell, `dependents` who needs whom in such ones;
    `rankings` are packages by their downloads, `searched` what searches look at (`operations.stocks`), `changes` what
    the transactions did that were looked at last, `compared` the last differences between snapshots; `audit` writes to
    the audit log, `usage` counts downloads; `meter` tells how much the store holds, `readmes` renders READMEs; `keys`
    encrypt credentials; `issuers` tell whether identities are what they say; `clock` tells the time in UTC.
    """

    settings: Settings
    db: Database
    audit: AuditLog
    usage: UsageLog
    storage: Storage
    meter: Meter
    keys: Keys
    fetch: Fetch
    issuers: Issuers
    flights: Flights
    pages: Flights
    waits: Waits
    documents: Documents
    readmes: Renderer
    listings: Recent[list[Key]]
    names: Recent[frozenset[PackageName]]
    handovers: Recent[Handovers]
    reports: Recent[dict[str, Any]]
    dependents: Recent[Any]
    rankings: Recent[Any]
    searched: Recent[Any]
    changes: Recent[tuple[Change, ...]]
    compared: Recent[Any]
    snapshots: Recent[Any]
    just_read: Recent[JustRead]
    can_build: Recent[bool]
    clock: Clock

    def today(self) -> date:
        """The UTC day that is not over yet, for what asks whether a day is closed.

        A day counts as over a minute late: by then whatever took its time before midnight is recorded, and the clocks
        of several nodes agree that it is past.
        """
        return (self.clock() - GRACE).date()

    def close(self) -> None:
        self.meter.close()
        self.readmes.close()
        self.pages.close()
        self.flights.close()
        self.issuers.close()
        self.fetch.close()
        self.audit.close()
        self.usage.close()
        self.db.close()


def open_app(settings: Settings, clock: Clock = system_clock) -> App:
    """Open everything that `settings` name; an empty database gets its tables.

    Raises:
        InvalidSettings: the data folder, the database or the store can't be used.
        SchemaMismatch: the database has another schema and is not ours to change unasked.
    """
    gc.set_threshold(COLLECT_AFTER, 20, 20)
    _share_arenas()
    data_dir = settings.server.data_dir
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o750)
        (data_dir / "tmp").mkdir(exist_ok=True)
    except OSError as error:
        raise InvalidSettings(
            f"the data folder {data_dir} can't be used: {error.strerror}", hint="set [server] data_dir"
        ) from error
    db = Database(settings.database_url)
    try:
        db.check()
        db_migrate.prepare(db)
        storage = Storage.open(settings.storage_url)
        return App(
            settings=settings,
            db=db,
            audit=AuditLog(db, clock),
            usage=UsageLog(db, clock, is_on=settings.usage.enabled),
            storage=storage,
            meter=Meter(storage, clock),
            keys=Keys(settings.encryption_key),
            fetch=Fetch(),
            issuers=Issuers(clock),
            flights=Flights(data_dir / "tmp"),
            pages=Flights(data_dir / "tmp"),
            waits=Waits(),
            readmes=Renderer(),
            documents=Documents(data_dir / "cache" / "indexes", version=__version__),
            listings=Recent(4),
            names=Recent(8),
            handovers=Recent(2),
            reports=Recent(2),
            dependents=Recent(3),
            rankings=Recent(8),
            searched=Recent(SEARCHED),
            changes=Recent(4),
            compared=Recent(4),
            snapshots=Recent(256),
            just_read=Recent(8),
            can_build=Recent(2),
            clock=clock,
        )
    except BaseException:
        db.close()
        raise


def _share_arenas() -> None:
    """Let glibc's malloc keep memory in few places: with one for each of our threads it held 30 MB more."""
    with suppress(AttributeError, OSError):  # another C library, another system
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


def migrate(settings: Settings) -> str:
    """Bring the database's schema up to date; one line that says what was done."""
    settings.server.data_dir.mkdir(parents=True, exist_ok=True, mode=0o750)
    db = Database(settings.database_url)
    try:
        db.check()
        before, after = db_migrate.upgrade(db)
    finally:
        db.close()
    where = describe(settings)["database"]["url"]
    return f"{where}: schema {after} already" if before == after else f"{where}: schema {before or 'none'} -> {after}"
