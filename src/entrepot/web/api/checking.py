"""`/repos/{repo}/check`: which entries of a list of wanted packages a repository can serve."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from entrepot.core.checking import Checked, Lack, Verdict
from entrepot.core.requirements import ListFormat
from entrepot.operations import checking
from entrepot.operations.checking import Checking
from entrepot.web.api import schemas
from entrepot.web.api.deps import AppDep, Caller

router = APIRouter(tags=["checking"])


class CheckRequest(schemas.In):
    """`list` and `constraints` are the text of files; `constraints` is of Python lists alone."""

    text: str = Field(alias="list")
    constraints: str | None = None
    snapshot: str = "latest"
    bioc_version: str | None = Field(default=None, max_length=20)


class EntryShape(BaseModel):
    """One entry of the list, and what was found.

    `version` is what is served; `files_wanted` and `files_listed` count the files that the list names by their hashes.
    `lower` and `higher` are the versions next to one that is missing, `near` names like one that is unknown.
    """

    name: str
    requirement: str
    line: int | None
    marker: str | None
    verdict: Verdict
    lacks: Lack | None
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

    @classmethod
    def of(cls, entry: Checked) -> EntryShape:
        wanted, offer = entry.requirement, entry.offer
        return cls(
            name=wanted.package,
            requirement=wanted.text,
            line=wanted.line,
            marker=wanted.marker or None,
            verdict=entry.verdict,
            lacks=entry.lack,
            version=offer.version if offer else None,
            source=offer.source if offer else None,
            archived=offer is not None and offer.is_archived,
            yanked=offer is not None and offer.is_yanked,
            files_wanted=len(wanted.hashes),
            files_listed=entry.listed,
            lower=entry.lower,
            higher=entry.higher,
            near=list(entry.near),
            reason=entry.reason,
        )


class CheckShape(BaseModel):
    """`servable`: each entry can be served, be it in part."""

    snapshot: str
    format: ListFormat
    servable: bool
    counts: dict[Verdict, int]
    entries: list[EntryShape]

    @classmethod
    def of(cls, found: Checking) -> CheckShape:
        return cls(
            snapshot=found.snapshot,
            format=found.format,
            servable=found.is_servable,
            counts=found.counts,
            entries=[EntryShape.of(entry) for entry in found.entries],
        )


@router.post("/repos/{repo}/check", response_model=CheckShape)
def check_list(app: AppDep, access: Caller, repo: str, body: CheckRequest) -> Response:
    """Which entries of a list can be served; without a token within narrower bounds."""
    found = checking.check(
        app,
        repo,
        body.text,
        constraints=body.constraints,
        snapshot=body.snapshot,
        bioc_version=body.bioc_version,
        bounds=checking.OF_KNOWN if access.is_known else checking.OF_ANYBODY,
    )
    # Written here: the framework would look at each of 100,000 entries once more.
    return Response(CheckShape.of(found).model_dump_json(), media_type="application/json")
