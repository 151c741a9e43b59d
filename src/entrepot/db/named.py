"""Rows that people name: found by name, else by id."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, RowMapping, Select, Table


def find_live(connection: Connection, query: Select[Any], table: Table, name_or_id: str | int) -> RowMapping | None:
    """The row of `query` that is not deleted and has this name in `table`, else this id."""
    live = query.where(table.c.deleted.is_(None))
    text = str(name_or_id)
    if "\0" in text:  # no name has it, and PostgreSQL takes no such value
        return None
    row = connection.execute(live.where(table.c.name == text)).mappings().one_or_none()
    if row is None and text.isascii() and text.isdigit() and len(text) <= 18:
        row = connection.execute(live.where(table.c.id == int(text))).mappings().one_or_none()
    return row
