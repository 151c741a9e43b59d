"""`setup`: what to paste so that a client uses a repository."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from entrepot.cli.session import Session

if TYPE_CHECKING:
    from entrepot.client import Setup


def setup(
    session: Session,
    *,
    repo: Annotated[str, typer.Option("--repo", metavar="NAME", help="Name of the repository.")],
    environment: Annotated[
        str | None,
        typer.Option(
            "--environment",
            metavar="NAME",
            help="r, renv, pak, rstudio, workbench, connect, pip, uv, poetry, conda, dockerfile or github-actions "
            "(default: r or pip).",
        ),
    ] = None,
    os: Annotated[str, typer.Option("--os", metavar="linux|windows|macos", help="System of the client.")] = "linux",
    distribution: Annotated[
        str | None,
        typer.Option(
            "--distribution", metavar="NAME", help="Linux distribution whose binary packages are wanted, such as jammy."
        ),
    ] = None,
    snapshot: Annotated[
        str, typer.Option("--snapshot", metavar="WHEN", help="latest, a date (YYYY-MM-DD) or a transaction's number.")
    ] = "latest",
    bioc_version: Annotated[
        str | None, typer.Option("--bioc-version", metavar="VERSION", help="Version of Bioconductor, with its CRAN.")
    ] = None,
) -> None:
    """Print what to paste so that a client uses a repository.

    The URLs have the address that the server's configuration names, else the one by which it was asked.
    """
    with session.connect() as (client, _):
        found = client.setup(
            repo,
            environment=environment,
            os=os.lower(),
            distribution=distribution,
            snapshot=snapshot,
            bioc_version=bioc_version,
        )
    session.out.result(found, _lines(found))


def _lines(found: Setup) -> Iterator[str]:
    yield f"Repository URL: {found['repository_url']}"
    for block in found["blocks"]:
        where = f" ({block['file']})" if block["file"] else ""
        yield ""
        yield f"# {block['title']}{where}"
        yield from block["text"].split("\n")
