"""`/status`: the installation itself."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from entrepot import __version__
from entrepot.core.model import SourceType
from entrepot.operations import building, serverstatus
from entrepot.operations.serverstatus import Distro
from entrepot.web.api import schemas
from entrepot.web.api.deps import AppDep, Caller

router = APIRouter(tags=["service"])


class DistroShape(BaseModel):
    """A system that packages are installed on; the names of the fields are those that clients of the product read.

    `binaryURL` names a Linux distribution below `/__linux__/`, `binaries` says that there are, or will be, binary
    packages for it, `hidden` that it is retired.
    """

    name: str
    os: str
    binaryDisplay: str  # noqa: N815
    binaryURL: str  # noqa: N815
    display: str
    distribution: str
    release: str
    build_distribution: str = ""
    sysReqs: bool  # noqa: N815
    binaries: bool
    hidden: bool
    official_rspm: bool
    arch: list[str]

    @classmethod
    def of(cls, distro: Distro) -> DistroShape:
        return cls(
            name=distro.name,
            os=distro.os,
            binaryDisplay=distro.binary_display,
            binaryURL=distro.url,
            display=distro.display,
            distribution=distro.distribution,
            release=distro.release,
            sysReqs=distro.has_requirements,
            binaries=distro.has_binaries,
            hidden=distro.is_hidden,
            official_rspm=distro.name != "internal",
            arch=list(distro.architectures),
        )


class BioconductorVersion(BaseModel):
    """`cran_snapshot` is the day of CRAN that goes with it, `latest`, or empty where nobody tells."""

    bioc_version: str
    r_version: str
    cran_snapshot: str


class Status(BaseModel):
    """What clients read to recognise the server, and the state of each mirror (`sources`) that they see.

    `auth_enabled` says that tokens are of use to read packages or to sign in, `repos_require_auth` that all
    repositories are closed, `sso_enabled` that people sign in at a provider, `metrics_enabled` that downloads are
    counted. `cran_repo` is one that they may read.
    """

    version: str = __version__
    build_date: str = ""
    product: str = "entrepot"
    metrics_enabled: bool
    r_configured: bool
    python_configured: bool
    binaries_enabled: bool = True
    display_ash: bool = False
    public_p3m: bool = False
    custom_home: bool = False
    custom_home_title: str = ""
    ga_id: str = ""
    auth_enabled: bool
    repos_require_auth: bool
    sso_enabled: bool
    distros: list[DistroShape]
    cran_repo: str
    bioc_versions: list[BioconductorVersion]
    r_versions: list[str]
    macos_urls: dict[str, dict[str, str]]
    sources: dict[str, schemas.SyncState]


@router.get("/status")
def get_status(app: AppDep, access: Caller) -> Status:
    offer, has_sign_in = serverstatus.offer(app), app.settings.openid_connect.is_on
    cran = offer.cran_repo(access)
    return Status(
        metrics_enabled=app.usage.is_on,
        auth_enabled=offer.closed > 0 or has_sign_in,
        repos_require_auth=0 < offer.closed == offer.repositories,
        sso_enabled=has_sign_in,
        r_configured=building.can_build(app, SourceType.GIT),
        python_configured=building.can_build(app, SourceType.GIT_PYTHON),
        distros=[DistroShape.of(distro) for distro in offer.distros],
        cran_repo=cran.name if cran is not None else "",
        bioc_versions=[BioconductorVersion(**each) for each in offer.bioc_versions],
        r_versions=list(offer.r_versions),
        macos_urls=offer.macos_folders,
        sources={
            each.name: schemas.SyncState.of(each.state, job=each.job, next_sync=each.next_sync)
            for each in serverstatus.mirror_statuses(app, access=access)
        },
    )
