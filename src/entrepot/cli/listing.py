"""Commands that only read: `list` and `info`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from entrepot.cli.options import UsageFault
from entrepot.cli.output import (
    columns,
    counted,
    repository_line,
    source_details,
    source_lines,
    subscription_lines,
    sync_lines,
    when,
)
from entrepot.cli.session import Session

if TYPE_CHECKING:
    from entrepot.client import Client, Page, Repository, Source

Repo = Annotated[str | None, typer.Option("--repo", metavar="NAME", help="Name of a repository.")]
SourceName = Annotated[str | None, typer.Option("--source", metavar="NAME", help="Name of a source.")]


def list_all(session: Session) -> None:
    """List every repository with its sources, and every source."""
    with session.connect() as (client, _):
        repositories, sources = client.list_repositories(), client.list_sources()
    by_name = {source["name"]: source for source in sources}
    lines: list[str] = []
    for repository in repositories:
        subscribed = [by_name[name] for name in repository["sources"] if name in by_name]
        lines += [repository_line(repository), *subscription_lines(subscribed), ""]
    lines += [line for source in sources for line in source_lines(source)]
    session.out.result({"repositories": repositories, "sources": sources}, lines)
    _tell_of_none(session, repositories, sources)


def list_repos(session: Session) -> None:
    """List the repositories."""
    with session.connect() as (client, _):
        repositories = client.list_repositories()
    session.out.result(repositories, [repository_line(repository) for repository in repositories])
    _tell_of_none(session, repositories, [])


def list_sources(session: Session) -> None:
    """List the sources."""
    with session.connect() as (client, _):
        sources = client.list_sources()
    session.out.result(sources, [line for source in sources for line in source_lines(source)])
    if not sources:
        session.out.info("There are no sources; 'entrepot create source' makes one")


def list_packages(
    session: Session,
    *,
    repo: Repo = None,
    source: SourceName = None,
    search: Annotated[str | None, typer.Option("--search", metavar="TEXT", help="Part of the name.")] = None,
    count: Annotated[int, typer.Option("--count", metavar="N", min=1, help="Packages per page.")] = 100,
    page: Annotated[int, typer.Option("--page", metavar="N", min=1, help="Page, from 1.")] = 1,
    snapshot: Annotated[
        str, typer.Option("--snapshot", metavar="WHEN", help="latest, a date (YYYY-MM-DD) or a transaction's number.")
    ] = "latest",
    version: Annotated[
        str | None,
        typer.Option("--version", metavar="VERSION", help="Of Bioconductor: its version (default: the release)."),
    ] = None,
) -> None:
    """List the packages of a repository or of a source."""
    _check_one(repo, source)
    with session.connect() as (client, _):

        def rows(limit: int, number: int) -> Page:
            filters = {"name_like": search, "snapshot": None if snapshot == "latest" else snapshot}
            filters["bioc_version"] = version
            if repo is not None:
                return client.repository_packages(repo, limit=limit, page=number, **filters)
            return client.source_packages(source or "", limit=limit, page=number, **filters)

        packages, total = window(rows, (page - 1) * count, count)
    session.out.result(packages, columns([_package_row(package) for package in packages]))
    tell_of_pages(session, "package", shown=len(packages), total=total, count=count, page=page)


def list_transactions(
    session: Session,
    *,
    repo: Repo = None,
    source: SourceName = None,
    count: Annotated[int, typer.Option("--count", metavar="N", min=1, help="Transactions per page.")] = 20,
    page: Annotated[int, typer.Option("--page", metavar="N", min=1, help="Page, from 1.")] = 1,
) -> None:
    """List what changed in a repository or a source, the newest first.

    A repository's transactions are its own and those of all sources that it ever had.
    """
    _check_one(repo, source)
    with session.connect() as (client, _):

        def rows(limit: int, number: int) -> Page:
            if repo is not None:
                return client.repository_transactions(repo, limit=limit, page=number)
            return client.source_transactions(source or "", limit=limit, page=number)

        found, total = window(rows, (page - 1) * count, count)
    session.out.result(found, columns([_transaction_row(row) for row in found]))
    tell_of_pages(session, "transaction", shown=len(found), total=total, count=count, page=page)


def info(session: Session, *, repo: Repo = None, source: SourceName = None) -> None:
    """Show a repository, a source or the installation.

    Without --repo and --source: the version and the state of every mirror.
    """
    if repo is not None and source is not None:
        raise UsageFault("name a repository or a source, not both", hint="give one of --repo and --source")
    with session.connect() as (client, in_process):
        if repo is not None:
            _show_repository(session, client.repository(repo), client.repository_sources(repo))
        elif source is not None:
            record = client.source(source)
            session.out.result(record, source_details(record))
        else:
            _show_installation(session, client, is_running=not in_process)


def window(rows: Callable[[int, int], Page], start: int, count: int) -> tuple[list[dict[str, Any]], int]:
    """`count` rows from `start` on and the number of all, however many rows a single answer may hold."""
    from entrepot.client import PAGE_LIMIT

    if count <= PAGE_LIMIT:
        page = rows(count, start // count + 1)
        return page.rows, page.total
    found: list[dict[str, Any]] = []
    number, first = divmod(start, PAGE_LIMIT)
    while True:
        page = rows(PAGE_LIMIT, number + 1)
        found += page.rows
        number += 1
        if not page.rows or number * PAGE_LIMIT >= min(start + count, page.total):
            return found[first : first + count], page.total


def _check_one(repo: str | None, source: str | None) -> None:
    if (repo is None) == (source is None):
        raise UsageFault("name either a repository or a source", hint="give --repo=NAME or --source=NAME")


def _transaction_row(row: dict[str, Any]) -> list[str]:
    counts = ", ".join(f"{number} {word}" for word, number in row["counts"].items() if number)
    message = f"{row['message']} ({counts})" if counts else row["message"]
    return [str(row["id"]), when(row["time"]), str(row["source"] or row["repository"]), row["actor"], message]


def _package_row(package: dict[str, Any]) -> list[str]:
    title = package.get("title") or package.get("summary") or ""
    return [str(package.get("name")), str(package.get("version") or ""), str(title)]


def tell_of_pages(session: Session, what: str, *, shown: int, total: int, count: int, page: int) -> None:
    """Which page of how many things this was, where it wasn't all."""
    first = (page - 1) * count + 1
    if not shown:
        session.out.info(f"No {what}s here; {total} in all" if total else f"No {what}s")
    elif first + shown <= total:
        more = f"{first}-{first + shown - 1} of {counted(total, what)}; --page={page + 1} shows the next"
        session.out.info(more)
    elif page > 1:
        session.out.info(f"{first}-{first + shown - 1} of {counted(total, what)}")


def _tell_of_none(session: Session, repositories: list[Repository], sources: list[Source]) -> None:
    if not repositories and not sources:
        session.out.info("There are no repositories; 'entrepot create repo' makes one")


def _show_repository(session: Session, repository: Repository, sources: list[Source]) -> None:
    lines = [repository_line(repository), *subscription_lines(sources), f"Created: {when(repository['created'])}"]
    if repository["transaction"] is not None:
        lines.append(f"Snapshot: transaction {repository['transaction']}")
    session.out.result({**repository, "sources": sources}, lines)


def _show_installation(session: Session, client: Client, *, is_running: bool) -> None:
    """Version, address and mirrors; the address of a server that only this command started is nobody's business."""
    status = client.status()
    mirrors = [source for source in client.list_sources() if source["mirror"]]
    built = f" (built {when(status['build_date'])})" if status.get("build_date") else ""
    where = f"at {client.address}" if is_running else "on this machine, where no server runs"
    lines = [f"Entrepot {status['version']}{built} {where}"]
    for mirror in mirrors:
        lines += [*source_lines(mirror), *sync_lines(mirror)]
    session.out.result({**status, "address": client.address if is_running else None, "mirrors": mirrors}, lines)
    if not mirrors:
        session.out.info("There are no mirrors")
