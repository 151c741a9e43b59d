"""The core metadata of wheels whose upstream doesn't offer it beside them, read out of the wheels by ranges."""

from __future__ import annotations

import hashlib
import time
from contextlib import closing
from functools import partial

from entrepot.app import App
from entrepot.core.errors import EntrepotError, UpstreamLacksParts, UpstreamUnavailable
from entrepot.core.jobs import Log, Report
from entrepot.core.model import Sha256, Source
from entrepot.db import projects as db_projects
from entrepot.db import transactions as db_transactions
from entrepot.db.projects import WithoutMetadata
from entrepot.sources.describe import Described
from entrepot.sources.projects import no_parts, topic, with_login
from entrepot.sources.pypifiles import read_metadata
from entrepot.sources.readers import THREADS, Before, Came, Readers
from entrepot.storage import Key

BATCH = 200
WRITE_EVERY = 10.0
"""Seconds after which what was read is told, also if it is no whole batch: each time the indexes of these projects are
made anew."""
LACKS_PARTS = 86_400.0
"""Seconds after which an upstream that gives files as a whole only may be asked for parts again."""
GIVE_UP_AFTER = 10
MOST_FAULTS = 1000
NONE = ""
"""What is kept of a wheel out of which no metadata can be read."""


def read_missing(app: App, source: Source, *, report: Report, log: Log) -> Described:
    """Read the metadata of all wheels that are visible now and have none, the newest first.

    What was read is written every some hundred wheels: a run that ends early leaves that, and the next
    one goes on. A wheel that has none is not tried again.

    Raises:
        UpstreamUnavailable: upstream doesn't answer any more; worth trying again.
        UpstreamLacksParts: upstream gives no parts of files.
        Cancelled: by `report`.
    """
    run = _Run(app, source, report, log)
    with closing(Readers(partial(_read, app), rate=app.settings.pypi.metadata_rate)) as readers:
        while True:
            with app.db.read() as connection:
                wheels = db_projects.without_metadata(connection, source.id, BATCH)
            if not wheels:
                break
            for wheel in wheels:
                if readers.waiting >= 2 * THREADS:
                    run.take(readers.next())
                readers.add(wheel)
            while readers.waiting:
                run.take(readers.next())
            run.write()
    return Described(run.told, run.faulty, tuple(run.faults))


def _read(app: App, wheel: WithoutMetadata, *, before: Before) -> bytes:
    return read_metadata(app.fetch, with_login(app, wheel.url), file_name=wheel.name, before=before)


class _Run:
    """What was read and is not written yet, and how it went so far."""

    def __init__(self, app: App, source: Source, report: Report, log: Log) -> None:
        self._app, self._source, self._report, self._log = app, source, report, log
        self._read: dict[int, str] = {}
        self._topics: set[str] = set()
        self._written = time.monotonic()
        self._silent = 0
        self.told = 0
        self.faulty = 0
        self.faults: list[str] = []

    def take(self, came: Came[WithoutMetadata, bytes] | None) -> None:
        if came is not None and not isinstance(came.read, EntrepotError):
            sha256 = Sha256(hashlib.sha256(came.read).hexdigest())
            self._app.storage.put_bytes(Key.blob(sha256), came.read)
            self._read[came.item.file_id] = sha256
            self._topics.add(topic(self._source.id, came.item.package))
            self._silent = 0
        elif came is not None and isinstance(came.read, EntrepotError):
            self._fault(came.item, came.read)
        if time.monotonic() - self._written >= WRITE_EVERY:
            self.write()
        self._report("reading metadata", self.told + len(self._read), 0)

    def write(self) -> None:
        """Keep what was read: `latest` tells it from now on, past snapshots from the next transaction on."""
        found = sum(sha256 != NONE for sha256 in self._read.values())
        if self._read:
            with self._app.db.write(shows=bool(found), topics=self._topics) as connection:
                since = db_transactions.newest(connection) + 1
                db_projects.add_metadata(connection, self._read, since=since)
        self.told += found
        self._read.clear()
        self._topics.clear()
        self._written = time.monotonic()

    def _fault(self, wheel: WithoutMetadata, error: EntrepotError) -> None:
        if isinstance(error, UpstreamLacksParts):
            self.write()
            self._app.waits.put(no_parts(self._source), self._app.clock().timestamp() + LACKS_PARTS)
            raise error
        if isinstance(error, UpstreamUnavailable):
            self._silent += 1
            if self._silent >= GIVE_UP_AFTER:
                self.write()
                raise UpstreamUnavailable(
                    f"the upstream gave none of {self._silent} wheels in a row, the last time because {error.message}",
                    hint="another run goes on with them",
                )
            return
        self._silent = 0
        self.faulty += 1
        self._read[wheel.file_id] = NONE
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(f"{wheel.name}: {error.message}")
            self._log(f"fault: {self.faults[-1]}")
