"""Commands that change the packages of a source."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from entrepot.cli import builders, curating
from entrepot.cli.options import UsageFault, split_list
from entrepot.cli.output import change_line
from entrepot.cli.session import Session
from entrepot.cli.tables import CsvOut
from entrepot.core.errors import EntrepotError, Invalid, InvalidBatch

if TYPE_CHECKING:
    from entrepot.client import Outcome

Source = Annotated[str, typer.Option("--source", metavar="NAME", help="Name of the source.")]
VersionOrFile = Annotated[
    str,
    typer.Option(
        "--name", metavar="PACKAGE@VERSION", help="Package and version as @1.2.3, or a file as @demo-1.2.3.tar.gz."
    ),
]
Comment = Annotated[str | None, typer.Option("--comment", metavar="TEXT", help="Why; it is kept with the transaction.")]

_FILES = (".whl", ".tar.gz", ".zip")
"""What names of single files end with."""


CURATED = ("curated-cran", "curated-pypi", "cran-snapshot")


def add(
    session: Session,
    *,
    source: Source,
    path: Annotated[
        list[str] | None,
        typer.Option("--path", metavar="FILE,...", help="Package files; commas separate, or repeat the flag."),
    ] = None,
    file_in: Annotated[
        str | None,
        typer.Option(
            "--file-in",
            metavar="FILE",
            help="File with one path per line (curated source: one package), '-' for standard input; blank lines and "
            "lines with # are skipped.",
        ),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace versions that are there already.")] = False,
    packages: Annotated[
        list[str] | None,
        typer.Option("--packages", metavar="NAME,...", help="Curated source: packages to add from its snapshot."),
    ] = None,
    include_suggests: Annotated[
        bool, typer.Option("--include-suggests", help="Curated source: and what these packages suggest.")
    ] = False,
    snapshot: curating.Snapshot = None,
    commit: curating.CommitFlag = False,
    proposal: curating.ProposalId = None,
    skip_missing: curating.SkipMissing = False,
    csv_out: CsvOut = None,
    git_url: Annotated[
        str | None, typer.Option("--git-url", metavar="URL", help="Git source: as 'create git-builder --url'.")
    ] = None,
    git_name: Annotated[
        str | None, typer.Option("--git-name", "--name", metavar="PACKAGE", help="Git source: the package's name.")
    ] = None,
    git_branch: Annotated[
        str | None, typer.Option("--git-branch", metavar="NAME", help="Git source: the branch to follow.")
    ] = None,
    git_build_trigger: Annotated[
        str | None,
        typer.Option(
            "--git-build-trigger", "--build-trigger", metavar="commits|tags", help="Git source: what makes a version."
        ),
    ] = None,
    git_sub_dir: Annotated[
        str | None, typer.Option("--git-sub-dir", metavar="FOLDER", help="Git source: folder of the package.")
    ] = None,
    git_ssh_key: Annotated[
        str | None, typer.Option("--git-ssh-key", metavar="NAME", help="Git source: the credential to be used.")
    ] = None,
    wait: builders.Wait = True,
    comment: Comment = None,
) -> None:
    """Add package files to a local source, or packages of its snapshot to a curated one.

    All of them are added, or none. For a curated source this shows a proposal, unless it is to be committed. For a Git
    source it makes a git builder, as 'create git-builder' does.
    """
    if git_url is not None:
        builders.create_git_builder(
            session,
            source=source,
            url=git_url,
            name=git_name,
            branch=git_branch,
            build_trigger=git_build_trigger,
            sub_dir=git_sub_dir,
            credential=git_ssh_key,
            wait=wait,
        )
        return
    if packages or proposal is not None or commit or snapshot or csv_out or _is_curated(session, source, file_in, path):
        curating.add(
            session,
            source=source,
            file_in=file_in,
            packages=split_list(packages),
            include_suggests=include_suggests,
            ask=curating.Ask(snapshot, commit, proposal, skip_missing, csv_out, comment),
        )
        return
    _add_files(session, source=source, path=path, file_in=file_in, replace=replace, comment=comment)


def _is_curated(session: Session, source: str, file_in: str | None, path: list[str] | None) -> bool:
    """Whether the lines of a file are packages rather than paths."""
    if file_in is None or path:
        return False
    with session.connect() as (client, _):
        return client.source(source)["type"] in CURATED


def _add_files(
    session: Session, *, source: str, path: list[str] | None, file_in: str | None, replace: bool, comment: str | None
) -> None:
    from entrepot.cli.progress import upload_progress

    files = [Path(name) for name in [*split_list(path), *_listed(file_in)]]
    if not files:
        raise UsageFault("no files to add", hint="give --path=FILE or --file-in=FILE")
    _check_readable(files)
    with session.connect() as (client, _), upload_progress(session.out) as on_progress:
        outcome = client.add_packages(source, files, replace=replace, comment=comment, on_progress=on_progress)
    lines = [f"Added package '{file.name}'" for file in files] if outcome["changes"] else ["Nothing changed"]
    session.out.result(outcome, lines)
    _tell_transaction(session, outcome)


def archive(
    session: Session,
    *,
    name: Annotated[str, typer.Option("--name", metavar="PACKAGE", help="Name of the package.")],
    source: Source,
    comment: Comment = None,
) -> None:
    """Archive a package.

    It leaves the index; its files stay available under Archive.
    """
    with session.connect() as (client, _):
        outcome = client.archive_package(source, name, comment=comment)
    session.out.result(outcome, _change_lines(outcome))
    _tell_transaction(session, outcome)


def remove_package(
    session: Session,
    *,
    name: Annotated[
        str,
        typer.Option(
            "--name",
            metavar="PACKAGE@SCOPE",
            help="Package and what of it: @all, @current, a version as @1.2.3 or a file as @demo-1.2.3.tar.gz.",
        ),
    ],
    source: Source,
    comment: Comment = None,
) -> None:
    """Remove a package, one version or one file of it.

    Snapshots from before keep it.
    """
    package, scope = _package_and_scope(name)
    with session.connect() as (client, _):
        outcome = client.remove_package(source, package, scope=scope, comment=comment)
    session.out.result(outcome, _file_lines("Removed", scope, outcome) or _change_lines(outcome))
    _tell_transaction(session, outcome)


def yank(
    session: Session,
    *,
    name: VersionOrFile,
    source: Source,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why; installers show it to whoever asks for it.")
    ] = None,
    comment: Comment = None,
) -> None:
    """Yank a version or a file of a Python package.

    It stays listed, and is installed only where its version is asked for exactly.
    """
    package, scope = _package_and_scope(name, "yank", all_of_it=False)
    with session.connect() as (client, _):
        outcome = client.yank_package(source, package, scope=scope, reason=reason, comment=comment)
    _tell_marked(session, "Yanked", scope, outcome)


def unyank(session: Session, *, name: VersionOrFile, source: Source, comment: Comment = None) -> None:
    """Take back the yank of a version or a file."""
    package, scope = _package_and_scope(name, "unyank", all_of_it=False)
    with session.connect() as (client, _):
        outcome = client.unyank_package(source, package, scope=scope, comment=comment)
    _tell_marked(session, "Unyanked", scope, outcome)


def _package_and_scope(name: str, verb: str = "remove", *, all_of_it: bool = True) -> tuple[str, str]:
    package, _, scope = name.strip().partition("@")
    if not package or not scope:
        known = package or "PACKAGE"
        scopes = f"{known}@all (every version), {known}@current or " if all_of_it else ""
        raise UsageFault(
            f"'{name}' does not say what of the package to {verb}",
            hint=f"give --name={scopes}{known}@1.2.3 (that version)",
        )
    return package, scope


def _listed(file_in: str | None) -> list[str]:
    """The paths that a file lists, relative to the working directory."""
    if file_in is None:
        return []
    try:
        text = sys.stdin.read() if file_in == "-" else Path(file_in).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise Invalid(f"'{file_in}' is not a text file", hint="it lists one path per line, in UTF-8") from None
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _check_readable(files: Iterable[Path]) -> None:
    """See that every file can be read before the first byte is sent.

    Raises:
        Invalid: with all faults together.
    """
    faults: list[tuple[str, EntrepotError]] = []
    for file in files:
        try:
            file.open("rb").close()
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            faults.append((str(file), Invalid(f"can't read '{file}': {reason}", path=str(file))))
    if faults:
        raise InvalidBatch.of(faults)


def _file_lines(verb: str, scope: str, outcome: Outcome) -> list[str]:
    """What became of a single file; none where versions changed."""
    return [f"{verb} file '{scope}'"] if scope.endswith(_FILES) and outcome["changes"] else []


def _tell_marked(session: Session, verb: str, scope: str, outcome: Outcome) -> None:
    lines = [f"{verb} package '{change['name']}' {change['version']}" for change in outcome["changes"]]
    session.out.result(outcome, _file_lines(verb, scope, outcome) or lines or ["Nothing changed"])
    _tell_transaction(session, outcome)


def _change_lines(outcome: Outcome) -> list[str]:
    return [change_line(change) for change in outcome["changes"]] or ["Nothing changed"]


def _tell_transaction(session: Session, outcome: Outcome) -> None:
    if session.verbose and outcome["transaction"] is not None:
        session.out.info(f"Transaction {outcome['transaction']}")
