"""`/bioconductor`: the versions that upstream knows, what goes with each, and what is mirrored of it."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from entrepot.operations import bioconductor
from entrepot.web.api.deps import AppDep, Caller, ShortPageDep
from entrepot.web.api.repos import paged

router = APIRouter(prefix="/bioconductor", tags=["bioconductor"])


class BioconductorVersion(BaseModel):
    """`last_success` is when all parts were synced last; `errors` are why the last sync of a part failed."""

    bioc_version: str
    r_version: str = Field(description="the minor version of R that it is for")
    cran_snapshot: str = Field(description="the day of CRAN that goes with it, or latest; empty where nobody knows")
    is_release: bool
    is_devel: bool
    packages: dict[str, int] = Field(description="part -> packages; empty where nothing is mirrored")
    last_success: datetime | None
    errors: dict[str, str] = Field(description="part -> error")


@router.get("/versions")
def bioconductor_versions(
    app: AppDep, access: Caller, page: ShortPageDep, response: Response
) -> list[BioconductorVersion]:
    """All versions from 3.1 on, the newest first."""
    rows = [
        BioconductorVersion(
            bioc_version=each.version,
            r_version=each.r_version,
            cran_snapshot=each.cran_snapshot,
            is_release=each.word == "release",
            is_devel=each.word == "devel",
            packages=each.packages,
            last_success=each.synced_from,
            errors=each.errors,
        )
        for each in bioconductor.versions(app, access=access)
    ]
    return paged(rows, page, response)
