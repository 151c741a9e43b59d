"""Commands on sources."""

from __future__ import annotations

from typing import Annotated

import typer

from entrepot.cli.options import UsageFault, split_list
from entrepot.cli.output import source_lines
from entrepot.cli.repos import SucceedOnExisting
from entrepot.cli.session import Session

Name = Annotated[str, typer.Option("--name", metavar="NAME", help="Name of the source.")]
TYPES = "cran, cran-snapshot, curated-cran, bioconductor, pypi, curated-pypi, local, local-python, git or git-python"


def create_source(
    session: Session,
    *,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="Name of the source (one of Bioconductor: bioc- and its version)."),
    ] = None,
    type: Annotated[str, typer.Option("--type", metavar="TYPE", help=f"{TYPES}.")] = "local",
    snapshot: Annotated[
        str | None,
        typer.Option(
            "--snapshot",
            metavar="WHEN",
            help="cran-snapshot and curated-cran: the snapshot of CRAN, a date or a transaction's number (default: the "
            "newest).",
        ),
    ] = None,
    include: Annotated[
        list[str] | None,
        typer.Option(
            "--include",
            metavar="KIND,...",
            help="curated-cran: dependencies that every package brings: imports, depends, linking-to, suggests; none "
            "or all (default: imports,depends,linking-to).",
        ),
    ] = None,
    no_archived: Annotated[
        bool,
        typer.Option("--no-archived", help="Leave out the versions that CRAN had archived by then."),
    ] = False,
    version: Annotated[
        str | None,
        typer.Option(
            "--version",
            metavar="VERSION",
            help="bioconductor: its version, such as 3.18 or release.",
        ),
    ] = None,
    succeed_on_existing: SucceedOnExisting = False,
) -> None:
    """Create a source.

    A source holds files from one place; repositories subscribe to it.
    """
    if name is None and version is None:
        raise UsageFault("missing option '--name'", hint="give the new source a name: --name=NAME")
    with session.connect() as (client, _):
        source = client.create_source(
            name or "",
            type=type.lower(),
            snapshot=snapshot,
            include=None if include is None else split_list(include),
            archived=not no_archived,
            version=version,
            succeed_on_existing=succeed_on_existing,
        )
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
