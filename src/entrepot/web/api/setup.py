"""`/repos/{repo}/setup`: what to paste so that a client uses a repository."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from entrepot.core.setups import Block, Setup
from entrepot.operations.clientsetup import Wish, client_setup
from entrepot.web.api.address import Address
from entrepot.web.api.deps import AppDep, Caller, Snapshot

router = APIRouter(prefix="/repos", tags=["repositories"])


class BlockShape(BaseModel):
    """A text and where it goes; `file` is empty where it is typed somewhere, `language` is for highlighting."""

    title: str
    file: str
    language: str
    text: str

    @classmethod
    def of(cls, block: Block) -> BlockShape:
        return cls(title=block.title, file=block.file, language=block.language, text=block.text)


class SetupShape(BaseModel):
    repository_url: str
    blocks: list[BlockShape]

    @classmethod
    def of(cls, setup: Setup) -> SetupShape:
        return cls(repository_url=setup.repository_url, blocks=[BlockShape.of(block) for block in setup.blocks])


@router.get("/{repo}/setup")
def get_setup(
    app: AppDep,
    access: Caller,
    address: Address,
    repo: str,
    environment: Annotated[
        str | None,
        Query(
            description="r, renv, pak, rstudio, workbench, connect, pip, uv, poetry, conda, dockerfile, github-actions"
        ),
    ] = None,
    os: Annotated[str, Query(description="linux, windows or macos")] = "linux",
    distribution: Annotated[str | None, Query(description="whose binary packages are wanted")] = None,
    snapshot: Snapshot = "latest",
    bioc_version: Annotated[str | None, Query(description="version of Bioconductor")] = None,
) -> SetupShape:
    """What to paste for one environment (`r` or `pip` if none is named)."""
    wish = Wish(environment, os, distribution or None, snapshot, bioc_version or None)
    return SetupShape.of(client_setup(app, repo, wish, address=address, access=access))
