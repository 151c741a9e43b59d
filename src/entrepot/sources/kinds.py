"""The kinds of sources, by the type that administrators name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from entrepot.app import App
from entrepot.core.jobs import Report
from entrepot.core.model import File, Listed, Source, SourceType
from entrepot.flights import Flight
from entrepot.sources import downloads, mirror
from entrepot.sources.mirror import Synced


class Refresh(Protocol):
    def __call__(self, app: App, source: Source, *, force: bool, report: Report) -> Synced: ...


@dataclass(frozen=True, slots=True)
class Kind:
    """What a type of source can do.

    `refresh` brings a mirror up to date; `fetch_file` gets a listed file that is not
    in the store yet. Sources of our own have neither, and `takes_files` if files are given to them.
    """

    is_predefined: bool = False
    takes_files: bool = False
    refresh: Refresh | None = None
    fetch_file: Callable[[App, Listed], Flight[File]] | None = None


KINDS: dict[SourceType, Kind] = {
    SourceType.CRAN: Kind(is_predefined=True, refresh=mirror.refresh, fetch_file=downloads.fetch_file),
    SourceType.LOCAL: Kind(takes_files=True),
}
