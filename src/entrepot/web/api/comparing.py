"""`/repos/{repo}/diff` and `/sources/{source}/diff`: what differs between two snapshots."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field
from pydantic_core import to_json

from entrepot.core.comparing import DifferenceKind, PackageChange, Standing
from entrepot.operations import comparing
from entrepot.operations.comparing import Comparison, End
from entrepot.web.api.deps import AppDep

From = Annotated[str, Query(alias="from", description="`latest`, YYYY-MM-DD or a transaction id")]
To = Annotated[str, Query(alias="to", description="the same")]

router = APIRouter(tags=["comparing"])


class EndShape(BaseModel):
    snapshot: str
    packages: int

    @classmethod
    def of(cls, end: End) -> EndShape:
        return cls(snapshot=end.snapshot, packages=end.packages)


class PackageChangeShape(BaseModel):
    """What became of a package; null where it is not in the index, or nobody knows.

    `releases_added` and `releases_removed` are of Python projects alone.
    """

    change: DifferenceKind
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


def _change(change: PackageChange) -> dict[str, Any]:
    """As `PackageChangeShape`; plain, as there may be 20,000 of them."""
    before, after = _facts(change.before), _facts(change.after)
    return {
        "change": change.kind.value,
        "name": change.package,
        "version_before": before[0],
        "version_after": after[0],
        "crosses_major": change.crosses_major,
        "license_before": before[1],
        "license_after": after[1],
        "license_changed": change.changes_license,
        "source_before": before[2],
        "source_after": after[2],
        "releases_added": change.releases_added,
        "releases_removed": change.releases_removed,
    }


def _facts(standing: Standing | None) -> tuple[str | None, str | None, str | None]:
    """Version, license and source."""
    return (None, None, None) if standing is None else (standing.version, standing.license, standing.source)


class DifferenceShape(BaseModel):
    """`is_partial`: of an index that is read by the project, what was read of it is compared."""

    start: EndShape = Field(serialization_alias="from")
    end: EndShape = Field(serialization_alias="to")
    is_partial: bool
    counts: dict[DifferenceKind, int]
    changes: list[PackageChangeShape]


@router.get("/repos/{repo}/diff", response_model=DifferenceShape)
def repo_diff(app: AppDep, repo: str, start: From, end: To = "latest") -> Response:
    return _answer(comparing.compare(app, repo=repo, start=start, end=end))


@router.get("/sources/{source}/diff", response_model=DifferenceShape)
def source_diff(app: AppDep, source: str, start: From, end: To = "latest") -> Response:
    return _answer(comparing.compare(app, source=source, start=start, end=end))


def _answer(found: Comparison) -> Response:
    """Written here: the framework would look at each of 20,000 changes once more."""
    told = {
        "from": EndShape.of(found.start),
        "to": EndShape.of(found.end),
        "is_partial": found.is_partial,
        "counts": found.difference.counts,
        "changes": [_change(change) for change in found.difference.changes],
    }
    return Response(to_json(told), media_type="application/json")
