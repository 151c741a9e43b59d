"""Commands on Git builders: watches on endpoints whose commits or tags become packages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from entrepot.cli.jobs import wait_or_tell
from entrepot.cli.listing import window
from entrepot.cli.options import UsageFault
from entrepot.cli.output import counted, when
from entrepot.cli.repos import SucceedOnExisting
from entrepot.cli.session import Connection, Session

if TYPE_CHECKING:
    from entrepot.client import Build, Builder, Job, Page, Started

Source = Annotated[str, typer.Option("--source", metavar="NAME", help="Name of the source.")]
Name = Annotated[str, typer.Option("--name", metavar="PACKAGE", help="Name of the package, or the builder's number.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is done, or only queue it.")]
Branch = Annotated[
    str | None, typer.Option("--branch", metavar="NAME", help="Branch to follow (default: the endpoint's own).")
]
Trigger = Annotated[
    str | None,
    typer.Option("--build-trigger", metavar="commits|tags", help="What makes a new version (default: commits)."),
]
SubDir = Annotated[
    str | None, typer.Option("--sub-dir", metavar="FOLDER", help="Folder of the package (default: the root).")
]
Credential = Annotated[
    str | None,
    typer.Option("--credential", "--ssh-key", metavar="NAME", help="SSH key or HTTPS credential to be used."),
]
Depth = Annotated[
    int | None,
    typer.Option("--clone-depth", metavar="N", min=0, help="Commits that are fetched (default: 1); 0: all of them."),
]
Submodules = Annotated[
    int | None,
    typer.Option("--recurse-submodules", metavar="N", min=0, help="Levels of submodules to fetch (default: 0)."),
]
Vignettes = Annotated[
    bool | None,
    typer.Option("--build-vignettes/--no-build-vignettes", help="R: with vignettes and the packages that they need."),
]


def create_git_builder(
    session: Session,
    *,
    source: Source,
    url: Annotated[
        str, typer.Option("--url", metavar="URL", help="Endpoint: https, http, ssh, git, or file if that is allowed.")
    ],
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="PACKAGE", help="Name of the package; R: read in its DESCRIPTION if left out."),
    ] = None,
    branch: Branch = None,
    build_trigger: Trigger = None,
    sub_dir: SubDir = None,
    credential: Credential = None,
    clone_depth: Depth = None,
    recurse_submodules: Submodules = None,
    build_vignettes: Vignettes = None,
    wait: Wait = True,
    succeed_on_existing: SucceedOnExisting = False,
) -> None:
    """Build a package from a Git endpoint, now and whenever something new is there."""
    settings = {
        "name": name,
        "branch": branch,
        "build_trigger": _trigger(build_trigger),
        "sub_dir": sub_dir,
        "credential": credential,
        "clone_depth": clone_depth,
        "recurse_submodules": recurse_submodules,
        "build_vignettes": build_vignettes,
        "succeed_on_existing": succeed_on_existing or None,
    }
    with session.connect() as connection:
        _follow(session, connection, connection.client.create_builder(source, url=url, **settings), wait=wait)


def edit_git_builder(
    session: Session,
    *,
    source: Source,
    name: Name,
    url: Annotated[str | None, typer.Option("--url", metavar="URL", help="Another endpoint.")] = None,
    branch: Branch = None,
    build_trigger: Trigger = None,
    sub_dir: SubDir = None,
    credential: Credential = None,
    clone_depth: Depth = None,
    recurse_submodules: Submodules = None,
    build_vignettes: Vignettes = None,
    wait: Wait = True,
) -> None:
    """Change what a Git builder watches and how it builds.

    What is left out stays; an empty branch or credential is none.
    """
    settings = {
        "url": url,
        "branch": branch,
        "build_trigger": _trigger(build_trigger),
        "sub_dir": sub_dir,
        "credential": credential,
        "clone_depth": clone_depth,
        "recurse_submodules": recurse_submodules,
        "build_vignettes": build_vignettes,
    }
    if all(value is None for value in settings.values()):
        raise UsageFault("nothing to change", hint="'entrepot edit git-builder --help' shows what can be changed")
    with session.connect() as connection:
        _follow(session, connection, connection.client.edit_builder(source, name, **settings), wait=wait)


def delete_git_builder(session: Session, *, name: Name, source: Source) -> None:
    """Stop building a package from Git.

    What was built stays.
    """
    with session.connect() as (client, _):
        client.delete_builder(source, name)
    session.out.result({"git_builder": name, "source": source, "deleted": True}, [f"Deleted git builder '{name}'"])


def run_git_builder(session: Session, *, name: Name, source: Source, wait: Wait = True) -> None:
    """Look at a Git endpoint now, and build what is new."""
    with session.connect() as connection:
        _wait(session, connection, connection.client.run_builder(source, name), wait=wait)


def rerun_git_builder(
    session: Session,
    *,
    name: Name,
    source: Source,
    tag: Annotated[str | None, typer.Option("--tag", metavar="TAG", help="Tag to build once more.")] = None,
    commit_sha: Annotated[
        str | None,
        typer.Option("--commit-sha", metavar="SHA", help="Commit to build once more (default: the newest)."),
    ] = None,
    wait: Wait = True,
) -> None:
    """Build a commit or tag once more, as after it failed three times."""
    with session.connect() as connection:
        job = connection.client.rerun_builder(source, name, tag=tag, commit_sha=commit_sha)
        _wait(session, connection, job, wait=wait)


def list_git_builders(
    session: Session,
    *,
    source: Annotated[str | None, typer.Option("--source", metavar="NAME", help="Of this source alone.")] = None,
) -> None:
    """List the Git builders."""
    with session.connect() as (client, _):
        found = client.list_builders(source)
    session.out.result(found, ["Git Builders:", *_builder_lines(found)] if found else ["Git Builders: none"])


def list_git_builds(
    session: Session,
    *,
    source: Source,
    name: Annotated[str | None, typer.Option("--name", metavar="PACKAGE", help="Of this package alone.")] = None,
    count: Annotated[
        int | None, typer.Option("--count", metavar="N", min=1, help="Builds per page (default: 100).")
    ] = None,
    page: Annotated[int | None, typer.Option("--page", metavar="N", min=1, help="Page, from 1.")] = None,
) -> None:
    """List builds from Git: of each package the latest, or with --count or --page all, the newest first."""
    newest = count is None and page is None
    size, number = count or 100, page or 1
    with session.connect() as (client, _):

        def rows(limit: int, at: int) -> Page:
            return client.list_builds(source, name, newest=newest, limit=limit, page=at)

        found, _total = window(rows, (number - 1) * size, size)
    builds = cast("list[Build]", found)
    session.out.result(builds, ["Git Builds:", *_build_lines(builds)] if builds else ["Git Builds: none"])
    if builds and not session.out.as_json:
        _tell_more(session, builds, newest=newest)


def _tell_more(session: Session, builds: list[Build], *, newest: bool) -> None:
    lines = []
    if newest:
        lines.append("Only showing latest build, for more builds use the --count and --page flags")
    numbers = [build["transaction"] for build in builds if build["transaction"] is not None]
    if numbers:
        lines.append(f"For more information run: entrepot logs --transaction-id={numbers[0]}")
    session.out.result(None, lines)


def _trigger(text: str | None) -> str | None:
    if text is not None and text.lower() not in ("commits", "tags"):
        raise UsageFault(f"'--build-trigger' is either commits or tags, not '{text}'")
    return text.lower() if text is not None else None


def _follow(session: Session, connection: Connection, started: Started, *, wait: bool) -> None:
    """Show the builder, and what comes of its run."""
    if not session.out.as_json:
        session.out.result(None, _builder_lines([started["builder"]]))
    _wait(session, connection, started["job"], wait=wait)


def _wait(session: Session, connection: Connection, job: Job, *, wait: bool) -> None:
    wait_or_tell(session, connection, [job], wait=wait, quiet=False, summary=_summary)


def _summary(job: Job) -> str:
    """What a run did, a line for each build."""
    result: dict[str, Any] = job["result"] or {}
    builds: list[dict[str, Any]] = [build for build in result.get("builds", []) if build["status"] == "succeeded"]
    said = [f"Built package '{result['package']}' {build['version']}" for build in builds]
    said += [f"Removed package '{result['package']}' {version}, whose tag is gone" for version in result["removed"]]
    if result.get("faults"):
        said.append(f"{counted(len(result['faults']), 'build')} failed")
    return "\n".join(said) if said else f"Nothing new for '{result.get('package') or 'the builder'}'"


def _builder_lines(builders: Iterable[Builder]) -> Iterator[str]:
    for builder in builders:
        yield f"- {builder['name'] or '#' + str(builder['id']) + ' (its name is not known yet)'}"
        yield f"    Source: {builder['source']}"
        yield f"    URL: {builder['url']}"
        yield f"    Trigger: {builder['build_trigger']}"
        yield f"    Key: {builder['credential'] or 'none'}"
        for word, value in (
            ("Branch", builder["branch"]),
            ("Directory", builder["sub_dir"]),
            ("Clone depth", "all" if builder["clone_depth"] == 0 else builder["clone_depth"]),
            ("Submodules", builder["recurse_submodules"]),
            ("Fault", builder["fault"]),
        ):
            if value and (word, value) != ("Clone depth", 1):
                yield f"    {word}: {value}"


def _build_lines(builds: Iterable[Build]) -> Iterator[str]:
    for build in builds:
        yield f"- {build['package']}"
        yield f"    Transaction ID: {build['transaction'] if build['transaction'] is not None else 'none yet'}"
        yield f"    SHA: {build['sha'] or ''}".rstrip()
        yield f"    Tag: {build['tag'] or ''}".rstrip()
        yield f"    Status: {build['status']}"
        yield f"    Time: {when(build['time'])}"
        if build["error"]:
            yield f"    Error: {build['error']}"
