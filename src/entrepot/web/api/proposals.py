"""`/sources/{source}/proposals`: what a change to a curated or pinned source would bring, and its commit."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response, status
from pydantic import BaseModel, Field

from entrepot.core.errors import Invalid
from entrepot.core.proposals import Item, ItemChange, Leaving, Missing, Part, Rows
from entrepot.operations import proposals
from entrepot.operations.proposals import Narrow, Proposal, ProposalState, Wish
from entrepot.operations.wishes import Asked
from entrepot.web.api import schemas
from entrepot.web.api.deps import Actor, AppDep, Number, PageDep
from entrepot.web.api.repos import counted

MOST_PACKAGES = 100_000
Change = Literal["added", "updated", "downgraded", "changed", "unchanged", "archived", "removed"]

router = APIRouter(prefix="/sources/{source}/proposals", tags=["proposals"])


class NewProposal(schemas.In):
    """What is wished: see `docs/api.md`. With `commit` it is applied at once, and `snapshot` has to be given."""

    action: Literal["update", "add"] = "update"
    text: str | None = Field(default=None, alias="list")
    constraints: str | None = None
    packages: list[str] = Field(default=[], max_length=MOST_PACKAGES)
    snapshot: str | None = None
    include_suggests: bool = False
    skip_missing: bool = False
    with_dependencies: bool | None = None
    only_binary: bool | None = None
    platforms: tuple[str, ...] | None = None
    python_versions: tuple[str, ...] | None = None
    commit: bool = False
    comment: schemas.Text = ""

    def wish(self) -> Wish:
        narrow = Narrow(self.with_dependencies, self.only_binary, self.platforms, self.python_versions)
        return Wish(
            self.action,
            list_text=self.text,
            constraints=self.constraints,
            packages=tuple(self.packages),
            snapshot=self.snapshot,
            include_suggests=self.include_suggests,
            skip_missing=self.skip_missing,
            narrow=narrow,
        )


class Commit(schemas.Comment):
    snapshot: str | None = None


class ItemShape(BaseModel):
    name: str
    version: str
    previous: str | None
    change: ItemChange
    license: str | None
    needs_compilation: bool | None
    dependency: bool
    why: list[str]
    asked: str | None
    size: int | None
    releases: int | None
    license_before: str | None

    @classmethod
    def of(cls, item: Item) -> ItemShape:
        return cls(
            name=item.package,
            version=item.version,
            previous=item.previous,
            change=item.change,
            license=item.license,
            needs_compilation={"yes": True, "no": False}.get(item.needs_compilation or ""),
            dependency=bool(item.why),
            why=list(item.why),
            asked=item.asked or None,
            size=item.size,
            releases=item.releases,
            license_before=item.license_before,
        )


class LeavingShape(BaseModel):
    name: str
    version: str
    change: str
    reason: str

    @classmethod
    def of(cls, leaving: Leaving) -> LeavingShape:
        return cls(name=leaving.package, version=leaving.version, change=leaving.change, reason=leaving.reason)


class MissingShape(BaseModel):
    name: str
    why: list[str]
    reason: str
    near: list[str]

    @classmethod
    def of(cls, missing: Missing) -> MissingShape:
        return cls(name=missing.package, why=list(missing.why), reason=missing.reason, near=list(missing.near))


class RemovedShape(BaseModel):
    name: str
    version: str


class RequestShape(BaseModel):
    """What is asked of the source once the proposal is committed; null is what its type doesn't know."""

    lines: list[str]
    constraints: list[str]
    removed: list[RemovedShape]
    with_dependencies: bool | None
    only_binary: bool | None
    platforms: list[str] | None
    python_versions: list[str] | None

    @classmethod
    def of(cls, asked: Asked) -> RequestShape:
        return cls(
            lines=list(asked.lines),
            constraints=list(asked.constraints),
            removed=[RemovedShape(name=name, version=version) for name, version in asked.removed],
            with_dependencies=asked.with_dependencies,
            only_binary=asked.only_binary,
            platforms=None if asked.platforms is None else list(asked.platforms),
            python_versions=None if asked.python_versions is None else list(asked.python_versions),
        )


class ProposalSummary(BaseModel):
    """`newest` is the source's newest transaction, which came after a stale proposal was made."""

    id: int
    source: str
    action: str
    snapshot: str
    created: datetime
    actor: str
    counts: dict[str, int]
    committed: int | None
    state: ProposalState
    newest: int | None

    @classmethod
    def of(cls, proposal: Proposal) -> ProposalSummary:
        row = proposal.row
        return cls(
            id=row.id,
            source=proposal.source,
            action=row.action,
            snapshot=row.snapshot,
            created=row.created,
            actor=row.actor,
            counts=row.counts,
            committed=row.committed,
            state=proposal.state,
            newest=proposal.newest or None,
        )


class ProposalShape(ProposalSummary):
    """A proposal with all that it tells; `unchanged` packages beyond those among the items."""

    items: list[ItemShape]
    leaving: list[LeavingShape]
    missing: list[MissingShape]
    notes: list[str]
    unchanged: int
    request: RequestShape

    @classmethod
    def whole(cls, proposal: Proposal) -> ProposalShape:
        report = proposal.report
        return cls(
            **ProposalSummary.of(proposal).model_dump(),
            items=[ItemShape.of(item) for item in report.items],
            leaving=[LeavingShape.of(leaving) for leaving in report.leaving],
            missing=[MissingShape.of(missing) for missing in report.missing],
            notes=list(report.notes),
            unchanged=report.unchanged,
            request=RequestShape.of(proposal.asked),
        )


@router.post("", status_code=status.HTTP_201_CREATED)
def propose(app: AppDep, actor: Actor, source: str, body: NewProposal) -> ProposalShape:
    if body.commit:
        made = proposals.propose_and_commit(app, source, body.wish(), actor=actor, comment=body.comment)[0]
    else:
        made = proposals.propose(app, source, body.wish(), actor=actor)
    return ProposalShape.whole(made)


@router.get("")
def list_proposals(app: AppDep, source: str, page: PageDep, response: Response) -> list[ProposalSummary]:
    rows, total = proposals.list_proposals(app, source, page)
    return counted(_summaries(rows), total, response)


@router.get("/{id}")
def proposal(
    app: AppDep,
    source: str,
    id: Number,
    page: PageDep,
    response: Response,
    part: Annotated[Part | None, Query(description="a page of this list alone")] = None,
    change: Annotated[list[Change] | None, Query(description="of that list the rows that become one of these")] = None,
    other_license: Annotated[bool, Query(description="of the items those with another licence than before")] = False,
) -> ProposalShape:
    """All that it tells; with `part` one of the three lists by pages, and the others empty."""
    if part is None:
        if change or other_license:
            raise Invalid("rows are chosen from one list", hint="name it: part=items or part=leaving")
        return ProposalShape.whole(proposals.get_proposal(app, source, id))
    rows = Rows(frozenset(change or ()), other_license)
    found, total = proposals.get_part(app, source, id, part, rows=rows, page=page)
    response.headers["X-Total-Count"] = str(total)
    return ProposalShape.whole(found)


@router.post("/{id}/commit")
def commit(app: AppDep, actor: Actor, source: str, id: Number, body: Commit) -> ProposalShape:
    made = proposals.commit(app, source, id, actor=actor, snapshot=body.snapshot, comment=body.comment)[0]
    return ProposalShape.whole(made)


def _summaries(rows: Iterable[Proposal]) -> list[ProposalSummary]:
    return [ProposalSummary.of(row) for row in rows]
