"""`/repos/{repo}/sysreqs`: what packages need of a Linux system; `/sysreqs/rules`: the rules that tell it.

The first answers have the shapes that clients of Package Manager know.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, status
from pydantic import BaseModel

from entrepot.ecosystems.r.sysreqs import Step
from entrepot.operations import browsing, sysreqrules, sysreqs, working
from entrepot.operations.sysreqs import Needed, PackageRequirements
from entrepot.web.api.deps import Actor, AppDep, ContextDep, Snapshot
from entrepot.web.api.jobs import JobShape, job_shape

router = APIRouter(tags=["system requirements"])

Distribution = Annotated[str, Query(description="such as ubuntu, debian, redhat, rockylinux, opensuse, sle")]
Version = Annotated[str | None, Query(description="of a repository of Bioconductor: the version that is meant")]
Release = Annotated[str, Query(description="such as 22.04, 12, 9, 15.6")]


class StepShape(BaseModel):
    """A command of the shell, or the name of a script of the rules."""

    command: str | None = None
    script: str | None = None


class RequirementsShape(BaseModel):
    """Names of system packages, and the command that installs each; what to do before and after it.

    `apt_satisfy` are other ways to meet a need, as `apt-get satisfy` takes them.
    """

    packages: list[str]
    apt_satisfy: list[str]
    pre_install: list[StepShape]
    install_scripts: list[str]
    post_install: list[StepShape]


class PackageShape(BaseModel):
    name: str
    requirements: RequirementsShape


class PackagesShape(BaseModel):
    """`unread` are packages of which nobody knows whether they need anything."""

    requirements: list[PackageShape]
    unread: list[str]


class FlatShape(RequirementsShape):
    name: str | None


class OneShape(FlatShape):
    """One package, and those of its dependencies that need something."""

    dependencies: list[FlatShape]
    unread: list[str]


class SystemShape(BaseModel):
    distribution: str
    release: str


class RulesShape(BaseModel):
    """The rules that are in use; `configured` is where they are to be read. `faults` are files and patterns that are
    left out."""

    configured: str
    origin: str | None
    read: datetime | None
    digest: str | None
    count: int
    faults: list[str]
    systems: list[SystemShape]


def _steps(steps: Sequence[Step]) -> list[StepShape]:
    return [StepShape.model_validate(step.model_dump(exclude_none=True)) for step in steps]


def _requirements(needs: PackageRequirements) -> RequirementsShape:
    found = needs.requirements
    return RequirementsShape(
        packages=list(found.packages),
        apt_satisfy=list(found.apt_satisfy),
        pre_install=_steps(found.pre_install),
        install_scripts=list(needs.install_scripts),
        post_install=_steps(found.post_install),
    )


def _flat(needs: PackageRequirements) -> FlatShape:
    return FlatShape(name=needs.name, **dict(_requirements(needs)))


def _packages(needed: Needed) -> PackagesShape:
    every = [*needed.asked, *needed.dependencies]
    rows = [PackageShape(name=each.name or "", requirements=_requirements(each)) for each in every]
    return PackagesShape(requirements=rows, unread=list(needed.unread))


def _one(needed: Needed) -> OneShape:
    (own,) = needed.asked
    rest = [_flat(each) for each in needed.dependencies]
    return OneShape(**dict(_flat(own)), dependencies=rest, unread=list(needed.unread))


async def _body(request: Request) -> bytes:
    """As it was sent, whatever type it is said to have; its size is bounded before."""
    return await request.body()


@router.get("/repos/{repo}/sysreqs", response_model_exclude_none=True)
def repo_sysreqs(
    app: AppDep,
    repo: str,
    distribution: Distribution,
    release: Release,
    pkgname: Annotated[list[str], Query(description="a package; may be given more than once")] = [],  # noqa: B006
    all: Annotated[bool, Query(description="all packages of the repository, instead of some")] = False,
    snapshot: Snapshot = "latest",
    bioc_version: Version = None,
) -> PackagesShape:
    """What some packages need, and all that they depend on; packages without needs are left out."""
    opened = browsing.open_repository(app, repo, snapshot, bioc_version=bioc_version)
    if all:
        return _packages(sysreqs.of_all(app, opened, distribution=distribution, release=release))
    return _packages(sysreqs.of_packages(app, opened, pkgname, distribution=distribution, release=release))


@router.post(
    "/repos/{repo}/sysreqs",
    response_model_exclude_none=True,
    openapi_extra={"requestBody": {"content": {"text/plain": {"schema": {"type": "string"}}}, "required": True}},
)
def description_sysreqs(
    app: AppDep,
    repo: str,
    distribution: Distribution,
    release: Release,
    body: Annotated[bytes, Depends(_body)],
    suggests: Annotated[bool, Query(description="with the packages that it suggests")] = False,
    snapshot: Snapshot = "latest",
    bioc_version: Version = None,
) -> OneShape:
    """What the package of a DESCRIPTION needs, which is the body."""
    opened = browsing.open_repository(app, repo, snapshot, bioc_version=bioc_version)
    needed = sysreqs.of_description(app, opened, body, distribution=distribution, release=release, suggests=suggests)
    return _one(needed)


@router.get("/repos/{repo}/packages/{name}/sysreqs", response_model_exclude_none=True)
def package_sysreqs(
    app: AppDep,
    repo: str,
    name: str,
    distribution: Distribution,
    release: Release,
    snapshot: Snapshot = "latest",
    bioc_version: Version = None,
) -> OneShape:
    """What one package needs, and its dependencies."""
    opened = browsing.open_repository(app, repo, snapshot, bioc_version=bioc_version)
    return _one(sysreqs.of_package(app, opened, name, distribution=distribution, release=release))


@router.get("/sysreqs/rules")
def get_rules(app: AppDep) -> RulesShape:
    info = sysreqs.rules_info(app)
    told = info.told
    return RulesShape(
        configured=info.configured,
        origin=told.origin if told else None,
        read=told.read if told else None,
        digest=told.digest if told else None,
        count=info.count,
        faults=list(told.faults) if told else [],
        systems=[SystemShape(distribution=each.distribution, release=each.release) for each in info.systems],
    )


@router.post("/sysreqs/rules/sync", status_code=status.HTTP_202_ACCEPTED)
def sync_rules(context: ContextDep, actor: Actor) -> JobShape:
    """Read the rules again."""
    job = sysreqrules.request(context.app, actor=actor)
    context.runner.wake(job.id)
    return job_shape(context, working.get_job(context.app, job.id))
