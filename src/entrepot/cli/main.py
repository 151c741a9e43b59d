"""The entry point: the grammar of all commands, and what becomes of their errors."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import typer

from entrepot import __version__
from entrepot.cli import (
    audit,
    binaries,
    bioconductor,
    bootstrap,
    builders,
    checking,
    comparing,
    credentials,
    curating,
    describe,
    jobs,
    listing,
    login,
    packages,
    repos,
    rewriting,
    service,
    setup,
    sources,
    sync,
    sysreqs,
    targets,
    tokens,
)
from entrepot.cli.options import Command, Group, UsageFault, with_session
from entrepot.cli.session import Session
from entrepot.core.errors import EntrepotError, Invalid, OutOfSpace
from entrepot.core.room import is_no_room

PROGRAM = "entrepot"

GRAMMAR: Mapping[str, Callable[..., None]] = {
    "create repo": repos.create_repo,
    "create source": sources.create_source,
    "create git-builder": builders.create_git_builder,
    "create build-target": targets.create_build_target,
    "create token": tokens.create_token,
    "edit repo": repos.edit_repo,
    "edit source": sources.edit_source,
    "edit git-builder": builders.edit_git_builder,
    "edit ssh-key": credentials.edit_ssh_key,
    "edit https-credential": credentials.edit_https_credential,
    "edit git-credential": credentials.edit_git_credential,
    "edit git-credentials": credentials.edit_git_credential,
    "delete repo": repos.delete_repo,
    "delete source": sources.delete_source,
    "delete git-builder": builders.delete_git_builder,
    "delete build-target": targets.delete_build_target,
    "delete git-credential": credentials.delete_git_credential,
    "delete git-credentials": credentials.delete_git_credential,
    "delete ssh-key": credentials.delete_ssh_key,
    "subscribe": repos.subscribe,
    "unsubscribe": repos.unsubscribe,
    "reorder": repos.reorder,
    "list": listing.list_all,
    "list repos": listing.list_repos,
    "list sources": listing.list_sources,
    "list bioconductor": bioconductor.list_bioconductor,
    "list packages": listing.list_packages,
    "list transactions": listing.list_transactions,
    "list proposals": curating.list_proposals,
    "list requirements": sysreqs.list_requirements,
    "list jobs": jobs.list_jobs,
    "list git-builders": builders.list_git_builders,
    "list git-builds": builders.list_git_builds,
    "list build-targets": targets.list_build_targets,
    "list binary-builds": targets.list_binary_builds,
    "list git-credentials": credentials.list_git_credentials,
    "list ssh-keys": credentials.list_ssh_keys,
    "list tokens": tokens.list_tokens,
    "info": listing.info,
    "diff": comparing.diff,
    "check": checking.check,
    "add": packages.add,
    "add binary": binaries.add_binary,
    "update": curating.update,
    "archive": packages.archive,
    "remove package": packages.remove_package,
    "remove binary": binaries.remove_binary,
    "yank": packages.yank,
    "unyank": packages.unyank,
    "sync": sync.sync,
    "describe": describe.describe,
    "run git-builder": builders.run_git_builder,
    "run build-target": targets.run_build_target,
    "rerun git-builder": builders.rerun_git_builder,
    "rerun build-target": targets.rerun_build_target,
    "logs": jobs.logs,
    "cancel": jobs.cancel,
    "import ssh-key": credentials.import_ssh_key,
    "import https-credential": credentials.import_https_credential,
    "setup": setup.setup,
    "rewrite-url": rewriting.rewrite_url,
    "encrypt": credentials.encrypt,
    "rotate-key": credentials.rotate_key,
    "revoke token": tokens.revoke_token,
    "whoami": tokens.whoami,
    "login": login.login,
    "login sso": login.login_sso,
    "logout": login.logout,
    "bootstrap": bootstrap.bootstrap,
    "bootstrap keys": bootstrap.bootstrap_keys,
    "audit": audit.show,
    "audit verify": audit.verify,
    "serve": service.serve,
    "worker": service.worker,
    "migrate": service.migrate,
    "check-config": service.check_config,
}
"""Every command: the words -> the function. A verb with nouns may also be a command itself (`list`)."""

VERBS: Mapping[str, str] = {
    "create": "Create a repository, a source, a Git builder, a build target or a token.",
    "edit": "Change a repository, a source, a Git builder or a Git credential.",
    "delete": "Delete a repository, a source, a Git builder, a build target or a Git credential.",
    "list": "List repositories, sources, packages, transactions, proposals, jobs, Git builders and their builds, build "
    "targets and their binary builds, Git "
    "credentials, tokens.\n\nWithout a noun: every repository and source.",
    "run": "Run a Git builder or a build target.",
    "rerun": "Build once more what failed.",
    "import": "Import a credential for Git endpoints.",
    "add": "Add package files to a local source, packages of its snapshot to a curated one, or binary packages.\n\n"
    "Without a noun, all packages are added or none. For a curated source this shows a proposal, unless it is to be "
    "committed. For a Git source it makes a git builder, as 'create git-builder' does.",
    "revoke": "Revoke a token.",
    "login": "Keep a token for a server on this machine.\n\n"
    "Without a noun the token is asked for, or read from standard input.",
    "bootstrap": "Make the first token of a server that nobody can log in to.",
    "remove": "Remove packages, or binary packages alone.",
    "audit": "Show who did what, and who was refused, the newest first.\n\n'begun' is what began and never came to an "
    "end that is known.",
}
"""The verbs that take a noun, with their help."""

EXIT_CODES: Mapping[str, int] = {
    "NotFound": 4,
    "Conflict": 5,
    "Invalid": 2,
    "Unauthenticated": 3,
    "Forbidden": 3,
    "TooMany": 6,
    "UpstreamUnavailable": 6,
    "UpstreamInvalid": 6,
    "BuildFailed": 7,
    "OutOfSpace": 8,
    "Unavailable": 6,
    "ServerUnreachable": 6,
}
"""Kind of error -> exit code; any other is 1."""
_EXIT_OF_STATUS = {400: 2, 401: 3, 403: 3, 404: 4, 409: 5, 413: 2, 422: 2, 429: 6, 502: 6, 503: 6, 507: 8}
INTERRUPTED = 130


class Root(Group):
    """The whole command line: errors become words and an exit code, never a traceback."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> Any:
        given = _with_help(list(sys.argv[1:] if args is None else args))
        session = Session(expects_json=_asks_for_json(given))
        extra |= {"prog_name": PROGRAM, "standalone_mode": False, "obj": session}
        try:
            code = super().main(given, *rest, **extra)
        except (KeyboardInterrupt, typer.Abort):
            code = INTERRUPTED
        except Exception as error:
            code = _report(error, session)
        sys.exit(code if isinstance(code, int) else 0)

    def list_commands(self, ctx: Any) -> list[str]:
        """The verbs in the order of the grammar."""
        verbs = [words.split()[0] for words in GRAMMAR]
        return sorted(super().list_commands(ctx), key=verbs.index)


