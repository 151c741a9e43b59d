"""Connections: readers see committed states only; writers are one at a time, in the order of their transactions."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url, select, text, update
from sqlalchemy.exc import ArgumentError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry

from entrepot.core.errors import DatabaseUnavailable, InvalidSettings
from entrepot.core.room import out_of_space
from entrepot.db.schema import catalogue

_log = logging.getLogger(__name__)
MOST_TOPICS = 50_000
COMPLAIN_EVERY = 30.0
"""Seconds between lines of the log about a database that is away."""
_SQLITE_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE}
"""The second: its shared memory is a file that could not grow."""
_SQLITE_AWAY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR}
_DISK_FULL = "53100"
_POSTGRES_AWAY = ("08", "53", "57P")
"""Classes of SQLSTATE: no connection, no resources, and a server that stops or starts."""
_WRITERS_LOCK = 0x456E7472
"""PostgreSQL advisory lock that makes ids of transactions appear in the order of commits."""


class Database:
    """The catalogue's connections. `url` is a SQLAlchemy URL of SQLite or PostgreSQL (psycopg).

    `version` is the newest version of the catalogue that this process knows of: an answer that was made at this
    version still holds, and one of an older version if nothing was written since but of other topics (`is_fresh`). A
    write of this process counts at once, one of another as soon as `look` was called, and as one of all topics.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        self.engine = _sqlite_engine(url) if self.is_sqlite else _postgres_engine(url)
        self.version = 0
        self._all_changed = 0
        self._changed: dict[str, int] = {}
        self._complained = -COMPLAIN_EVERY
        self._lock = threading.Lock()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one committed state. Raises DatabaseUnavailable."""
        with self._translated(), self.engine.connect() as connection:
            if not self.is_sqlite:
                # Else each statement would see a state of its own.
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    @contextmanager
    def write(self, *, shows: bool = True, topics: Collection[str] = ()) -> Iterator[Connection]:
        """A connection in a write transaction: committed whole on leaving, rolled back on an error.

        Writers wait for each other, so that an id taken as "newest + 1" is committed before a later one is given:
        what is visible at a transaction can then never change.

        Args:
            shows: whether it may change what package clients are answered; state of jobs doesn't.
            topics: names of all that it may change, where that is little: what this process keeps of everything else
                stays fresh. Without any it may be everything.

        Raises:
            DatabaseUnavailable, OutOfSpace: nothing was written.
        """
        with self._translated(), self.engine.connect() as connection:
            if self.is_sqlite:
                connection = connection.execution_options(begin="IMMEDIATE")
            with connection.begin():
                if not self.is_sqlite:
                    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WRITERS_LOCK})
                yield connection
                version = _grow(connection) if shows else 0
        self.saw(version, topics)

    @contextmanager
    def leading(self, key: int) -> Iterator[bool]:
        """Whether this process alone has the lead in something, as long as the context lasts; a database that is
        embedded has one process anyway. Raises DatabaseUnavailable."""
        if self.is_sqlite:
            yield True
            return
        with self._translated(), self.engine.connect() as connection:
            alone = connection.execution_options(isolation_level="AUTOCOMMIT")
            is_leader = bool(alone.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": key}).scalar())
            try:
                yield is_leader
            finally:
                if is_leader:
                    with suppress(Exception):  # it went with its connection
                        alone.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key})

    def look(self) -> None:
        """Learn of what other processes wrote."""
        with self.read() as connection:
            version = catalogue_version(connection)
        self.saw(version)

    def check(self) -> None:
        """Raises InvalidSettings if the database can't be reached."""
        try:
            self.engine.connect().close()
        except OperationalError as error:
            raise InvalidSettings(
                f"the database can't be used: {_reason(error)}", hint="check [database] url and that it runs"
            ) from error

    def size(self) -> int | None:
        """Bytes that it has on its disk; None for one in memory. Raises DatabaseUnavailable."""
        if not self.is_sqlite:
            with self.read() as connection:
                size: int = connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
                return size
        path = self.engine.url.database
        if not path or path == ":memory:":
            return None
        files = (Path(path + end) for end in ("", "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn what the driver raises when the database is away or has no room into the error that it means."""
        try:
            yield
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            code = getattr(getattr(error, "orig", None), "sqlite_errorcode", None)
            sqlstate = getattr(getattr(error, "orig", None), "sqlstate", None)
            if sqlstate == _DISK_FULL or code in _SQLITE_FULL:
                raise out_of_space("the database could not be written") from error
            if not isinstance(error, PoolTimeout) and not _is_away(code, sqlstate):
                raise
            self._complain(error)
            hint = "try again in a moment; the server's log has the reason"
            raise DatabaseUnavailable("the database does not answer", hint=hint) from error

    def _complain(self, error: Exception) -> None:
        """Where the database is and as whom it is asked is for the log alone: anybody may read an answer."""
        with self._lock:
            is_due = time.monotonic() - self._complained >= COMPLAIN_EVERY
            self._complained = time.monotonic() if is_due else self._complained
        if is_due:
            _log.warning("the database does not answer: %s", _reason(error))

    def saw(self, version: int, topics: Collection[str] = ()) -> None:
        """A connection saw this version of the catalogue; `topics` are all that a write of this process changed."""
        with self._lock:
            if version <= self.version:
                return
            if version > self.version + 1 or not topics or len(self._changed) > MOST_TOPICS:
                # Something that this process doesn't know the topic of: anything may have changed.
                self._all_changed = version
                self._changed.clear()
            for topic in topics:
                self._changed[topic] = version
            self.version = version

    def is_fresh(self, version: int, topics: Iterable[str] = ()) -> bool:
        """Whether what was read at that version of the catalogue is still so; `topics` are those that it was of."""
        if version >= self.version:
            return True
        return version >= self._all_changed and all(version >= self._changed.get(topic, 0) for topic in topics)


def catalogue_version(connection: Connection) -> int:
    """The version of the catalogue that a connection sees."""
    version: int = connection.execute(select(catalogue.c.version)).scalar_one()
    return version


def _grow(connection: Connection) -> int:
    grown = update(catalogue).values(version=catalogue.c.version + 1).returning(catalogue.c.version)
    version: int = connection.execute(grown).scalar_one()
    return version


def _is_away(code: int | None, sqlstate: str | None) -> bool:
    """Whether a driver's error is about the database as a whole, not about the statement."""
    if code is not None:
        return code & 0xFF in _SQLITE_AWAY
    return sqlstate is None or sqlstate.startswith(_POSTGRES_AWAY)


def _reason(error: Exception) -> str:
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return lines[0] if lines else "no connection"


def _sqlite_engine(url: str) -> Engine:
    path = make_url(url).database
    if path and path != ":memory:":
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        url,
        connect_args={"timeout": 60, "check_same_thread": False},
        pool_size=32,
        max_overflow=32,
        # The connection that was used last has pages in its memory that the next request needs as well.
        pool_use_lifo=True,
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
        # SQLAlchemy says when a transaction begins; sqlite3's own guesses would break BEGIN IMMEDIATE.
        connection.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            # 16 MiB for each connection: all of CRAN is read as fast as with more.
            "cache_size=-16384",
            "temp_store=MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        mode = connection.get_execution_options().get("begin", "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine


def _postgres_engine(url: str) -> Engine:
    try:
        return create_engine(_with_driver(url), pool_size=20, max_overflow=80, pool_pre_ping=True)
    except ArgumentError as error:
        raise InvalidSettings(
            f"[database] url is not a database URL: {error}", hint="postgresql://user:password@host/database"
        ) from error


def _with_driver(url: str) -> str:
    """`postgresql://` as psycopg 3, which is the driver that we ship."""
    for scheme in ("postgresql://", "postgres://"):
        if url.startswith(scheme):
            return "postgresql+psycopg://" + url.removeprefix(scheme)
    return url


def chunks(rows: list[dict[str, Any]], size: int = 5000) -> Iterator[list[dict[str, Any]]]:
    """`rows` in pieces for bulk statements, so that a driver never builds one of unbounded size."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
