"""`/status`, `/transactions`: the installation itself."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from entrepot import __version__
from entrepot.core.model import RepositoryType, SourceType
from entrepot.operations import browsing, building, repositories, sources
from entrepot.web.api import schemas
from entrepot.web.api.deps import AppDep, Number
from entrepot.web.api.repos import source_shape

router = APIRouter(tags=["service"])


@router.get("/status")
def get_status(app: AppDep) -> dict[str, Any]:
    """What clients read to recognise the server, and the state of each mirror."""
    mirrors = [source_shape(app, info) for info in sources.list_sources(app) if info.mirror]
    r_repos = [
        info
        for info in repositories.list_repositories(app)
        if info.repository.type is RepositoryType.R and any(source.is_mirror for source in info.sources)
    ]
    return {
        "version": __version__,
        "build_date": "",
        "product": "entrepot",
        "metrics_enabled": False,
        "r_configured": building.can_build(app, SourceType.GIT),
        "python_configured": building.can_build(app, SourceType.GIT_PYTHON),
        "binaries_enabled": False,
        "display_ash": False,
        "public_p3m": False,
        "custom_home": False,
        "custom_home_title": "",
        "ga_id": "",
        "auth_enabled": False,
        "repos_require_auth": False,
        "sso_enabled": False,
        "distros": [],
        "cran_repo": r_repos[0].repository.name if r_repos else "",
        "bioc_versions": [],
        "r_versions": [],
        "macos_urls": {},
        "sources": {mirror.name: mirror.sync.model_dump() for mirror in mirrors if mirror.sync},
    }


@router.get("/transactions/{id}")
def get_transaction(app: AppDep, id: Number) -> schemas.TransactionDetail:
    return schemas.TransactionDetail.of(browsing.transaction(app, id))
