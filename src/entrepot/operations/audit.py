"""The audit log, read: who did what, and whether anybody changed what is written there."""

from __future__ import annotations

from typing import NamedTuple

from entrepot.app import App
from entrepot.core.audit import Break, Row, find_break
from entrepot.db import audit as db_audit
from entrepot.db.audit import Wanted
from entrepot.operations.browsing import Page

_AT_ONCE = 2000


class Known(NamedTuple):
    """A row as somebody noted it elsewhere: without one, nobody sees that the last rows are gone."""

    id: int
    hash: str


class Verified(NamedTuple):
    """What came of a walk along the chain: how many rows hold, the last of them, and where it breaks, if it does."""

    rows: int
    last: Row | None
    broken: Break | None


def list_acts(app: App, wanted: Wanted, *, ascending: bool, page: Page) -> tuple[list[Row], int]:
    """Acts, each by its last row, and how many there are."""
    with app.db.read() as connection:
        return db_audit.acts(connection, wanted, ascending=ascending, limit=page.limit, offset=page.offset)


def verify(app: App, known: Known | None = None) -> Verified:
    """Walk the whole chain, in steps, so that nobody waits for it.

    Args:
        known: a row that must be in it.
    """
    last: Row | None = None
    broken: Break | None = None
    while broken is None:
        with app.db.read() as connection:
            rows = db_audit.after(connection, 0 if last is None else last.id, _AT_ONCE)
        if not rows:
            break
        if known is not None:
            broken = next((_differs(row, known) for row in rows if row.id == known.id and row.hash != known.hash), None)
        if broken is not None:
            rows = [row for row in rows if row.id < broken.id]
        last, found = find_break(rows, last)
        broken = found or broken
    if broken is None and known is not None and (last is None or last.id < known.id):
        count = 0 if last is None else last.id
        broken = Break(count + 1, f"rows {count + 1} to {known.id} are missing at the end")
    return Verified(0 if last is None else last.id, last, broken)


def _differs(row: Row, known: Known) -> Break:
    return Break(row.id, f"row {row.id} is not the one that was known: its hash was {known.hash}")