def main() -> None:
    """Run the command line and exit."""
    typer.main.get_command(build())()


def build() -> typer.Typer:
    """The Typer application with every command of the grammar."""
    app = _group(Root, root, help="The open package manager server for R and Python in an organisation.")
    for words, function in GRAMMAR.items():
        if " " not in words and words not in VERBS:
            app.command(words, cls=Command)(with_session(function))
    for verb, help in VERBS.items():
        group = _group(Group, GRAMMAR.get(verb, verb_alone), help=help, runs_alone=verb in GRAMMAR)
        for words, function in GRAMMAR.items():
            if words.startswith(f"{verb} "):
                group.command(words.removeprefix(f"{verb} "), cls=Command)(with_session(function))
        app.add_typer(group, name=verb)
    return app


def _group(cls: type[Group], callback: Callable[..., None], *, help: str, runs_alone: bool = False) -> typer.Typer:
    group = typer.Typer(
        cls=cls,
        help=help,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        invoke_without_command=runs_alone,
        rich_markup_mode=None,  # plain help: rich would double the time to its first word
        pretty_exceptions_enable=False,
    )
    group.callback(help=help)(with_session(callback))
    return group


def verb_alone(session: Session) -> None:
    """A verb that needs a noun: only its flags count."""


def _print_version(ctx: typer.Context, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        ctx.ensure_object(Session).out.result({"version": __version__}, [f"{PROGRAM} {__version__}"])
        raise typer.Exit


def root(
    session: Session,
    *,
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """What comes before the verb: only the flags count."""


def _with_help(args: list[str]) -> list[str]:
    """`help VERB NOUN` as `VERB NOUN --help`; no words at all ask for help too."""
    if not args:
        return ["--help"]
    return [*args[1:], "--help"] if args[0] == "help" else args


def _asks_for_json(args: Sequence[str]) -> bool:
    """Whether JSON is asked for, as far as can be told before the flags were read."""
    words = " ".join(args).lower().replace("=", " ").split()
    return any(
        word == "-ojson" or (word in ("-o", "--output-format") and after == "json")
        for word, after in zip(words, [*words[1:], ""], strict=True)
    )


def _report(error: Exception, session: Session) -> int:
    """Say what went wrong and choose the exit code."""
    known = _known(error)
    if known is None:
        return _report_bug(error, session)
    session.out.error(known)
    return exit_code(known)


def _known(error: Exception) -> EntrepotError | None:
    """The error in our own words, None if nobody expected it."""
    match error:
        case EntrepotError():
            return error
        case typer.TyperException():
            return _usage_fault(error)
        case OSError() if is_no_room(error):
            return OutOfSpace("the command could not do its work: there is no space left on this machine's disk")
        case OSError(filename=str() | bytes() | os.PathLike()):
            reason = (error.strerror or str(error)).lower()
            return Invalid(f"can't use '{os.fsdecode(error.filename)}': {reason}", path=os.fsdecode(error.filename))
    return None


def _usage_fault(error: typer.TyperException) -> UsageFault:
    ctx = getattr(error, "ctx", None)
    command = ctx.command_path if ctx else PROGRAM
    return UsageFault(error.format_message().rstrip("."), hint=f"'{command} --help' tells what it takes")


def _report_bug(error: Exception, session: Session) -> int:
    unexpected = EntrepotError(
        f"unexpected {type(error).__name__}: {error}",
        hint="this is a bug in entrepot; --verbose shows where it happened",
    )
    if session.verbose:
        traceback.print_exception(error)
    session.out.error(unexpected)
    return 1


def exit_code(error: EntrepotError) -> int:
    """The exit code for an error: by the HTTP status of a server's answer, by kind for all others."""
    status = getattr(error, "status", None)
    if isinstance(status, int):
        return _EXIT_OF_STATUS.get(status, 1)
    kinds = {base.__name__ for base in type(error).__mro__} | _kinds_of_code(error.code)
    return next((code for kind, code in EXIT_CODES.items() if kind in kinds), 1)


def _kinds_of_code(code: str) -> set[str]:
    """The kinds of error that a code belongs to: all that is known of the error of a job."""
    if code.startswith("build-"):
        return {"BuildFailed"}
    found: set[str] = set()
    waiting: list[type[EntrepotError]] = list(EntrepotError.__subclasses__())
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if vars(kind).get("code") == code:
            found |= {base.__name__ for base in kind.__mro__}
    return found


if __name__ == "__main__":
    main()
