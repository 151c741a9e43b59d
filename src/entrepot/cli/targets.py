"""Commands on build targets: for which systems binary packages are built, and what became of the builds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from entrepot.cli.jobs import wait_or_tell
from entrepot.cli.listing import tell_of_pages, window
from entrepot.cli.options import UsageFault, split_list
from entrepot.cli.output import columns, counted, printable, when
from entrepot.cli.session import Connection, Session

if TYPE_CHECKING:
    from entrepot.client import BinaryBuild, BuildTarget, Job, Page

_STATUSES = ("built", "failed")

Name = Annotated[str, typer.Option("--name", metavar="NAME", help="Name of the build target.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is done, or only queue it.")]


def create_build_target(
    session: Session,
    *,
    distribution: Annotated[
        str, typer.Option("--distribution", metavar="NAME", help="Linux distribution that the builds run on.")
    ],
    r: Annotated[
        str | None,
        typer.Option("--r", metavar="PROGRAM", help="R that builds: its program or folder (default: [git] r)."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Name of it (default: such as bookworm-4.2-x86_64).")
    ] = None,
    sources: Annotated[
        list[str] | None,
        typer.Option("--sources", metavar="A,B", help="Sources to build (default: all local, git and curated-cran)."),
    ] = None,
    repo: Annotated[
        str | None,
        typer.Option("--repo", metavar="NAME", help="R repository that libraries come from (default: [repos] cran)."),
    ] = None,
    command: Annotated[
        str | None,
        typer.Option("--command", metavar="COMMAND", help="What runs a shell on another system: 'ssh HOST sh -s'."),
    ] = None,
    wait: Wait = True,
) -> None:
    """Build binary packages for a system, now and whenever something changes.

    Of the sources, and of all that their packages need.
    """
    with session.connect() as connection:
        started = connection.client.create_target(
            distribution, r=r, name=name, repository=repo, command=command, sources=split_list(sources)
        )
        if not session.out.as_json:
            session.out.result(None, _target_lines([started["target"]]))
        _wait(session, connection, started["job"], wait=wait)


def delete_build_target(session: Session, *, name: Name) -> None:
    """Build no more binary packages for a target.

    What was built stays.
    """
    with session.connect() as (client, _):
        client.delete_target(name)
    session.out.result({"build_target": name, "deleted": True}, [f"Deleted build target '{name}'"])


def run_build_target(session: Session, *, name: Name, wait: Wait = True) -> None:
    """Build the binary packages that are missing or out of date."""
    with session.connect() as connection:
        _wait(session, connection, connection.client.run_target(name), wait=wait)


def rerun_build_target(
    session: Session,
    *,
    name: Name,
    package: Annotated[
        str | None, typer.Option("--package", metavar="PACKAGE", help="Of this package alone (default: all).")
    ] = None,
    wait: Wait = True,
) -> None:
    """Try once more to build the packages that failed."""
    with session.connect() as connection:
        _wait(session, connection, connection.client.rerun_target(name, package=package), wait=wait)


def list_build_targets(session: Session) -> None:
    """List the build targets."""
    with session.connect() as (client, _):
        found = client.list_targets()
    session.out.result(found, ["Build Targets:", *_target_lines(found)] if found else ["Build Targets: none"])


def list_binary_builds(
    session: Session,
    *,
    source: Annotated[str | None, typer.Option("--source", metavar="NAME", help="Of this source alone.")] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="PACKAGE", help="Of this package alone.")] = None,
    target: Annotated[str | None, typer.Option("--target", metavar="NAME", help="Of this build target alone.")] = None,
    status: Annotated[str | None, typer.Option("--status", metavar="built|failed", help="Those alone.")] = None,
    count: Annotated[int, typer.Option("--count", metavar="N", min=1, help="Builds per page.")] = 100,
    page: Annotated[int, typer.Option("--page", metavar="N", min=1, help="Page, from 1.")] = 1,
) -> None:
    """List builds of binary packages, the newest first."""
    if status is not None and status.lower() not in _STATUSES:
        raise UsageFault(f"'--status' is either built or failed, not '{status}'")
    with session.connect() as (client, _):

        def rows(limit: int, number: int) -> Page:
            return client.list_binary_builds(
                target=target,
                source=source,
                name=name,
                status=status.lower() if status else None,
                limit=limit,
                page=number,
            )

        found, total = window(rows, (page - 1) * count, count)
    builds = cast("list[BinaryBuild]", found)
    session.out.result(builds, columns([_row(build) for build in builds]) if builds else ["Binary Builds: none"])
    tell_of_pages(session, "build", shown=len(builds), total=total, count=count, page=page)
    if builds and not session.out.as_json:
        session.out.result(None, [f"For more information run: entrepot logs --binary-build={builds[0]['id']}"])


def _wait(session: Session, connection: Connection, job: Job, *, wait: bool) -> None:
    wait_or_tell(session, connection, [job], wait=wait, quiet=False, summary=_summary)


def _summary(job: Job) -> str:
    """What a run did, a line for each binary package."""
    result: dict[str, Any] = job["result"] or {}
    said = [f"Built binary of '{each['package']}' {each['version']}" for each in result.get("built", [])]
    for status in ("failed", "skipped"):
        if number := len(result.get(status, [])):
            said.append(f"{counted(number, 'package')} {status}")
    return "\n".join(said) if said else f"Nothing to build: {counted(result.get('ready', 0), 'package')} with a binary"


def _target_lines(targets: Iterable[BuildTarget]) -> Iterator[str]:
    for target in targets:
        yield f"- {target['name']}"
        yield f"    Platform: {target['platform']}"
        yield f"    R: {target['r']} ({target['r_version']})"
        yield f"    Libraries: {target['repository']}"
        yield f"    Sources: {', '.join(target['sources']) if target['sources'] is not None else 'all'}"
        for word, value in (("Command", target["command"]), ("Job", target["job"]), ("Fault", target["fault"])):
            if value:
                yield f"    {word}: {value}"


def _row(build: BinaryBuild) -> list[str]:
    what = f"{build['package']} {build['version']}"
    said = printable(build["error"] or "")[:200]
    return [str(build["id"]), build["status"], build["source"], what, build["platform"], when(build["finished"]), said]
