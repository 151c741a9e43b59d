"""The kinds of sources, by the type that administrators name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.changes import History
from entrepot.core.jobs import Log, Report
from entrepot.core.model import File, Listed, PackageName, Source, SourceType
from entrepot.core.snapshots import Cut
from entrepot.db.described import Span
from entrepot.flights import Flight
from entrepot.settings import Settings
from entrepot.sources import binaries, bioconductor, describe, downloads, mirror, names, projects, pypifiles
from entrepot.sources.describe import Described
from entrepot.sources.mirror import Synced


class Refresh(Protocol):
    def __call__(
        self, app: App, source: Source, *, force: bool, history: History | None = None, report: Report
    ) -> Synced: ...


class Describe(Protocol):
    def __call__(self, app: App, span: Span, *, report: Report, log: Log) -> Described: ...


def _by_hand(_: Settings) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a type of source can do.

    `refresh` brings a mirror up to date; `fetch_file` gets a listed file that is not in the store yet; `describe` reads
    the metadata of versions that upstream's indexes tell nothing of. Sources of our own have none of these, and
    `takes_files` if files are given to them, or `builds` if they come from builds of Git endpoints.

    `learn` is of sources that are read by the project: it sees that a project is known well enough for a cut, and says
    until when (seconds since 1970; None: for good). It raises `Unlearned` where somebody has to wait for upstream.
    `schedule` is the cron expression of a mirror's syncs. `base` is of sources that show files of another: the type of
    that mirror.
    """

    is_predefined: bool = False
    takes_files: bool = False
    builds: bool = False
    refresh: Refresh | None = None
    fetch_file: Callable[[App, Listed], Flight[File]] | None = None
    describe: Describe | None = None
    learn: Callable[[App, Connection, Source, Cut, PackageName], float | None] | None = None
    schedule: Callable[[Settings], str] = _by_hand
    base: SourceType | None = None

    @property
    def owns_files(self) -> bool:
        """Whether its packages are ours to archive, remove and yank."""
        return self.takes_files or self.builds


KINDS: dict[SourceType, Kind] = {
    SourceType.CRAN: Kind(
        is_predefined=True,
        refresh=binaries.refresh,
        fetch_file=downloads.fetch_file,
        describe=describe.describe,
        schedule=lambda settings: settings.cran.sync_schedule,
    ),
    SourceType.BIOCONDUCTOR: Kind(
        is_predefined=True,
        refresh=bioconductor.refresh,
        schedule=lambda settings: settings.bioconductor.sync_schedule,
    ),
    SourceType.BIOCONDUCTOR_PART: Kind(refresh=mirror.refresh, fetch_file=downloads.fetch_file),
    SourceType.PYPI: Kind(
        is_predefined=True,
        refresh=names.refresh,
        fetch_file=pypifiles.fetch_file,
        learn=projects.learn,
        schedule=lambda settings: settings.pypi.sync_schedule,
    ),
    SourceType.CRAN_SNAPSHOT: Kind(base=SourceType.CRAN),
    SourceType.CURATED_CRAN: Kind(base=SourceType.CRAN),
    SourceType.CURATED_PYPI: Kind(base=SourceType.PYPI),
    SourceType.LOCAL: Kind(takes_files=True),
    SourceType.LOCAL_PYTHON: Kind(takes_files=True),
    SourceType.GIT: Kind(builds=True),
    SourceType.GIT_PYTHON: Kind(builds=True),
    SourceType.BINARIES: Kind(takes_files=True),
    SourceType.MIRRORED_BINARIES: Kind(refresh=mirror.refresh, fetch_file=downloads.fetch_binary),
}
