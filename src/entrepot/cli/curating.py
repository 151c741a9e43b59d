"""Commands on curated and pinned sources: changes are proposed, and committed as they were proposed."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from entrepot.cli.listing import tell_of_pages, window
from entrepot.cli.lists import read_list
from entrepot.cli.options import UsageFault, split_list
from entrepot.cli.output import columns, when
from entrepot.cli.session import Session
from entrepot.cli.tables import CsvOut, check_output, write_csv

if TYPE_CHECKING:
    from entrepot.client import Proposal

Source = Annotated[str, typer.Option("--source", metavar="NAME", help="Name of the source.")]
Snapshot = Annotated[
    str | None,
    typer.Option("--snapshot", metavar="WHEN", help="Snapshot of the mirror: a date or a transaction's number."),
]
CommitFlag = Annotated[
    bool, typer.Option("--commit", help="Apply the change; needs --snapshot or --proposal. Else it is only shown.")
]
ProposalId = Annotated[int | None, typer.Option("--proposal", metavar="ID", min=1, help="The proposal to commit.")]
SkipMissing = Annotated[
    bool, typer.Option("--skip-missing", help="Leave out packages that can't be had, instead of refusing.")
]

COLUMNS = (
    "name",
    "version",
    "previous",
    "change",
    "license",
    "needs_compilation",
    "dependency",
    "why",
    "asked",
    "size",
    "releases",
)
"""Of the CSV: one row a package, then one for each version that leaves and each package that can't be had."""


@dataclass(frozen=True, slots=True)
class Ask:
    """The flags that adding and updating share."""

    snapshot: str | None
    commit: bool
    proposal: int | None
    skip_missing: bool
    csv_out: str | None
    comment: str | None


def update(
    session: Session,
    *,
    source: Source,
    file_in: Annotated[
        str | None,
        typer.Option(
            "--file-in",
            metavar="FILE",
            help="The whole list of wanted packages, '-' for standard input: a requirement a line, or renv.lock, "
            "DESCRIPTION, pyproject.toml, uv.lock, pylock.toml. Without it the list stays.",
        ),
    ] = None,
    constraints: Annotated[
        str | None, typer.Option("--constraints", metavar="FILE", help="Python: a constraints file of pip.")
    ] = None,
    snapshot: Snapshot = None,
    commit: CommitFlag = False,
    proposal: ProposalId = None,
    with_dependencies: Annotated[
        bool | None,
        typer.Option("--with-dependencies/--without-dependencies", help="Python: bring what the packages need."),
    ] = None,
    only_binary: Annotated[
        bool | None, typer.Option("--only-binary/--no-only-binary", help="Python: wheels alone.")
    ] = None,
    platforms: Annotated[
        list[str] | None,
        typer.Option("--platforms", metavar="NAME,...", help="Python: files for these, as linux-x86_64; all for all."),
    ] = None,
    python_versions: Annotated[
        list[str] | None,
        typer.Option("--python-versions", metavar="X.Y,...", help="Python: files for these, as 3.12; all for all."),
    ] = None,
    skip_missing: SkipMissing = False,
    csv_out: CsvOut = None,
    comment: Annotated[
        str | None, typer.Option("--comment", metavar="TEXT", help="Why; it is kept with the transaction.")
    ] = None,
) -> None:
    """Change what a curated or pinned source shows.

    Without --commit nothing is changed: the proposal is shown and kept, with the command that commits it.
    """
    ask = Ask(snapshot, commit, proposal, skip_missing, csv_out, comment)
    wish: dict[str, object] = {
        "action": "update",
        "list": read_list(file_in),
        "constraints": read_list(constraints),
        "with_dependencies": with_dependencies,
        "only_binary": only_binary,
        "platforms": _named(platforms),
        "python_versions": _named(python_versions),
    }
    _propose(session, source, "update", wish, ask)


def add(
    session: Session,
    *,
    source: str,
    file_in: str | None,
    packages: Sequence[str],
    include_suggests: bool,
    ask: Ask,
) -> None:
    """Packages besides those that a curated source has, from the snapshot that it is pinned to."""
    wish: dict[str, object] = {
        "action": "add",
        "list": read_list(file_in),
        "packages": list(packages),
        "include_suggests": include_suggests,
    }
    _propose(session, source, "add", wish, ask)


def list_proposals(
    session: Session,
    *,
    source: Source,
    id: Annotated[int | None, typer.Option("--id", metavar="ID", min=1, help="Show this one whole.")] = None,
    count: Annotated[int, typer.Option("--count", metavar="N", min=1, help="Proposals per page.")] = 20,
    page: Annotated[int, typer.Option("--page", metavar="N", min=1, help="Page, from 1.")] = 1,
    csv_out: CsvOut = None,
) -> None:
    """List the proposals to a curated source, the newest first, or show one of them."""
    check_output(session, csv_out)
    with session.connect() as (client, _):
        if id is not None:
            _show(session, client.proposal(source, id), csv_out, "update")
            return
        found, total = window(
            lambda limit, number: client.list_proposals(source, limit=limit, page=number), (page - 1) * count, count
        )
    session.out.result(found, columns([_row(proposal) for proposal in found]))
    tell_of_pages(session, "proposal", shown=len(found), total=total, count=count, page=page)


