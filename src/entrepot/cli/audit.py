"""The audit log from the command line: who did what, and whether what is written of it still is as it was."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, cast

import typer

from entrepot.cli.listing import tell_of_pages, window
from entrepot.cli.options import UsageFault
from entrepot.cli.output import columns, counted, printable
from entrepot.cli.session import OutputFormat, Session
from entrepot.core.errors import Conflict

if TYPE_CHECKING:
    from entrepot.client import ActRow, Page

_OUTCOMES = ("done", "refused", "failed", "begun")
_AGO = re.compile(r"(\d{1,6})\s*([smhdw])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_KNOWN = re.compile(r"(\d{1,18}):([0-9a-f]{64})", re.ASCII)
_HOW = "such as 2d (ago), 2024-06-30 or 2024-06-30T12:00:00Z, in UTC"


class BrokenLog(Conflict):
    """The audit log isn't what was written."""

    code = "broken-audit-log"


def show(
    session: Session,
    *,
    since: Annotated[str | None, typer.Option("--since", metavar="TIME", help=f"From then on: {_HOW}.")] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="Before then, written alike.")] = None,
    actor: Annotated[str | None, typer.Option("--actor", metavar="NAME", help="Who did it.")] = None,
    action: Annotated[str | None, typer.Option("--action", metavar="ACTION", help="Such as 'delete repo'.")] = None,
    outcome: Annotated[str | None, typer.Option("--outcome", metavar="WORD", help=f"{', '.join(_OUTCOMES)}.")] = None,
    count: Annotated[int, typer.Option("--count", metavar="N", min=1, help="Acts per page.")] = 50,
    page: Annotated[int, typer.Option("--page", metavar="N", min=1, help="Page, from 1.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="As --output-format=json.")] = False,
) -> None:
    """Show who did what, and who was refused, the newest first.

    'begun' is what began and never came to an end that is known.
    """
    if outcome is not None and outcome.lower() not in _OUTCOMES:
        raise UsageFault(f"'{outcome}' is not an outcome", hint=f"outcomes are {', '.join(_OUTCOMES)}")
    _set_json(session, as_json)
    filters = {
        "since": _time(since, "--since"),
        "until": _time(until, "--until"),
        "actor": actor,
        "action": action,
        "outcome": outcome.lower() if outcome else None,
    }
    with session.connect() as (client, _):

        def rows(limit: int, number: int) -> Page:
            return client.audit(limit=limit, page=number, **filters)

        found, total = window(rows, (page - 1) * count, count)
    acts = cast("list[ActRow]", found)
    session.out.result(acts, columns([_row(act) for act in acts]))
    tell_of_pages(session, "act", shown=len(acts), total=total, count=count, page=page)


def verify(
    session: Session,
    *,
    known: Annotated[
        str | None,
        typer.Option("--known", metavar="ID:HASH", help="A row that this command told before: it must be there."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As --output-format=json.")] = False,
) -> None:
    """See whether the audit log still is what was written.

    Each row has the hash of the row before it, so that a row that was changed, taken out or put in shows. Rows that
    were taken away at the end show with --known alone: keep what this command tells in another place.
    """
    noted = _KNOWN.fullmatch(known.strip()) if known is not None else None
    if known is not None and noted is None:
        raise UsageFault("'--known' is a row's id and hash", hint="write ID:HASH as this command told them")
    _set_json(session, as_json)
    with session.connect() as (client, _):
        found = client.verify_audit(
            known_id=int(noted[1]) if noted else None, known_hash=noted[2] if noted is not None else None
        )
    if found["broken"] is not None:
        raise BrokenLog(
            f"the audit log is broken: {found['broken']['reason']}",
            hint=f"the {counted(found['rows'], 'row')} before still hold; compare the others with a backup",
            **found,
        )
    said = [f"The audit log holds: {counted(found['rows'], 'row')}"]
    if found["rows"]:
        said.append(f"--known={found['id']}:{found['hash']}")
    session.out.result(found, said)


def _set_json(session: Session, as_json: bool) -> None:
    if as_json:
        session.update({"output_format": OutputFormat.JSON})


def _time(text: str | None, flag: str) -> str | None:
    """A time as the API takes it."""
    if text is None:
        return None
    written = text.strip()
    if (ago := _AGO.fullmatch(written)) is not None:
        try:
            return (datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})).isoformat()
        except OverflowError:
            raise UsageFault(f"'{flag}' is before all times: '{text}'", hint=_HOW) from None
    try:
        time = datetime.fromisoformat(written)
    except ValueError:
        raise UsageFault(f"'{flag}' is not a time: '{text}'", hint=_HOW) from None
    return (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).isoformat()


def _row(act: ActRow) -> list[str]:
    time = act["time"][:19].replace("T", " ")
    outcome = f"{act['outcome']} {act['status']}" if act["status"] else act["outcome"]
    what = act["subject"] if not act["detail"] else f"{act['subject']}  {act['detail']}".strip()
    who = [act["actor"] or "-", act["address"] or "-"]
    return [str(act["id"]), time, outcome, *map(printable, who), printable(act["action"]), printable(what)]
