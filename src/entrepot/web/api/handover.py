"""`/repos/{repo}/sources/preview`: which packages another order of sources would take from elsewhere."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from entrepot.core.handover import HandoverKind
from entrepot.operations import handover
from entrepot.operations.handover import Change, Standing
from entrepot.web.api import schemas
from entrepot.web.api.deps import AppDep, PageDep

router = APIRouter(prefix="/repos/{repo}/sources/preview", tags=["repositories"])


class WantedOrder(schemas.In):
    """`sources` is the full order, in which some may come and go; `versions` are of those that come and have all of
    Bioconductor. `bioc_version` is which one to look at in a repository of that type."""

    sources: list[str] = Field(max_length=schemas.MOST_SOURCES)
    versions: schemas.Versions = Field(default_factory=dict)
    bioc_version: str | None = Field(default=None, max_length=20)


class HandoverShape(BaseModel):
    """A package; the sources are null where it comes from none, the versions also where all are archived or unread."""

    change: HandoverKind
    name: str
    source_before: str | None
    source_after: str | None
    version_before: str | None
    version_after: str | None

    @classmethod
    def of(cls, change: Change) -> HandoverShape:
        before, after = _facts(change.before), _facts(change.after)
        return cls(
            change=change.kind,
            name=change.package,
            source_before=before[0],
            source_after=after[0],
            version_before=before[1],
            version_after=after[1],
        )


def _facts(standing: Standing | None) -> tuple[str | None, str | None]:
    return (None, None) if standing is None else (standing.source, standing.version)


class PreviewShape(BaseModel):
    """`digest` goes with the order that is then given; `unread` are mirrors of which nothing is known yet."""

    digest: str
    total: int
    counts: dict[HandoverKind, int]
    unread: list[str]
    bioc_version: str | None
    changes: list[HandoverShape]


@router.post("")
def preview(app: AppDep, repo: str, body: WantedOrder, page: PageDep, response: Response) -> PreviewShape:
    """A page of the packages that change hands, by name; nothing is changed."""
    found = handover.preview(app, repo, body.sources, versions=body.versions, bioc_version=body.bioc_version, page=page)
    total = sum(found.counts.values())
    response.headers["X-Total-Count"] = str(total)
    return PreviewShape(
        digest=found.digest,
        total=total,
        counts=found.counts,
        unread=list(found.unread),
        bioc_version=found.version,
        changes=[HandoverShape.of(change) for change in found.changes],
    )
