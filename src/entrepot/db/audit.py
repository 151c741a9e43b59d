"""Rows of the audit log. There are two statements that write: the insert here, and none that changes a row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, func, insert, or_, select

from entrepot.core.audit import Entry, Outcome, Row, append
from entrepot.db.accessschema import audit


class Wanted(NamedTuple):
    """Which rows are asked for; None: any. `since` is the first time, `until` the first that isn't wanted any more."""

    since: datetime | None = None
    until: datetime | None = None
    actor: str | None = None
    action: str | None = None
    outcome: Outcome | None = None


def last(connection: Connection) -> Row | None:
    """The newest row."""
    found = connection.execute(select(audit).order_by(audit.c.id.desc()).limit(1)).mappings().one_or_none()
    return _row(found) if found is not None else None


def add(connection: Connection, entries: Sequence[Entry]) -> list[Row]:
    """Write entries down after the last row. The connection has the writers' lock, so that ids have no gaps."""
    rows: list[Row] = []
    before = last(connection)
    for entry in entries:
        rows.append(append(entry, rows[-1] if rows else before))
    if rows:
        connection.execute(insert(audit), [_values(row) for row in rows])
    return rows


def after(connection: Connection, id_: int, limit: int) -> list[Row]:
    """Rows behind that id, in their order."""
    query = select(audit).where(audit.c.id > id_).order_by(audit.c.id).limit(limit)
    return [_row(found) for found in connection.execute(query).mappings()]


def acts(connection: Connection, wanted: Wanted, *, ascending: bool, limit: int, offset: int) -> tuple[list[Row], int]:
    """Acts, each by its last row, the newest first if not `ascending`, and how many there are.

    That an act began is told by a row of its own; it is in the way as soon as there is one that tells how it ended.
    """
    conditions = _conditions(wanted)
    total: int = connection.execute(select(func.count()).select_from(audit).where(*conditions)).scalar_one()
    order = audit.c.id if ascending else audit.c.id.desc()
    query: Select[Any] = select(audit).where(*conditions).order_by(order).limit(limit).offset(offset)
    return [_row(found) for found in connection.execute(query).mappings()], total


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    ends = audit.alias("ends")
    has_ended = select(ends.c.id).where(ends.c.began == audit.c.id).exists()
    conditions: list[ColumnElement[bool]] = [or_(audit.c.outcome != Outcome.BEGUN.value, ~has_ended)]
    if wanted.since is not None:
        conditions.append(audit.c.time >= wanted.since)
    if wanted.until is not None:
        conditions.append(audit.c.time < wanted.until)
    for column, value in ((audit.c.actor, wanted.actor), (audit.c.action, wanted.action)):
        if value is not None:
            conditions.append(column == value)
    if wanted.outcome is not None:
        conditions.append(audit.c.outcome == wanted.outcome.value)
    return conditions


def _values(row: Row) -> dict[str, Any]:
    entry = row.entry
    values = {name: getattr(entry, name) for name in Entry.__slots__}
    return {**values, "outcome": entry.outcome.value, "id": row.id, "previous": row.previous, "hash": row.hash}


def _row(found: RowMapping) -> Row:
    values = {name: found[name] for name in Entry.__slots__}
    return Row(found["id"], Entry(**{**values, "outcome": Outcome(found["outcome"])}), found["previous"], found["hash"])
