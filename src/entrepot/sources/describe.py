"""The DESCRIPTION of versions that a mirror's upstream only has in its archive, read from the heads of the tarballs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial

from entrepot.app import App
from entrepot.core.errors import EntrepotError, HashMismatch, UpstreamInvalid, UpstreamLacksFile, UpstreamUnavailable
from entrepot.core.jobs import Log, Report
from entrepot.core.model import FileStatus
from entrepot.core.urls import shown
from entrepot.db import described as db_described
from entrepot.db.described import Description, Span, Undescribed
from entrepot.ecosystems.r import packages, paths, tarball
from entrepot.ecosystems.r.versions import version_key
from entrepot.sources.readers import THREADS, Before, Came, Readers

HEAD_LIMIT = 64 * 1024**2
"""Bytes of a tarball in which its DESCRIPTION has to be."""
BATCH = 200
WRITE_EVERY = 2.0
"""Seconds after which what was read is written, also if it is no whole batch."""
GIVE_UP_AFTER = 10
"""Files in a row for which upstream doesn't answer, after which the rest is not tried."""
MOST_FAULTS = 1000


@dataclass(frozen=True, slots=True)
class Described:
    """What a run did: versions that were filled, those that could not be, and the first of these in words."""

    described: int
    faulty: int
    faults: tuple[str, ...]


def describe(app: App, span: Span, *, report: Report, log: Log) -> Described:
    """Fill the entries of a CRAN mirror's versions that were current in the span, the newest first.

    What was read is written every some hundred versions: a run that ends early leaves that, and the next one goes on.

    Raises:
        UpstreamUnavailable: upstream doesn't answer any more; worth trying again.
        Cancelled: by `report`.
    """
    with app.db.read() as connection:
        todo = db_described.undescribed(connection, span)
    return describe_files(app, span.source_id, todo, report=report, log=log)


def describe_files(app: App, source_id: int, todo: list[int], *, report: Report, log: Log) -> Described:
    """As `describe`, for some files by their ids, in their order."""
    run = _Run(app, source_id, report, log, total=len(todo))
    run.tell()
    with closing(_readers(app)) as readers:
        for file in run.still_to_do(todo):
            if readers.waiting >= 2 * THREADS:
                run.take(readers.next())
            readers.add(file)
        while readers.waiting:
            run.take(readers.next())
    run.write()
    return Described(run.described, run.faulty, tuple(run.faults))


@dataclass(slots=True)
class _Run:
    """How far a run is, and what was read and is not written yet."""

    app: App
    source_id: int
    report: Report
    log: Log
    total: int
    done: int = 0
    described: int = 0
    faulty: int = 0
    silent: int = 0
    faults: list[str] = field(default_factory=list)
    read: list[Description] = field(default_factory=list)
    written: float = field(default_factory=time.monotonic)

    def still_to_do(self, todo: list[int]) -> Iterator[Undescribed]:
        """Looks again at each batch: downloads fill entries too."""
        for start in range(0, len(todo), BATCH):
            ids = todo[start : start + BATCH]
            with self.app.db.read() as connection:
                files = db_described.still_undescribed(connection, ids)
            self.done += len(ids) - len(files)
            yield from files

    def take(self, came: Came[Undescribed, Description] | None) -> None:
        """Note what came of one file (None: nothing yet), and write and report if it is time to."""
        if came is not None:
            self.done += 1
            if isinstance(came.read, Description):
                self.silent = 0
                self.read.append(came.read)
            else:
                self._fault(came.item, came.read)
        if len(self.read) >= BATCH or time.monotonic() - self.written >= WRITE_EVERY:
            self.write()
        self.tell()

    def tell(self) -> None:
        self.report("reading descriptions", self.done, self.total)

    def write(self) -> None:
        """Keep what was read: all of it in one transaction."""
        if self.read:
            with self.app.db.write() as connection:
                self.described += db_described.describe(connection, self.source_id, self.read)
            self.read.clear()
        self.written = time.monotonic()

    def _fault(self, file: Undescribed, error: EntrepotError) -> None:
        self.faulty += 1
        line = f"{file.name}: {error.message}"
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(line)
            self.log(f"fault: {line}")
        self.silent = self.silent + 1 if isinstance(error, UpstreamUnavailable) else 0
        if self.silent >= GIVE_UP_AFTER:
            self.write()
            raise UpstreamUnavailable(
                f"the upstream gave none of {self.silent} files in a row, the last time because {error.message}",
                hint=f"{self.total - self.done} versions are left; another run goes on with them",
            )


def _readers(app: App) -> Readers[Undescribed, Description]:
    return Readers(
        partial(read_description, app, upstream=app.settings.cran.upstream), rate=app.settings.cran.describe_rate
    )


def read_description(app: App, file: Undescribed, *, upstream: str, before: Before | None = None) -> Description:
    """What the head of a file says, from upstream's archive or, if it isn't there, from where the current ones are.

    Args:
        upstream: the mirror's base URL.
        before: called before each request.

    Raises:
        UpstreamLacksFile, UpstreamUnavailable
        UpstreamInvalid: it is no source package, or another one than the index says.
    """
    lacks: UpstreamLacksFile | None = None
    for path in paths.upstream_paths(file.package, file.version, FileStatus.ARCHIVED):
        try:
            return _read_head(app, file, f"{upstream}/{path}", before)
        except UpstreamLacksFile as error:
            lacks = lacks or error
    assert lacks is not None
    raise lacks


def _read_head(app: App, file: Undescribed, url: str, before: Before | None) -> Description:
    with closing(app.fetch.head(url, limit=HEAD_LIMIT, before=before)) as head:
        description, text, has_src_folder = tarball.describe(head, found=head.ask_no_more)
        if file.size is not None and head.size is not None and head.size != file.size:
            raise HashMismatch(f"{shown(url)} has {head.size} bytes where {file.size} were expected")
    says = description.get("Package", file.package), description.get("Version", file.version)
    if says[0] != file.package or version_key(says[1]) != version_key(file.version):
        raise UpstreamInvalid(f"its DESCRIPTION is that of {says[0][:60]} {says[1][:60]}")
    return Description(file.id, packages.fields_of_description(description, has_src_folder=has_src_folder), text)
