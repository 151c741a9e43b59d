"""`/repos/{repo}/diff` and `/sources/{source}/diff`: what differs between two snapshots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field
from pydantic_core import to_json

from entrepot.core.comparing import DifferenceKind, PackageChange, Standing
from entrepot.operations import comparing
from entrepot.operations.comparing import Comparison, End
from entrepot.web.api.deps import AppDep, BiocVersion, ShortPageDep

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


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which of the changes are told; the counts are of all."""

    page: ShortPageDep
    change: Annotated[list[DifferenceKind] | None, Query(description="of these kinds alone")] = None
    only: Annotated[
        Literal["major", "license", "source"] | None,
        Query(description="those with another major version, license or source"),
    ] = None

    def of(self, changes: Sequence[PackageChange]) -> list[PackageChange]:
        """Those that are wanted, on all pages."""
        kinds, matters = self.change, _MATTERS.get(self.only) if self.only is not None else None
        return [
            each for each in changes if (kinds is None or each.kind in kinds) and (matters is None or matters(each))
        ]


def _changes_source(change: PackageChange) -> bool:
    return change.before is not None and change.after is not None and change.before.source != change.after.source


_MATTERS: Mapping[str, Callable[[PackageChange], bool]] = {
    "major": attrgetter("crosses_major"),
    "license": attrgetter("changes_license"),
    "source": _changes_source,
}
WantedDep = Annotated[Wanted, Depends()]


@router.get("/repos/{repo}/diff", response_model=DifferenceShape)
def repo_diff(
    app: AppDep, repo: str, start: From, wanted: WantedDep, end: To = "latest", bioc_version: BiocVersion = None
) -> Response:
    return _answer(comparing.compare(app, repo=repo, start=start, end=end, bioc_version=bioc_version), wanted)


@router.get("/sources/{source}/diff", response_model=DifferenceShape)
def source_diff(
    app: AppDep, source: str, start: From, wanted: WantedDep, end: To = "latest", bioc_version: BiocVersion = None
) -> Response:
    return _answer(comparing.compare(app, source=source, start=start, end=end, bioc_version=bioc_version), wanted)


def _answer(found: Comparison, wanted: Wanted) -> Response:
    """Written here: the framework would look at each of 20,000 changes once more."""
    changes, page = wanted.of(found.difference.changes), wanted.page
    told = {
        "from": EndShape.of(found.start),
        "to": EndShape.of(found.end),
        "is_partial": found.is_partial,
        "counts": found.difference.counts,
        "changes": [_change(change) for change in changes[page.offset : page.offset + page.limit]],
    }
    return Response(to_json(told), media_type="application/json", headers={"X-Total-Count": str(len(changes))})
