"""Changes to curated and pinned sources: proposed, kept, reviewed, and committed as they were proposed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.errors import Invalid, NotFound, WrongProposal, WrongType
from entrepot.core.model import FOREVER, FileStatus, Source, SourceType, TransactionId
from entrepot.core.proposals import ALL, Action, Part, Report, Rows, changes_anything, difference, summary
from entrepot.db import changes as db_changes
from entrepot.db import curations as db_curations
from entrepot.db import files as db_files
from entrepot.db import sources as db_sources
from entrepot.db import transactions as db_transactions
from entrepot.db.curations import NewProposal, Pin, ProposalRow
from entrepot.operations import cran_snapshots, curated_cran, curated_pypi
from entrepot.operations.browsing import Page
from entrepot.operations.changing import Outcome
from entrepot.operations.drafting import Draft, Narrow, State, Wish
from entrepot.operations.wishes import Asked, asked_by

__all__ = [
    "Narrow",
    "Proposal",
    "Wish",
    "apply_wish",
    "commit",
    "get_part",
    "get_proposal",
    "list_proposals",
    "pin_new",
    "propose",
    "propose_and_commit",
]

ProposalState = Literal["open", "stale", "committed"]
MOST_TOLD = 20
"""Lines of a difference that a message names."""
_DRAFT: Mapping[SourceType, Callable[[App, State, Wish], Draft]] = {
    SourceType.CRAN_SNAPSHOT: cran_snapshots.draft,
    SourceType.CURATED_CRAN: curated_cran.draft,
    SourceType.CURATED_PYPI: curated_pypi.draft,
}


@dataclass(frozen=True, slots=True)
class Proposal:
    """A kept proposal with what it tells; in a list of them report and `asked` are empty.

    `newest` is the source's newest transaction, 0 if there is none; `asked` what is asked for once it is committed.
    """

    row: ProposalRow
    source: str
    report: Report
    newest: TransactionId
    asked: Asked = field(default_factory=Asked)

    @property
    def state(self) -> ProposalState:
        """Stale is one over what the source showed before a later transaction: it can't be committed."""
        if self.row.committed is not None:
            return "committed"
        return "open" if self.row.base == self.newest else "stale"


def propose(app: App, source: str, wish: Wish, *, actor: str) -> Proposal:
    """What a change would bring; it is kept, and nothing else is changed. The same question about the same state gives
    the same proposal.

    Raises:
        WrongType: the source is not a curated one, or the wish isn't for its type.
        PackageNotFound, Contradiction, Unresolvable, SnapshotNotFound, NeverSynced, and faults of the list.
    """
    state = _state(app, source)
    new = _new(app, state, _DRAFT[state.source.type](app, state, wish), wish.action, actor)
    with app.db.write(shows=False) as connection:
        return _keep(connection, state.source, new)


def propose_and_commit(app: App, source: str, wish: Wish, *, actor: str, comment: str = "") -> tuple[Proposal, Outcome]:
    """As `propose`, and commit it at once, if it is what was shown the last time that the same was asked for.

    Raises:
        Invalid: the snapshot isn't named, so that nobody can have reviewed it.
        WrongProposal: something else was shown; the new proposal is kept and named.
    """
    if wish.snapshot is None:
        raise Invalid(
            "a commit needs the snapshot that was reviewed",
            hint="repeat the command without --commit; it ends with the command that commits what it shows",
        )
    state = _state(app, source)
    new = _new(app, state, _DRAFT[state.source.type](app, state, wish), wish.action, actor)
    with app.db.write(shows=False) as connection:
        # Whatever the source showed then: who reviewed it then hears of what somebody else did meanwhile.
        shown = db_curations.newest_proposal(connection, state.source.id, asked=new.asked)
        kept = _keep(connection, state.source, new)
    if shown is not None and shown.digest != new.digest:
        raise _differs(app, state.source, shown, kept.row)
    return commit(app, source, kept.row.id, actor=actor, comment=comment)


def pin_new(app: App, connection: Connection, source: Source, draft: Draft, *, actor: str) -> None:
    """Pin a source that was just made in the same write transaction."""
    base = db_sources.by_id(connection, source.files_of)
    state = State(source, base, (), None, TransactionId(0), {})
    id_ = db_curations.add_proposal(connection, _new(app, state, draft, "create", actor))
    row = _get(connection, source, id_)
    _apply(app, connection, source, row, draft.target, draft.request, actor=actor, comment="")


def apply_wish(app: App, source: str, wish: Wish, *, actor: str, comment: str = "") -> Outcome:
    """Make a change that nobody reviews: what is taken out by hand."""
    return commit(app, source, propose(app, source, wish, actor=actor).row.id, actor=actor, comment=comment)[1]


