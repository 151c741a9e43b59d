"""`/repos/{repo}/setup`: what to paste so that a client uses a repository."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from entrepot.core.bioconductor import DEVEL, RELEASE
from entrepot.core.setups import Block, Setup
from entrepot.operations.clientsetup import BioconductorChoice, Choices, Wish, choices, client_setup
from entrepot.operations.serverstatus import Distro
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


class DistributionShape(BaseModel):
    """A distribution of Linux; `binaries`: some source has binary packages for it, or a build target makes them."""

    name: str = Field(description="as `distribution` of a set-up")
    display: str
    binaries: bool

    @classmethod
    def of(cls, distro: Distro) -> DistributionShape:
        return cls(name=distro.name, display=distro.display, binaries=distro.has_binaries)


class BioconductorShape(BaseModel):
    bioc_version: str
    r_version: str = Field(description="the minor version of R that it is for")
    cran_snapshot: str = Field(description="the day of CRAN that goes with it, or latest; empty where nobody knows")
    is_release: bool
    is_devel: bool
    is_mirrored: bool = Field(description="whether packages of it can be had")

    @classmethod
    def of(cls, choice: BioconductorChoice) -> BioconductorShape:
        return cls(
            bioc_version=choice.version,
            r_version=choice.r_version,
            cran_snapshot=choice.cran_snapshot,
            is_release=choice.word == RELEASE,
            is_devel=choice.word == DEVEL,
            is_mirrored=choice.is_mirrored,
        )


class ChoicesShape(BaseModel):
    """`cran_repo` is the repository of CRAN that a set-up of Bioconductor names, null where there is none."""

    environments: list[str] = Field(description="the first one is the usual one")
    systems: list[str]
    distributions: list[DistributionShape] = Field(description="of R and Bioconductor alone")
    bioc_versions: list[BioconductorShape] = Field(description="of Bioconductor alone, the newest first")
    cran_repo: str | None

    @classmethod
    def of(cls, found: Choices) -> ChoicesShape:
        return cls(
            environments=list(found.environments),
            systems=list(found.systems),
            distributions=[DistributionShape.of(each) for each in found.distributions],
            bioc_versions=[BioconductorShape.of(each) for each in found.bioc_versions],
            cran_repo=found.cran,
        )


@router.get("/{repo}/setup/choices")
def get_choices(app: AppDep, access: Caller, repo: str) -> ChoicesShape:
    """What can be chosen for a set-up."""
    return ChoicesShape.of(choices(app, repo, access=access))


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
