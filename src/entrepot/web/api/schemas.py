"""The shapes that the API takes and answers, and how our values become them."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from entrepot.core.changes import Change, ChangeKind, History
from entrepot.core.model import FileStatus, RepositoryType, SourceType
from entrepot.core.releases import Dependency, Release, ReleaseFile
from entrepot.core.urls import shown
from entrepot.db.sources import MirrorState
from entrepot.operations.browsing import TransactionInfo
from entrepot.operations.describing import Completeness
from entrepot.operations.listing import PackageSummary
from entrepot.operations.packages import Outcome
from entrepot.operations.records import PackageRecord
from entrepot.operations.repositories import RepositoryInfo
from entrepot.operations.sources import SourceInfo
from entrepot.operations.working import JobInfo

Text = Annotated[str, Field(max_length=2000, pattern=r"^[^\x00]*$")]
"""What people write about something; without NUL, which PostgreSQL can't keep."""


def _day(value: object) -> date:
    # pydantic would take numbers too, and Python weeks.
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        with suppress(ValueError):
            return date.fromisoformat(value)
    raise PydanticCustomError("day", "not a day, which is written YYYY-MM-DD")


Day = Annotated[date, BeforeValidator(_day)]

TYPE_LABELS = {RepositoryType.R: "R", RepositoryType.BIOCONDUCTOR: "Bioconductor", RepositoryType.PYTHON: "Python"}


class In(BaseModel):
    """What a request may send: nothing that isn't known."""

    model_config = ConfigDict(extra="forbid")


class NewRepository(In):
    name: str
    type: str = "r"
    description: Text = ""
    succeed_on_existing: bool = False


class RepositoryEdit(In):
    name: str | None = None
    description: Text | None = None


class NewSource(In):
    """`version` is that of Bioconductor, after which such a source is named if it gets no other name."""

    name: str = ""
    type: str = "local"
    version: str | None = Field(default=None, max_length=20)
    snapshot: str | None = None
    include: list[str] | None = Field(default=None, max_length=10)
    archived: bool = True
    succeed_on_existing: bool = False


class SourceEdit(In):
    name: str


class NewSubscription(In):
    """`version` is which one of Bioconductor, where the source has all of them."""

    source: str
    version: str | None = Field(default=None, max_length=20)
    succeed_on_existing: bool = False


class NewOrder(In):
    sources: list[str] = Field(max_length=1000)


class Comment(In):
    comment: Text = ""


class Removal(Comment):
    scope: str


class Yank(Removal):
    reason: Text = ""


class SyncRequest(In):
    """`history` is for the first sync alone, `versions` are those wanted of Bioconductor; without them all."""

    force: bool = False
    versions: list[str] = Field(default=[], max_length=100)
    history: History | None = None


class DescribeRequest(In):
    """Days, both inclusive; without them all that are over."""

    start: Day | None = Field(default=None, alias="from")
    end: Day | None = Field(default=None, alias="to")


class CompletenessShape(BaseModel):
    start: date = Field(serialization_alias="from")
    end: date = Field(serialization_alias="to")
    incomplete: int
    versions: int

    @classmethod
    def of(cls, found: Completeness) -> CompletenessShape:
        return cls(start=found.start, end=found.end, incomplete=found.incomplete, versions=found.versions)


class Repository(BaseModel):
    id: int
    name: str
    type: str
    description: str
    auth: bool = False
    created: datetime
    sources: list[str]
    transaction: int | None

    @classmethod
    def of(cls, info: RepositoryInfo) -> Repository:
        repository = info.repository
        return cls(
            id=repository.id,
            name=repository.name,
            type=TYPE_LABELS[repository.type],
            description=repository.description,
            created=repository.created,
            sources=[source.name for source in info.sources],
            transaction=info.transaction,
        )


class SyncState(BaseModel):
    """How a mirror's syncs go: never, ok, failed or running."""

    state: str
    last_success: datetime | None
    error: str | None
    next_try: datetime | None
    job: int | None

    @classmethod
    def of(cls, mirror: MirrorState, *, job: int | None, next_sync: datetime | None) -> SyncState:
        outcome = "failed" if mirror.error else "ok" if mirror.synced_from else "never"
        return cls(
            state="running" if job else outcome,
            last_success=mirror.synced_from,
            error=mirror.error,
            next_try=next_sync,
            job=job,
        )


