"""The shapes that the API takes and answers, and how our values become them."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import date, datetime
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from entrepot.core.changes import Change, ChangeKind, History
from entrepot.core.model import RepositoryType, SourceType
from entrepot.core.urls import shown
from entrepot.db.sources import MirrorState
from entrepot.operations.describing import Completeness
from entrepot.operations.packages import Outcome
from entrepot.operations.repositories import RepositoryInfo
from entrepot.operations.searchall import Overview
from entrepot.operations.sources import SourceInfo

NO_NUL = r"^[^\x00]*$"
"""The pattern of texts that a database is given: PostgreSQL takes no NUL."""
TEXT_HEADERS = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox"}
"""Of texts that others wrote, which no browser shall take for anything else."""
Tail = Annotated[int | None, Query(ge=1, le=10**9, description="the last lines alone, of so many characters at most")]
Text = Annotated[str, Field(max_length=2000, pattern=NO_NUL)]
"""What people write about something."""


def _day(value: object) -> date:
    # pydantic would take numbers too, and Python weeks.
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        with suppress(ValueError):
            return date.fromisoformat(value)
    raise PydanticCustomError("day", "not a day, which is written YYYY-MM-DD")


_ODD = re.compile("[\ud800-\udfff]")
Day = Annotated[date, BeforeValidator(_day)]

MOST_SOURCES = 1000
"""Of one repository."""
Versions = Annotated[
    dict[str, Annotated[str, Field(max_length=20)]],
    Field(max_length=100, description="source -> version of Bioconductor"),
]
TYPE_LABELS = {RepositoryType.R: "R", RepositoryType.BIOCONDUCTOR: "Bioconductor", RepositoryType.PYTHON: "Python"}


def _is_text(value: object) -> bool:
    """Whether all texts of a JSON value can be written as UTF-8."""
    if isinstance(value, str):
        return _ODD.search(value) is None
    if isinstance(value, dict):
        return all(map(_is_text, value)) and all(map(_is_text, value.values()))
    return not isinstance(value, list) or all(map(_is_text, value))


class In(BaseModel):
    """What a request may send: nothing that isn't known, and only what is a text as one."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _of_texts(cls, value: object) -> object:
        # JSON can have one half of a character of two (RFC 8259, 8.2); neither databases nor answers can.
        if not _is_text(value):
            raise PydanticCustomError("text", "has a character that is none: half of a surrogate pair")
        return value


class NewRepository(In):
    """`authenticated`: whether reading it needs a token; without it as the settings say."""

    name: str
    type: str = "r"
    description: Text = ""
    authenticated: bool | None = None
    succeed_on_existing: bool = False


class RepositoryEdit(In):
    name: str | None = None
    description: Text | None = None
    authenticated: bool | None = None


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
    """`sources` are all that there are, or with `may_change` all that there are to be. `versions` are which one of
    Bioconductor, of those that come and have all. `digest` is that of the preview that somebody saw of this order."""

    sources: list[str] = Field(max_length=MOST_SOURCES)
    versions: Versions = Field(default_factory=dict)
    may_change: bool = False
    digest: str | None = Field(default=None, max_length=64)


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
    """`auth`: whether reading it needs a token."""

    id: int
    name: str
    type: str
    description: str
    auth: bool
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
            auth=repository.is_closed,
            created=repository.created,
            sources=[source.name for source in info.sources],
            transaction=info.transaction,
        )


class RepositoryInFull(Repository):
    """A repository with how many packages it has now, and when it last changed; null while it has nothing."""

    packages: int | None
    changed: datetime | None

    @classmethod
    def with_details(cls, found: Overview) -> RepositoryInFull:
        return cls(**dict(Repository.of(found.info)), packages=found.packages, changed=found.changed)


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


class TransactionDate(BaseModel):
    """A day that can be used in a URL (`alias`), with its newest transaction."""

    alias: date
    date: datetime
    id: int


class FirstTransaction(BaseModel):
    """The first day that can be used in a URL."""

    alias: date
    date: datetime


def repository_type(text: str) -> RepositoryType | None:
    return next((type_ for type_ in RepositoryType if text.lower() == type_.value), None)


def source_type(text: str) -> SourceType | None:
    return next((type_ for type_ in SourceType if text.lower() == type_.value), None)