def commit(
    app: App, source: str, id_: int, *, actor: str, snapshot: str | None = None, comment: str = ""
) -> tuple[Proposal, Outcome]:
    """Apply a proposal: the source shows what it says from one new transaction on.

    Raises:
        NotFound: there is no such proposal of that source.
        WrongProposal: it was committed before, the source changed since, or it is of another snapshot.
    """
    with app.db.read() as connection:
        found = db_sources.get(connection, source)
        row = _get(connection, found, id_)
        target, request = db_curations.target(connection, id_), db_curations.request(connection, id_)
        report = Report.of_json(db_curations.report(connection, id_))
        asked = asked_by(request, has_archive=found.has_archive)
    with app.db.write() as connection:
        found = db_sources.get(connection, source)
        row = _get(connection, found, id_)
        _check_fresh(connection, found, row, snapshot)
        if row.base and not changes_anything(row.counts) and _is_pinned_so(connection, found, row, request):
            return Proposal(row, found.name, report, row.base, asked), Outcome(None, ())
        at = _apply(app, connection, found, row, target, request, actor=actor, comment=comment)
        outcome = Outcome(at, tuple(db_changes.of_transaction(connection, found, at)))
    return Proposal(replace(row, committed=at), found.name, report, at, asked), outcome


def get_proposal(app: App, source: str, id_: int) -> Proposal:
    """Raises NotFound."""
    with app.db.read() as connection:
        found = db_sources.get(connection, source)
        row = _get(connection, found, id_)
        report = Report.of_json(db_curations.report(connection, id_))
        asked = asked_by(db_curations.request(connection, id_), has_archive=found.has_archive)
        return Proposal(row, found.name, report, _newest(connection, found), asked)


def get_part(app: App, source: str, id_: int, part: Part, *, rows: Rows = ALL, page: Page) -> tuple[Proposal, int]:
    """A proposal with a page of one of its lists, and how many rows that has.

    Raises:
        NotFound
    """
    with app.db.read() as connection:
        found = db_sources.get(connection, source)
        row = _get(connection, found, id_)
        # A kept report stays as it is; of all of CRAN it takes its time to be read.
        told = app.reports.get((found.id, id_), lambda: db_curations.report(connection, id_))
        asked = asked_by(db_curations.request(connection, id_), has_archive=found.has_archive)
        newest = _newest(connection, found)
    report, total = Report.part_of_json(told, part, rows, offset=page.offset, limit=page.limit)
    return Proposal(row, found.name, report, newest, asked), total


def list_proposals(app: App, source: str, page: Page) -> tuple[list[Proposal], int]:
    """The proposals of a source, the newest first, and how many there are in all."""
    with app.db.read() as connection:
        found = _curated(connection, source)
        rows, total = db_curations.page(connection, found.id, limit=page.limit, offset=page.offset)
        newest = _newest(connection, found)
    return [Proposal(row, found.name, Report(), newest) for row in rows], total


def _newest(connection: Connection, source: Source) -> TransactionId:
    return TransactionId(db_transactions.newest_of(connection, source_id=source.id) or 0)


def _state(app: App, source: str) -> State:
    with app.db.read() as connection:
        found = _curated(connection, source)
        return State(
            source=found,
            base=db_sources.by_id(connection, found.files_of),
            include=db_curations.include_of(connection, found.id),
            pin=db_curations.pin(connection, found.id),
            newest=_newest(connection, found),
            shown=db_curations.shown_now(connection, found.id),
        )


def _curated(connection: Connection, source: str) -> Source:
    found = db_sources.get(connection, source)
    if found.type not in _DRAFT:
        raise WrongType(
            f"source {found.name!r} is of type {found.type.value}, to which nothing is proposed",
            hint="proposals are for sources of type " + ", ".join(type_.value for type_ in _DRAFT),
        )
    return found


def _new(app: App, state: State, draft: Draft, action: Action, actor: str) -> NewProposal:
    cut = draft.named.cut
    question = {"action": action, "snapshot": draft.named.name, "request": draft.request}
    shown = sorted((file_id, status.value) for file_id, status in draft.target.items())
    whole = [shown, cut.upto] if state.source.is_pinned else shown
    return NewProposal(
        source_id=state.source.id,
        created=app.clock(),
        actor=actor,
        action=action,
        base=state.newest,
        snapshot=draft.named.name,
        # What is read by the project is told by times alone.
        upto=TransactionId(0) if state.base.is_read_by_project else cut.upto,
        at=cut.at if cut.at is not None else draft.named.at,
        asked=_digest(question),
        digest=_digest(whole),
        request=draft.request,
        target=draft.target,
        report=draft.report.as_json(),
        counts=draft.report.counts(),
    )


