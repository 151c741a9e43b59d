"""The kinds of sources, by the type that administrators name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from entrepot.app import App
from entrepot.core.changes import History
from entrepot.core.jobs import Log, Report
from entrepot.core.model import File, Listed, Source, SourceType
from entrepot.db.described import Span
from entrepot.flights import Flight
from entrepot.sources import describe, downloads, mirror
from entrepot.sources.describe import Described
from entrepot.sources.mirror import Synced


class Refresh(Protocol):
    def __call__(
        self, app: App, source: Source, *, force: bool, history: History | None = None, report: Report
    ) -> Synced: ...


class Describe(Protocol):
    def __call__(self, app: App, span: Span, *, report: Report, log: Log) -> Described: ...


@dataclass(frozen=True, slots=True)
class Kind:
    """What a type of source can do.

    `refresh` brings a mirror up to date; `fetch_file` gets a listed file that is not in the store yet; `describe` reads
    the metadata of versions that upstream's indexes tell nothing of. Sources of our own have none of these, and
    `takes_files` if files are given to them.
    """

    is_predefined: bool = False
    takes_files: bool = False
    refresh: Refresh | None = None
    fetch_file: Callable[[App, Listed], Flight[File]] | None = None
    describe: Describe | None = None


KINDS: dict[SourceType, Kind] = {
    SourceType.CRAN: Kind(
        is_predefined=True, refresh=mirror.refresh, fetch_file=downloads.fetch_file, describe=describe.describe
    ),
    SourceType.LOCAL: Kind(takes_files=True),
}