class Source(BaseModel):
    id: int
    name: str
    type: str
    created: datetime
    mirror: bool
    packages: int
    projects_read: int | None
    transaction: int | None
    upstream: str | None
    sync: SyncState | None
    snapshot: str | None
    include: list[str] | None
    archived: bool | None
    version: str | None = Field(description="which one of Bioconductor")

    @classmethod
    def of(cls, info: SourceInfo, *, next_sync: datetime | None = None) -> Source:
        mirror = info.mirror
        state = SyncState.of(mirror, job=info.job, next_sync=next_sync) if mirror is not None else None
        return cls(
            id=info.source.id,
            name=info.source.name,
            type=info.source.type.value,
            created=info.source.created,
            mirror=mirror is not None,
            packages=info.packages,
            projects_read=info.projects_read,
            transaction=info.transaction,
            upstream=shown(info.upstream) if info.upstream is not None else None,
            sync=state,
            snapshot=info.snapshot,
            include=list(info.include) if info.include is not None else None,
            archived=info.source.shows_archive if info.include is not None else None,
            version=info.source.version,
        )


class ChangeShape(BaseModel):
    change: ChangeKind
    name: str
    version: str
    previous: str | None

    @classmethod
    def of(cls, change: Change) -> ChangeShape:
        return cls(change=change.kind, name=change.package, version=change.version, previous=change.previous)


class OutcomeShape(BaseModel):
    transaction: int | None
    changes: list[ChangeShape]

    @classmethod
    def of(cls, outcome: Outcome) -> OutcomeShape:
        return cls(transaction=outcome.transaction, changes=[ChangeShape.of(change) for change in outcome.changes])


class TransactionShape(BaseModel):
    id: int
    time: datetime
    day: date
    completed: datetime
    published_to: datetime
    source: str | None
    repository: str | None
    actor: str
    message: str
    counts: dict[str, int]

    @classmethod
    def of(cls, info: TransactionInfo) -> TransactionShape:
        return cls(**cls.values(info))

    @staticmethod
    def values(info: TransactionInfo) -> dict[str, Any]:
        """`published_to` is the start of the day that the transaction belongs to, as clients of the product read it."""
        row = info.transaction
        midnight = datetime.fromisoformat(f"{row.day.isoformat()}T00:00:00+00:00")
        return {
            "id": row.id,
            "time": row.time,
            "day": row.day,
            "completed": row.time,
            "published_to": midnight,
            "source": info.source,
            "repository": info.repository,
            "actor": row.actor,
            "message": row.message,
            "counts": {kind.value: number for kind, number in info.counts.items()},
        }


class TransactionDetail(TransactionShape):
    changes: list[ChangeShape]

    @classmethod
    def of(cls, info: TransactionInfo) -> TransactionDetail:
        return cls(**cls.values(info), changes=[ChangeShape.of(change) for change in info.changes])


class TransactionDate(BaseModel):
    """A day that can be used in a URL (`alias`), with its newest transaction."""

    alias: date
    date: datetime
    id: int


class FirstTransaction(BaseModel):
    """The first day that can be used in a URL."""

    alias: date
    date: datetime


class Package(BaseModel):
    """A package by the release that stands for it; of one of which only the name is known all else is null."""

    name: str
    version: str | None
    title: str | None
    license: str | None
    source: str
    package_date: datetime | None
    package_size: int | None
    checksum: str | None
    needs_compilation: str | None
    requires_python: str | None

    @classmethod
    def of(cls, summary: PackageSummary) -> Package:
        return cls(**cls.values(summary))

    @staticmethod
    def values(summary: PackageSummary) -> dict[str, Any]:
        release, described = summary.release, summary.described
        return {
            "name": summary.name,
            "version": release.version if release else None,
            "title": described.title,
            "license": described.license,
            "source": summary.source,
            "package_date": release.published if release else None,
            "package_size": release.file.size if release else None,
            "checksum": release.file.sha256 if release else None,
            "needs_compilation": described.needs_compilation,
            "requires_python": described.requires_python,
        }


