"""`/sources/{source}/binaries`: binary packages of R for versions that a local or git source has."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, File, Form, UploadFile
from pydantic import BaseModel, Field

from entrepot.app import App
from entrepot.core.errors import Invalid
from entrepot.core.platforms import Platform
from entrepot.core.room import needs_room
from entrepot.operations import binaries
from entrepot.operations.binaries import Added
from entrepot.operations.uploads import Upload
from entrepot.web.api import schemas
from entrepot.web.api.deps import Actor, AppDep
from entrepot.web.context import UPLOADS

router = APIRouter(prefix="/sources/{source}/binaries", tags=["binaries"])

Short = Annotated[str, Field(max_length=200, pattern=schemas.NO_NUL)]


class PlatformShape(BaseModel):
    """`distribution` is, of macOS, the folder of binaries; empty for Windows. `arch` is `any` where nothing is
    compiled, and where the folder tells it."""

    os: str
    distribution: str
    r_version: str
    arch: str
    binary_tag: str

    @classmethod
    def of(cls, platform: Platform) -> PlatformShape:
        return cls(
            os=platform.system.value,
            distribution=platform.distribution,
            r_version=platform.r,
            arch=platform.arch,
            binary_tag=platform.tag,
        )


class BinaryShape(BaseModel):
    """A binary package and the transaction that brought it, or took it back; None if it was there before."""

    name: str
    version: str
    platform: PlatformShape
    transaction: int | None

    @classmethod
    def of(cls, added: Added) -> BinaryShape:
        platform = PlatformShape.of(added.platform)
        return cls(name=added.package, version=added.version, platform=platform, transaction=added.outcome.transaction)


class BinaryRemoval(schemas.In):
    """Which binaries are taken back: of one version, for a distribution and a version of R, of all architectures."""

    name: Short
    version: Short
    distribution: Short
    r_version: Short
    comment: schemas.Text = ""


@router.post("")
def add_binary(
    app: AppDep,
    actor: Actor,
    source: str,
    files: Annotated[list[UploadFile], File(description="one file")],
    distribution: Annotated[Short | None, Form()] = None,
    replace: Annotated[bool, Form()] = False,
    comment: Annotated[schemas.Text, Form()] = "",
) -> BinaryShape:
    """Add a built package; all but the Linux distribution is read in the file."""
    with _received(app, files) as upload:
        added = binaries.add_binary(
            app, source, upload, distribution=distribution, actor=actor, replace=replace, comment=comment
        )
    return BinaryShape.of(added)


@router.post("/remove")
def remove_binary(app: AppDep, actor: Actor, source: str, body: BinaryRemoval) -> list[BinaryShape]:
    removed = binaries.remove_binary(
        app,
        source,
        body.name,
        body.version,
        distribution=body.distribution,
        r_version=body.r_version,
        actor=actor,
        comment=body.comment,
    )
    return [
        BinaryShape(
            name=body.name, version=body.version, platform=PlatformShape.of(platform), transaction=outcome.transaction
        )
        for platform, outcome in removed
    ]


@contextmanager
def _received(app: App, files: Sequence[UploadFile]) -> Iterator[Upload]:
    """The one file that was sent, under a name of our own until it was looked at."""
    if len(files) != 1:
        raise Invalid(f"{len(files)} files were sent where one binary package is wanted")
    name = files[0].filename or ""
    if Path(name).name != name or "\\" in name:
        raise Invalid(f"{name[:200]!r} is not a file name", hint="send the name of the file, without its folder")
    with (
        needs_room("the file could not be received"),
        tempfile.TemporaryDirectory(dir=app.settings.server.data_dir / "tmp", prefix=UPLOADS) as folder,
    ):
        path = Path(folder) / "0"
        with path.open("wb") as target:
            shutil.copyfileobj(files[0].file, target, 1024 * 1024)
        yield Upload(name, path)
