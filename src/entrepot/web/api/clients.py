"""What programs of the product ask in bulk: `/filter/packages`, and which binary packages there are."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from entrepot.app import App
from entrepot.core.errors import EntrepotError
from entrepot.operations import filtering, lookups, records, usage
from entrepot.operations.access import admit_to_repository
from entrepot.operations.browsing import Opened
from entrepot.operations.filtering import Found, Wanted
from entrepot.operations.lookups import Binary
from entrepot.web.api import schemas
from entrepot.web.api.address import Address
from entrepot.web.api.deps import AppDep, Caller, PageDep, Snapshot
from entrepot.web.api.repos import counted
from entrepot.web.errors import INTERNAL

NDJSON = "application/x-ndjson"

router = APIRouter(tags=["clients"])

Distribution = Annotated[
    str | None, Query(description="name of a Linux distribution such as bookworm or rhel9; windows, macos")
]
RVersion = Annotated[str | None, Query(description="4.4 or 4.4.1")]
Arch = Annotated[str | None, Query(description="x86_64 or arm64")]
Short = Annotated[str, Field(max_length=500)]


class Filter(schemas.In):
    """Which packages, and what of them; what else a client says is passed over.

    `names` are `name` or `name==version`; none of them is all. There are no vulnerabilities and no metadata of people
    in this version, so nothing has any.
    """

    model_config = ConfigDict(extra="ignore")

    repo: Short
    snapshot: Short = "latest"
    bioc_version: Annotated[str, Field(max_length=20)] | None = None
    names: list[Short] | None = None
    metadata: bool = False
    vulns: bool = False
    has_vulns: bool | None = None
    omit_dependencies: bool = False
    omit_downloads: bool = False
    omit_package_details: bool = False

    def wanted(self) -> Wanted:
        return Wanted(tuple(map(filtering.parse_name, self.names or ())))


@router.post(
    "/filter/packages",
    response_class=StreamingResponse,
    responses={200: {"content": {NDJSON: {}}, "description": "one JSON object a line for each package"}},
)
def filter_packages(app: AppDep, access: Caller, body: Filter) -> StreamingResponse:
    """Packages as lines of JSON, in the order in which they were asked for; unknown ones are left out.

    A fault that comes up later is the last line, with `error` and `code`.
    """
    admit_to_repository(app, access, body.repo)
    opened = filtering.open_snapshot(app, body.repo, body.snapshot, bioc_version=body.bioc_version)
    return StreamingResponse(_lines(app, opened, body), media_type=NDJSON)


def _lines(app: App, opened: Opened, body: Filter) -> Iterator[bytes]:
    """The lines of a piece at a time."""
    if body.has_vulns:
        return
    describe = not (body.omit_package_details and body.omit_dependencies)
    try:
        for piece in filtering.find(app, opened, body.wanted(), describe=describe):
            if piece:
                names = [] if body.omit_downloads else [found.name for found in piece]
                downloads = usage.downloads_of(app, body.repo, names)
                yield b"".join(to_json(_row(found, body, downloads.get(found.name))) + b"\n" for found in piece)
    except EntrepotError as error:
        yield to_json(error.as_json()) + b"\n"
    except Exception:
        # Part of the answer is sent; whoever reads on has to learn that it isn't whole.
        yield to_json(INTERNAL) + b"\n"
        raise


def _row(found: Found, body: Filter, downloads: int | None) -> dict[str, Any]:
    release, described = found.release, found.described
    row: dict[str, Any] = {"name": found.name, "version": release.version}
    if not body.omit_package_details and described is not None:
        row |= {
            "summary": described.title,
            "license": described.license,
            "licenses": records.licenses(described.license),
            "license_types": [],
            "package_date": release.published,
            "package_size": release.file.size,
            "available_versions": found.versions,
        }
    if downloads is not None:
        row["downloads"] = downloads
    if not body.omit_dependencies and described is not None:
        row["dependencies"] = {
            kind: [{"name": each.name, "operator": each.operator, "version": each.version} for each in needed]
            for kind, needed in described.dependencies.items()
            if needed
        }
    if body.metadata:
        row["metadata"] = []
    return row


class BinaryOfRepository(BaseModel):
    """A binary package: `os` is linux, windows or macosx, `distribution` that of Linux or the folder of macOS, `arch`
    `any` where nothing in it is compiled or the folder tells it; `built` is when it was made or upstream published
    it."""

    name: str
    version: str
    os: str
    distribution: str
    r_version: str
    arch: str
    tag: str
    url: str
    size: int | None
    sha256: str | None
    built: datetime | None

    @classmethod
    def of(cls, binary: Binary, address: str) -> BinaryOfRepository:
        file, platform = binary.listed.file, binary.platform
        return cls(
            name=file.package,
            version=file.version,
            os=platform.system.value,
            distribution=platform.distribution,
            r_version=platform.r,
            arch=platform.arch,
            tag=platform.tag,
            url=f"{address}/{quote(binary.path)}",
            size=file.size,
            sha256=file.sha256,
            built=file.published,
        )


@router.get("/repos/{repo}/packages/{name}/binaries")
def binaries_of_package(
    app: AppDep,
    address: Address,
    repo: str,
    name: str,
    distribution: Distribution = None,
    r_version: RVersion = None,
    arch: Arch = None,
    snapshot: Snapshot = "latest",
) -> list[BinaryOfRepository]:
    """The binary packages of a package, of all its versions; none is an empty list."""
    found = lookups.binaries(app, repo, snapshot, [name], lookups.sought(distribution, r_version, arch))
    return [BinaryOfRepository.of(binary, address) for binary in found]


@router.get("/repos/{repo}/binaries")
def binaries_of_repository(
    app: AppDep,
    address: Address,
    repo: str,
    page: PageDep,
    response: Response,
    distribution: Distribution = None,
    r_version: RVersion = None,
    arch: Arch = None,
    packages: Annotated[list[str] | None, Query(description="names, with commas or repeated")] = None,
    snapshot: Snapshot = "latest",
) -> list[BinaryOfRepository]:
    """The binary packages of some packages, or the newest of each package."""
    names = list(dict.fromkeys(name for some in packages for name in some.split(",") if name)) if packages else None
    found = lookups.binaries(app, repo, snapshot, names, lookups.sought(distribution, r_version, arch))
    piece = found[page.offset : page.offset + page.limit]
    return counted([BinaryOfRepository.of(binary, address) for binary in piece], len(found), response)
