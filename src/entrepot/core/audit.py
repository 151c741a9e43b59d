"""The audit log: what is written down of an act, and the chain of hashes that shows whether it was changed since."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

from entrepot.core.hiding import without_secrets

FIRST = "0" * 64
"""What the first row has as the hash of the row before."""
LONGEST = 2000
"""Characters of a subject or a detail."""
_LONGEST_ACTOR, _LONGEST_TOKEN, _LONGEST_ADDRESS, _LONGEST_ACTION = 200, 36, 64, 100


class Outcome(StrEnum):
    """How an act ended; one that began has a row before it is done."""

    BEGUN = "begun"
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Entry:
    """What is written down of an act.

    `token` is the guid of the token that was sent, `address` the client's, `subject` what it was done to, `status` the
    HTTP status of the answer (0: there was none yet), `began` the id of the row that says that it began.
    """

    time: datetime
    actor: str
    address: str
    action: str
    subject: str = ""
    outcome: Outcome = Outcome.DONE
    status: int = 0
    detail: str = ""
    token: str | None = None
    began: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """An entry in its place in the chain: ids are 1, 2, 3, ...; `hash` is of this row with `previous` in it."""

    id: int
    entry: Entry
    previous: str
    hash: str


class Break(NamedTuple):
    """Where the chain doesn't hold: the id of the first row that is wrong, and what is wrong with it."""

    id: int
    reason: str


def append(entry: Entry, last: Row | None) -> Row:
    """The row of an entry after the last one that there is; texts are cut to what the table takes."""
    written = _written(entry)
    id_, previous = (1, FIRST) if last is None else (last.id + 1, last.hash)
    return Row(id_, written, previous, hash_of(id_, written, previous))


def hash_of(id_: int, entry: Entry, previous: str) -> str:
    """SHA-256 of a row as JSON (keys sorted, no blanks, ASCII, the time in UTC with microseconds), as hexadecimal."""
    values = {
        "id": id_,
        "time": entry.time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "actor": entry.actor,
        "token": entry.token,
        "address": entry.address,
        "action": entry.action,
        "subject": entry.subject,
        "outcome": entry.outcome.value,
        "status": entry.status,
        "detail": entry.detail,
        "began": entry.began,
        "previous": previous,
    }
    return hashlib.sha256(json.dumps(values, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def find_break(rows: Iterable[Row], last: Row | None) -> tuple[Row | None, Break | None]:
    """Walk rows that follow `last` (None: nothing does before them): the last good row, and where the chain breaks."""
    for row in rows:
        expected = 1 if last is None else last.id + 1
        if row.id != expected:
            return last, Break(expected, f"row {expected} is missing: row {row.id} is there in its place")
        if row.previous != (FIRST if last is None else last.hash):
            return last, Break(row.id, f"row {row.id} does not follow the row before it as that is now")
        if row.hash != hash_of(row.id, row.entry, row.previous):
            return last, Break(row.id, f"row {row.id} was changed after it was written")
        last = row
    return last, None


def _written(entry: Entry) -> Entry:
    return Entry(
        time=entry.time,
        actor=_clean(entry.actor, _LONGEST_ACTOR),
        address=_clean(entry.address, _LONGEST_ADDRESS),
        action=_clean(entry.action, _LONGEST_ACTION),
        subject=_clean(entry.subject, LONGEST),
        outcome=entry.outcome,
        status=entry.status,
        detail=_clean(entry.detail, LONGEST),
        token=None if entry.token is None else entry.token[:_LONGEST_TOKEN],
        began=entry.began,
    )


def _clean(text: str, longest: int) -> str:
    """One line that can be printed and that every database keeps as it is."""
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in without_secrets(text))
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"