def _named(values: list[str] | None) -> list[str] | None:
    """The entries of a list flag; `all` takes back what was narrowed before."""
    entries = None if values is None else split_list(values)
    return [] if entries in (["all"], ["ALL"]) else entries


def _propose(session: Session, source: str, verb: str, wish: dict[str, object], ask: Ask) -> None:
    _check(wish, ask)
    check_output(session, ask.csv_out)
    with session.connect() as (client, _):
        if ask.proposal is not None and not ask.commit:
            made = client.proposal(source, ask.proposal)
        elif ask.proposal is not None:
            made = client.commit_proposal(source, ask.proposal, snapshot=ask.snapshot, comment=ask.comment)
        else:
            given = {"snapshot": ask.snapshot, "comment": ask.comment}
            flags = {"skip_missing": ask.skip_missing or None, "commit": ask.commit or None}
            made = client.propose(source, **wish, **given, **flags)
    if ask.commit:
        _write(made, ask.csv_out)
        session.out.result(made, [] if ask.csv_out == "-" else list(_outcome(made)))
    else:
        _show(session, made, ask.csv_out, verb)


def _check(wish: dict[str, object], ask: Ask) -> None:
    if ask.commit and ask.snapshot is None and ask.proposal is None:
        raise UsageFault(
            "--commit needs --snapshot or --proposal",
            hint="run the command without --commit first: it ends with the command that commits what it shows",
        )
    if ask.proposal is not None and any(value for name, value in wish.items() if name != "action"):
        raise UsageFault("--proposal says what to commit", hint="leave out what was asked when it was made")


def _show(session: Session, made: Proposal, csv_out: str | None, verb: str) -> None:
    _write(made, csv_out)
    session.out.result(made, [] if csv_out == "-" else list(_lines(made, verb)))


def _write(made: Proposal, csv_out: str | None) -> None:
    if csv_out is not None:
        write_csv(csv_out, COLUMNS, _rows(made))


def _rows(made: Proposal) -> Iterator[dict[str, Any]]:
    for item in made["items"]:
        yield {**item, "why": reason(item["why"])}
    empty = dict.fromkeys(COLUMNS)
    for leaving in made["leaving"]:
        facts = {name: leaving[name] for name in ("name", "version", "change")}
        yield {**empty, **facts, "why": leaving["reason"]}
    for missing in made["missing"]:
        yield {
            **empty,
            "name": missing["name"],
            "change": "missing",
            "why": _missing(missing["why"], missing["reason"]),
        }


def _lines(made: Proposal, verb: str) -> Iterator[str]:
    """A proposal for people; it ends with the command that commits it."""
    yield f"Proposal {made['id']} for source '{made['source']}' at snapshot {made['snapshot']}:"
    yield ""
    yield from _table(made)
    for missing in made["missing"]:
        yield f"Not found: {missing['name']} ({_missing(missing['why'], missing['reason'])})"
    for note in made["notes"]:
        yield f"Note: {note}"
    yield f"{_summary(made)}."
    if made["committed"] is not None:
        yield f"It was committed as transaction {made['committed']}."
        return
    flags = f"--commit and --snapshot={made['snapshot']}"
    yield f"To complete this operation, execute this command with the {flags} flags:"
    where = f"--source={shlex.quote(made['source'])} --snapshot={made['snapshot']}"
    yield f"  entrepot {verb} {where} --proposal={made['id']} --commit"


def _table(made: Proposal) -> Iterator[str]:
    if not made["items"] and not made["leaving"]:
        return
    head = ["Name", "Version", "Previous", "Change", "License", "Needs Compilation", "Why"]
    rows = [
        [
            item["name"],
            item["version"],
            item["previous"] or "",
            item["change"],
            item["license"] or "",
            "" if item["needs_compilation"] is None else "yes" if item["needs_compilation"] else "no",
            reason(item["why"]),
        ]
        for item in made["items"]
    ]
    rows += [[gone["name"], gone["version"], "", gone["change"], "", "", gone["reason"]] for gone in made["leaving"]]
    yield from columns([head, *rows])
    yield ""


def reason(why: Sequence[str]) -> str:
    """`asked for`, or the chain of packages that need it."""
    return " > ".join(why) if why else "asked for"


def _missing(why: Sequence[str], what: str) -> str:
    return f"{what}; needed by {' > '.join(why)}" if why else what


def _summary(made: Proposal) -> str:
    counts = [f"{number} {kind}" for kind, number in made["counts"].items() if number]
    return ", ".join(counts) or "Nothing"


def _outcome(made: Proposal) -> Iterator[str]:
    if made["committed"] is None:
        yield "Nothing changed"
        return
    for item in made["items"]:
        if item["change"] != "unchanged":
            was = f" (was {item['previous']})" if item["previous"] else ""
            yield f"{item['change'].capitalize()} package '{item['name']}' {item['version']}{was}"
    for gone in made["leaving"]:
        yield f"{gone['change'].capitalize()} package '{gone['name']}' {gone['version']}"
    yield f"Source '{made['source']}' is at snapshot {made['snapshot']} with transaction {made['committed']}: " + (
        _summary(made)
    )


def _row(made: dict[str, Any]) -> list[str]:
    counts = ", ".join(f"{number} {kind}" for kind, number in made["counts"].items() if number)
    state = f"committed as {made['committed']}" if made["committed"] is not None else "open"
    return [str(made["id"]), when(made["created"]), made["action"], made["snapshot"], state, made["actor"], counts]
