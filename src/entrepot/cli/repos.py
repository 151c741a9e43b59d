"""Commands on repositories and their subscriptions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from entrepot.cli.options import UsageFault, split_list
from entrepot.cli.output import repository_line, subscription_lines
from entrepot.cli.session import Session

if TYPE_CHECKING:
    from entrepot.client import Client, Repository

Name = Annotated[str, typer.Option("--name", metavar="NAME", help="Name of the repository.")]
Repo = Annotated[str, typer.Option("--repo", metavar="NAME", help="Name of the repository.")]
Source = Annotated[str, typer.Option("--source", metavar="NAME", help="Name of the source.")]
SucceedOnExisting = Annotated[
    bool, typer.Option("--succeed-on-existing", help="Succeed without a change if it is there already.")
]
Authenticated = Annotated[
    bool | None,
    typer.Option("--authenticated/--no-authenticated", help="Whether reading it needs a token."),
]


def create_repo(
    session: Session,
    *,
    name: Name,
    description: Annotated[
        str, typer.Option("--description", metavar="TEXT", help="What it is for.", show_default=False)
    ] = "",
    type: Annotated[str, typer.Option("--type", metavar="TYPE", help="r, bioconductor or python.")] = "r",
    authenticated: Authenticated = None,
    succeed_on_existing: SucceedOnExisting = False,
) -> None:
    """Create a repository.

    A repository is what package clients point at. Without --authenticated, [authentication] new_repos_auth_by_default
    says whether reading it needs a token.
    """
    with session.connect() as (client, _):
        repository = client.create_repository(
            name,
            type=type.lower(),
            description=description,
            authenticated=authenticated,
            succeed_on_existing=succeed_on_existing,
        )
    session.out.result(repository, [repository_line(repository)])


def edit_repo(
    session: Session,
    *,
    name: Name,
    new_name: Annotated[str | None, typer.Option("--new-name", metavar="NAME", help="New name.")] = None,
    description: Annotated[
        str | None, typer.Option("--description", metavar="TEXT", help="New description; '' empties it.")
    ] = None,
    authenticated: Authenticated = None,
) -> None:
    """Rename a repository, change its description, or close or open it."""
    if new_name is None and description is None and authenticated is None:
        raise UsageFault("nothing to change", hint="give --new-name, --description or --authenticated")
    with session.connect() as (client, _):
        repository = client.edit_repository(name, name=new_name, description=description, authenticated=authenticated)
    session.out.result(repository, [repository_line(repository)])


def delete_repo(session: Session, *, name: Name) -> None:
    """Delete a repository.

    Its sources and their packages stay.
    """
    with session.connect() as (client, _):
        client.delete_repository(name)
    session.out.result({"repository": name, "deleted": True}, [f"Deleted repository '{name}'"])


def subscribe(
    session: Session,
    *,
    repo: Repo,
    source: Source,
    version: Annotated[
        str | None,
        typer.Option(
            "--version",
            metavar="VERSION",
            help="Of the source bioconductor: its version, such as 3.18.",
        ),
    ] = None,
    succeed_on_existing: SucceedOnExisting = False,
) -> None:
    """Subscribe a repository to a source.

    The source becomes the last one of the repository.
    """
    with session.connect() as (client, _):
        repository = client.subscribe(repo, source, version=version, succeed_on_existing=succeed_on_existing)
        _show(session, client, repository)


def unsubscribe(session: Session, *, repo: Repo, source: Source) -> None:
    """Take a source out of a repository.

    The source itself stays.
    """
    with session.connect() as (client, _):
        repository = client.unsubscribe(repo, source)
        _show(session, client, repository)


def reorder(
    session: Session,
    *,
    repo: Repo,
    sources: Annotated[
        list[str],
        typer.Option("--sources", metavar="A,B,C", help="All sources of the repository in their new order."),
    ],
) -> None:
    """Set the order of a repository's sources.

    The first source that has a package provides it.
    """
    order = split_list(sources)
    if not order:
        raise UsageFault("'--sources' names no source", hint="name all sources of the repository in their new order")
    with session.connect() as (client, _):
        repository = client.reorder(repo, order)
        _show(session, client, repository)


def _show(session: Session, client: Client, repository: Repository) -> None:
    """The repository with its ordered sources."""
    sources = [] if session.out.as_json else client.repository_sources(repository["name"])
    session.out.result(repository, [f"Repository: {repository['name']}", *subscription_lines(sources)])