class FileShape(BaseModel):
    name: str
    kind: str
    size: int | None
    md5: str | None
    checksum: str | None
    uploaded: datetime | None
    requires_python: str | None
    yanked: bool
    yanked_reason: str | None

    @classmethod
    def of(cls, told: ReleaseFile) -> FileShape:
        file = told.file
        return cls(
            name=file.name,
            kind=told.kind,
            size=file.size,
            md5=file.md5,
            checksum=file.sha256,
            uploaded=file.published,
            requires_python=told.requires_python,
            yanked=told.yanked is not None,
            yanked_reason=told.yanked or None,
        )


class ReleaseShape(BaseModel):
    """A version with its files; `file`, `size`, `md5` and `checksum` are those of the first, which stands for it."""

    version: str
    date_publication: datetime | None
    is_current: bool
    file: str
    size: int | None
    md5: str | None
    checksum: str | None
    yanked: bool
    yanked_reason: str | None
    files: list[FileShape]

    @classmethod
    def of(cls, release: Release) -> ReleaseShape:
        file = release.file
        return cls(
            version=release.version,
            date_publication=release.published,
            is_current=release.files[0].listed.status is FileStatus.CURRENT,
            file=file.name,
            size=file.size,
            md5=file.md5,
            checksum=file.sha256,
            yanked=release.is_yanked,
            yanked_reason=release.yanked_reason,
            files=[FileShape.of(each) for each in release.files],
        )


class DependencyShape(BaseModel):
    name: str
    operator: str | None
    version: str | None
    requirement: str | None

    @classmethod
    def of(cls, needed: Dependency) -> DependencyShape:
        return cls(name=needed.name, operator=needed.operator, version=needed.version, requirement=needed.requirement)


class PackageDetail(Package):
    """A package version; `summary` is its title, and `tran_archive` is there for clients of the product."""

    summary: str | None
    description: str | None
    date_publication: datetime | None
    occurred: datetime | None
    is_archived: bool
    tran_archive: None = None
    file: str
    md5: str | None
    dependencies: dict[str, list[DependencyShape]]
    fields: dict[str, str | list[str]]
    versions: list[ReleaseShape]
    archived: list[ReleaseShape]

    @classmethod
    def of(cls, record: PackageRecord) -> PackageDetail:  # type: ignore[override]
        described, release = record.summary.described, record.release
        versions = [ReleaseShape.of(each) for each in record.releases]
        return cls(
            **cls.values(record.summary),
            summary=described.title,
            description=described.description,
            date_publication=release.published,
            occurred=record.occurred,
            is_archived=record.is_archived,
            file=release.file.name,
            md5=release.file.md5,
            dependencies={
                field: [DependencyShape.of(each) for each in needed] for field, needed in described.dependencies.items()
            },
            fields=dict(described.fields),
            versions=versions,
            archived=[version for version in versions if not version.is_current],
        )


class Progress(BaseModel):
    step: str
    done: int
    total: int


class JobShape(BaseModel):
    """A job; `is_cancelled` says that somebody asked for its end, `due` when it is tried again after a failure."""

    id: int
    kind: str
    source: str | None
    state: str
    progress: Progress
    error: dict[str, Any] | None
    result: dict[str, Any] | None
    actor: str
    payload: dict[str, Any]
    attempts: int
    is_cancelled: bool
    worker: str | None
    created: datetime
    due: datetime | None
    started: datetime | None
    finished: datetime | None

    @classmethod
    def of(cls, info: JobInfo, now: tuple[str, int, int] | None) -> JobShape:
        """Args: now: step, done and total, where they are known better than the row tells."""
        job = info.job
        is_live = now is not None and job.state == "running"
        step, done, total = now if now is not None and is_live else (job.step, job.done, job.total)
        return cls(
            id=job.id,
            kind=job.kind,
            source=info.source,
            state=job.state,
            progress=Progress(step=step, done=done, total=total),
            error=job.error,
            result=job.result,
            actor=job.actor,
            payload=job.payload,
            attempts=job.attempts,
            is_cancelled=job.is_cancelled,
            worker=job.worker,
            created=job.created,
            due=job.due,
            started=job.started,
            finished=job.finished,
        )


class JobLine(BaseModel):
    """A line of a job's log; ids grow with time."""

    id: int
    time: datetime
    text: str


def repository_type(text: str) -> RepositoryType | None:
    return next((type_ for type_ in RepositoryType if text.lower() == type_.value), None)


def source_type(text: str) -> SourceType | None:
    return next((type_ for type_ in SourceType if text.lower() == type_.value), None)
