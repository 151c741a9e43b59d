"""Commands on sources."""

from __future__ import annotations

from typing import Annotated

import typer

from entrepot.cli.output import source_lines
from entrepot.cli.repos import SucceedOnExisting
from entrepot.cli.session import Session

Name = Annotated[str, typer.Option("--name", metavar="NAME", help="Name of the source.")]
TYPES = "cran, cran-snapshot, curated-cran, bioconductor, pypi, curated-pypi, local, local-python, git or git-python"


def create_source(
    session: Session,
    *,
    name: Name,
    type: Annotated[str, typer.Option("--type", metavar="TYPE", help=f"{TYPES}.")] = "local",
    succeed_on_existing: SucceedOnExisting = False,
) -> None:
    """Create a source.

    A source holds files from one place; repositories subscribe to it.
    """
    with session.connect() as (client, _):
        source = client.create_source(name, type=type.lower(), succeed_on_existing=succeed_on_existing)
    session.out.result(source, source_lines(source))


def edit_source(
    session: Session,
    *,
    name: Name,
    new_name: Annotated[str, typer.Option("--new-name", metavar="NAME", help="New name.")],
) -> None:
    """Rename a source."""
    with session.connect() as (client, _):
        source = client.edit_source(name, name=new_name)
    session.out.result(source, source_lines(source))


def delete_source(session: Session, *, name: Name) -> None:
    """Delete a source with its packages.

    No repository may be subscribed to it.
    """
    with session.connect() as (client, _):
        client.delete_source(name)
    session.out.result({"source": name, "deleted": True}, [f"Deleted source '{name}'"])
