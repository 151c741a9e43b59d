"""What the API answers, as the client's callers see it (the shapes of `docs/api.md`)."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, TypedDict

from entrepot.core.errors import EntrepotError


class Repository(TypedDict):
    id: int
    name: str
    type: str
    description: str
    auth: bool
    created: str
    sources: list[str]
    transaction: int | None


class Fault(TypedDict):
    code: str
    error: str
    hint: str | None


class Sync(TypedDict):
    state: Literal["never", "ok", "failed", "running"]
    last_success: str | None
    error: str | None
    next_try: str | None
    job: int | None


class Source(TypedDict):
    id: int
    name: str
    type: str
    created: str
    mirror: bool
    packages: int
    projects_read: int | None
    transaction: int | None
    upstream: str | None
    sync: Sync | None
    snapshot: str | None
    include: list[str] | None
    archived: bool | None
    version: str | None


class Change(TypedDict):
    change: Literal["added", "updated", "archived", "removed"]
    name: str
    version: str
    previous: str | None


class Outcome(TypedDict):
    """What a change of a source's packages did."""

    transaction: int | None
    changes: list[Change]


class ProposedItem(TypedDict):
    """A package that the source would list; `why` is the chain of packages that need it, empty if it was asked for."""

    name: str
    version: str
    previous: str | None
    change: Literal["added", "updated", "downgraded", "changed", "unchanged"]
    license: str | None
    needs_compilation: bool | None
    dependency: bool
    why: list[str]
    asked: str | None
    size: int | None
    releases: int | None
    license_before: str | None


class ProposedLeaving(TypedDict):
    name: str
    version: str
    change: Literal["archived", "removed"]
    reason: str


class ProposedMissing(TypedDict):
    name: str
    why: list[str]
    reason: str
    near: list[str]


class Removed(TypedDict):
    name: str
    version: str


class Request(TypedDict):
    """What is asked of a source once a proposal is committed; None is what its type doesn't know."""

    lines: list[str]
    constraints: list[str]
    removed: list[Removed]
    with_dependencies: bool | None
    only_binary: bool | None
    platforms: list[str] | None
    python_versions: list[str] | None


class Proposal(TypedDict):
    """What a change to a curated or pinned source would bring; `committed` is the transaction that applied it."""

    id: int
    source: str
    action: str
    snapshot: str
    created: str
    actor: str
    counts: dict[str, int]
    committed: int | None
    state: Literal["open", "stale", "committed"]
    newest: int | None
    items: list[ProposedItem]
    leaving: list[ProposedLeaving]
    missing: list[ProposedMissing]
    notes: list[str]
    unchanged: int
    request: Request


class Progress(TypedDict):
    """How far a job is; a `total` of 0 is not known."""

    step: str
    done: int
    total: int


class Job(TypedDict):
    """A job of background work; it is over when it is done, failed or cancelled."""

    id: int
    kind: str
    source: str | None
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    progress: Progress
    error: Fault | None
    result: dict[str, Any] | None
    actor: str
    payload: dict[str, Any]
    attempts: int
    is_cancelled: bool
    worker: str | None
    created: str
    due: str | None
    started: str | None
    finished: str | None


class Line(TypedDict):
    """A line of a job's log."""

    id: int
    time: str
    text: str


class PackageDifference(TypedDict):
    """What became of a package; None where it is not in the index, or nobody knows."""

    change: Literal["added", "updated", "downgraded", "changed", "archived", "removed"]
    name: str
    version_before: str | None
    version_after: str | None
    crosses_major: bool
    license_before: str | None
    license_after: str | None
    license_changed: bool
    source_before: str | None
    source_after: str | None
    releases_added: int | None
    releases_removed: int | None


class Difference(TypedDict):
    """What differs between two snapshots, besides `from` and `to`: the snapshots, with how many packages they have."""

    is_partial: bool
    counts: dict[str, int]
    changes: list[PackageDifference]


class CheckedEntry(TypedDict):
    """One entry of a list of wanted packages, and what a repository has for it."""

    name: str
    requirement: str
    line: int | None
    marker: str | None
    verdict: Literal["served", "partial", "with-r", "missing", "unknown"]
    lacks: Literal["package", "version", "files"] | None
    version: str | None
    source: str | None
    archived: bool
    yanked: bool
    files_wanted: int
    files_listed: int
    lower: str | None
    higher: str | None
    near: list[str]
    reason: str | None


class Checking(TypedDict):
    """What a repository can serve of a list; `servable` if it is all of it."""

    snapshot: str
    format: str
    servable: bool
    counts: dict[str, int]
    entries: list[CheckedEntry]


# Not a class: "from" is a keyword.
Completeness = TypedDict("Completeness", {"from": str, "to": str, "incomplete": int, "versions": int})


class Page(NamedTuple):
    """Some rows, and the number of all rows that match."""

    rows: list[dict[str, Any]]
    total: int


class ApiError(EntrepotError):
    """An error that the server answered; `status` is the HTTP status, None for the error of a job."""

    def __init__(
        self, message: str, *, code: str, status: int | None, hint: str | None = None, payload: object = None
    ) -> None:
        super().__init__(message, hint=hint)
        vars(self)["code"] = code  # the server's word, so it belongs to the instance
        self.status = status
        self.payload = payload if isinstance(payload, dict) else {} if payload is None else {"value": payload}

    @classmethod
    def of_job(cls, job: Job) -> ApiError:
        """The error of a job that failed or was cancelled."""
        fault = job["error"] or Fault(code="error", error="no reason was given", hint=None)
        payload = {"job": job["id"], "source": job["source"]}
        how = "was cancelled" if job["state"] == "cancelled" else f"failed: {fault['error']}"
        message = f"{job['kind']} of '{job['source']}' {how}" if job["source"] else f"{job['kind']} {how}"
        return cls(message, code=fault["code"], status=None, hint=fault["hint"], payload=payload)