def _digest(told: Any) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _keep(connection: Connection, source: Source, new: NewProposal) -> Proposal:
    """The proposal as it is kept: the one before, if it says the same."""
    known = db_curations.newest_proposal(connection, source.id, asked=new.asked, base=new.base)
    is_same = known is not None and (known.digest, known.upto, known.counts) == (new.digest, new.upto, new.counts)
    id_ = known.id if known is not None and is_same else db_curations.add_proposal(connection, new)
    row = _get(connection, source, id_)
    asked = asked_by(new.request, has_archive=source.has_archive)
    return Proposal(row, source.name, Report.of_json(new.report), _newest(connection, source), asked)


def _get(connection: Connection, source: Source, id_: int) -> ProposalRow:
    row = db_curations.proposal(connection, source.id, id_)
    if row is None:
        raise NotFound(
            f"source {source.name!r} has no proposal {id_}", hint=f"`entrepot list proposals --source={source.name}`"
        )
    return row


def _check_fresh(connection: Connection, source: Source, row: ProposalRow, snapshot: str | None) -> None:
    if row.committed is not None:
        raise WrongProposal(
            f"proposal {row.id} was committed as transaction {row.committed}",
            hint="make a new one to change the source further",
            transaction=row.committed,
        )
    newest = _newest(connection, source)
    if newest != row.base:
        raise WrongProposal(
            f"proposal {row.id} is stale: source {source.name!r} changed with transaction {newest} since it was made",
            hint="repeat the command without --commit for a proposal over what there is now",
            transaction=newest,
        )
    if snapshot is not None and snapshot != row.snapshot:
        raise WrongProposal(
            f"proposal {row.id} is of snapshot {row.snapshot}, not of {snapshot}",
            hint=f"commit it with --snapshot={row.snapshot}",
            snapshot=row.snapshot,
        )


def _is_pinned_so(connection: Connection, source: Source, row: ProposalRow, request: Mapping[str, Any]) -> bool:
    pin = db_curations.pin(connection, source.id)
    return pin is not None and (pin.snapshot, pin.upto, pin.request) == (row.snapshot, row.upto, request)


def _apply(
    app: App,
    connection: Connection,
    source: Source,
    row: ProposalRow,
    target: Mapping[int, FileStatus],
    request: dict[str, Any],
    *,
    actor: str,
    comment: str,
) -> TransactionId:
    """Write what a proposal says as one transaction."""
    now = app.clock()
    at = db_transactions.add(
        connection,
        time=now,
        day=db_transactions.day_for_source(connection, source.id, now.date()),
        actor=actor,
        message=comment or f"{_done(row.action)} snapshot {row.snapshot}: {summary(row.counts)}",
        source_id=source.id,
    )
    shown = db_curations.shown_now(connection, source.id)
    db_files.hide(connection, source.id, [(id_, at) for id_, status in shown.items() if target.get(id_) is not status])
    begins = [(id_, source.id, status, at, FOREVER) for id_, status in target.items() if shown.get(id_) is not status]
    db_files.show(connection, begins)
    db_curations.add_pin(connection, source.id, Pin(at, row.snapshot, row.upto, row.at, request))
    db_curations.mark_committed(connection, row.id, at)
    return at


def _done(action: str) -> str:
    return {"add": "added from", "remove": "removed, at", "create": "pinned to"}.get(action, "updated to")


def _differs(app: App, source: Source, shown: ProposalRow, new: ProposalRow) -> WrongProposal:
    """The error where a commit would apply something else than what was shown."""
    with app.db.read() as connection:
        one, other = (_listed(connection, source, row) for row in (shown, new))
    lines = difference(one, other)
    told = "; ".join(lines[:MOST_TOLD]) + (f"; and {len(lines) - MOST_TOLD} more" if len(lines) > MOST_TOLD else "")
    return WrongProposal(
        f"this is not what proposal {shown.id} showed: {told or 'the mirror was synced since'}",
        hint=f"review proposal {new.id} and commit that one, or {shown.id} as it was shown, with --proposal",
        shown=shown.id,
        proposal=new.id,
        difference=lines,
    )


def _listed(connection: Connection, source: Source, row: ProposalRow) -> Sequence[tuple[str, ...]]:
    if source.is_pinned:
        items = Report.of_json(db_curations.report(connection, row.id)).items
        return [(item.package, item.version) for item in items]
    target = db_curations.target(connection, row.id)
    files = db_files.by_ids(connection, target)
    return [
        (file.package, file.version if source.has_archive else file.name)
        + (("archived",) if target[file.id] is FileStatus.ARCHIVED else ())
        for file in files.values()
    ]
