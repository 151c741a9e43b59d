"""`/repos`: repositories, their subscriptions, and what they show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Query, Response, status

from entrepot.app import App
from entrepot.core.errors import Invalid
from entrepot.core.model import PackageName
from entrepot.operations import browsing, listing, records, relations, repositories, searchall, sources, syncing, usage
from entrepot.web.api import packageshapes, schemas
from entrepot.web.api.deps import (
    Actor,
    AppDep,
    Ascending,
    BiocVersion,
    Caller,
    NameSort,
    PageDep,
    ShortPageDep,
    Snapshot,
)

PackageSort = Annotated[listing.PackageSort, Query()]
T = TypeVar("T")

router = APIRouter(prefix="/repos", tags=["repositories"])


@router.get("")
def list_repos(
    app: AppDep,
    access: Caller,
    page: ShortPageDep,
    ascending: Ascending,
    response: Response,
    _sort: NameSort = "id",
    _details: Annotated[bool, Query(description="with the number of packages and the time of the last change")] = False,
) -> list[schemas.RepositoryInFull] | list[schemas.Repository]:
    if _details:
        full = [schemas.RepositoryInFull.with_details(found) for found in searchall.overviews(app, access=access)]
        return paged(full, page, response, sort=_sort, ascending=ascending)
    rows = [schemas.Repository.of(info) for info in repositories.list_repositories(app, access=access)]
    return paged(rows, page, response, sort=_sort, ascending=ascending)


@router.post("", status_code=status.HTTP_201_CREATED)
def create_repo(app: AppDep, actor: Actor, body: schemas.NewRepository, response: Response) -> schemas.Repository:
    type_ = schemas.repository_type(body.type)
    if type_ is None:
        raise Invalid(f"{body.type!r} is not a type of repository", hint="types are r, bioconductor and python")
    info, is_new = repositories.create_repository(
        app,
        body.name,
        type_=type_,
        description=body.description,
        actor=actor,
        succeed_on_existing=body.succeed_on_existing,
        is_closed=body.authenticated,
    )
    response.status_code = status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
    return schemas.Repository.of(info)


@router.get("/{repo}")
def get_repo(app: AppDep, repo: str) -> schemas.Repository:
    return schemas.Repository.of(repositories.repository_info(app, repo))


@router.patch("/{repo}")
def edit_repo(app: AppDep, _: Actor, repo: str, body: schemas.RepositoryEdit) -> schemas.Repository:
    info = repositories.edit_repository(
        app, repo, name=body.name, description=body.description, is_closed=body.authenticated
    )
    return schemas.Repository.of(info)


@router.delete("/{repo}", status_code=status.HTTP_204_NO_CONTENT)
def delete_repo(app: AppDep, _: Actor, repo: str) -> None:
    repositories.delete_repository(app, repo)


@router.get("/{repo}/sources")
def repo_sources(app: AppDep, repo: str, page: ShortPageDep, response: Response) -> list[schemas.Source]:
    return paged([source_shape(app, info) for info in sources.repository_sources(app, repo)], page, response)


@router.post("/{repo}/sources")
def subscribe(app: AppDep, actor: Actor, repo: str, body: schemas.NewSubscription) -> schemas.Repository:
    info = repositories.subscribe(
        app, repo, body.source, actor=actor, version=body.version, succeed_on_existing=body.succeed_on_existing
    )
    return schemas.Repository.of(info)


@router.put("/{repo}/sources")
def reorder(app: AppDep, actor: Actor, repo: str, body: schemas.NewOrder) -> schemas.Repository:
    info = repositories.reorder(
        app,
        repo,
        body.sources,
        actor=actor,
        versions=body.versions,
        may_change=body.may_change,
        digest=body.digest,
    )
    return schemas.Repository.of(info)


@router.delete("/{repo}/sources/{source}")
def unsubscribe(app: AppDep, actor: Actor, repo: str, source: str) -> schemas.Repository:
    return schemas.Repository.of(repositories.unsubscribe(app, repo, source, actor=actor))


@dataclass(frozen=True, slots=True)
class WantedPackages:
    """Which packages of a list are asked for; the same for repositories and sources."""

    page: PageDep
    ascending: Ascending
    name: str | None = None
    name_like: str | None = None
    _sort: PackageSort = "name"

    def page_of(self, app: App, opened: browsing.Opened, response: Response) -> list[packageshapes.Package]:
        rows, total = listing.list_packages(
            app,
            opened,
            name=self.name,
            name_like=self.name_like,
            sort=self._sort,
            descending=self.ascending is False,
            page=self.page,
        )
        return counted([packageshapes.Package.of(row) for row in rows], total, response)


PackagesDep = Annotated[WantedPackages, Depends()]


@router.get("/{repo}/packages")
def repo_packages(
    app: AppDep,
    repo: str,
    wanted: PackagesDep,
    response: Response,
    snapshot: Snapshot = "latest",
    bioc_version: BiocVersion = None,
) -> list[packageshapes.Package]:
    return wanted.page_of(app, browsing.open_repository(app, repo, snapshot, bioc_version=bioc_version), response)


class PackageOfRepository(packageshapes.PackageDetail):
    """A package with those of the snapshot that need it: kind of dependency -> names, complete; of R alone. `downloads`
    are those of the last 30 days, of all its versions."""

    licenses: list[str]
    downloads: int
    reverse_dependencies: dict[str, list[PackageName]]

    @classmethod
    def among(
        cls, record: records.PackageRecord, needed_by: Mapping[str, list[PackageName]], downloads: int
    ) -> PackageOfRepository:
        detail = packageshapes.PackageDetail.of(record).model_dump()
        licenses = records.licenses(record.summary.described.license)
        return cls(**detail, licenses=licenses, downloads=downloads, reverse_dependencies=dict(needed_by))


@router.get("/{repo}/packages/{name}")
def repo_package(
    app: AppDep,
    repo: str,
    name: str,
    snapshot: Snapshot = "latest",
    version: str | None = None,
    bioc_version: BiocVersion = None,
) -> PackageOfRepository:
    def opened() -> browsing.Opened:
        return browsing.open_repository(app, repo, snapshot, bioc_version=bioc_version)

    record = records.package_record(app, opened, name, version=version)
    package = record.summary.name
    needed_by = relations.dependents(app, repo, snapshot, package, bioc_version=bioc_version)
    return PackageOfRepository.among(record, needed_by, usage.downloads_of(app, repo, [package])[package])


@router.get("/{repo}/packages/{name}/releases")
def repo_releases(
    app: AppDep,
    repo: str,
    name: str,
    page: ShortPageDep,
    response: Response,
    snapshot: Snapshot = "latest",
    bioc_version: BiocVersion = None,
) -> list[packageshapes.ReleaseShape]:
    found = records.package_releases(
        lambda: browsing.open_repository(app, repo, snapshot, bioc_version=bioc_version), name
    )
    return paged([packageshapes.ReleaseShape.of(release) for release in found], page, response)


def counted(rows: list[T], total: int, response: Response) -> list[T]:
    """A page of rows, with the number of all in the header that clients read."""
    response.headers["X-Total-Count"] = str(total)
    return rows


def paged(
    rows: list[T], page: browsing.Page, response: Response, *, sort: str | None = None, ascending: bool | None = None
) -> list[T]:
    """A page of a short list, which is at hand as a whole; by the field `sort`, if one is named."""
    if sort is not None:
        rows = sorted(rows, key=attrgetter(sort), reverse=ascending is False)
    return counted(rows[page.offset : page.offset + page.limit], len(rows), response)


def source_shape(app: AppDep, info: sources.SourceInfo) -> schemas.Source:
    """A source as the API shows it, with the time of its next sync."""
    return schemas.Source.of(info, next_sync=syncing.next_sync(app, info.source, info.mirror) if info.mirror else None)
