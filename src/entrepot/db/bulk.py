"""Very many rows at once, at the price of one: what SQLAlchemy does for each row of a result is left out."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from pydantic_core import from_json, to_json
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    String,
    Table,
    any_,
    bindparam,
    func,
    select,
)

_FEW = 2000


def rows(connection: Connection, query: Select[Any]) -> Iterator[tuple[Any, ...]]:
    """The rows of a query for columns of numbers and text, as the driver gives them.

    SQLite makes one JSON document of each column. Its driver lets go of the interpreter's lock at each row and has to
    wait for it again: beside a thread that computes, 25,000 rows would take minutes.
    """
    if connection.dialect.name == "sqlite":
        documents = [func.json_group_array(column) for column in query.selected_columns]
        (packed,) = connection.execute(query.with_only_columns(*documents, maintain_column_froms=True))
        # Few of the strings are alike, so looking for those that were met before costs more than it spares.
        return zip(*(from_json(document, cache_strings="none") for document in packed), strict=True)
    with connection.execute(query) as result:
        return iter(result.cursor.fetchall() if result.cursor is not None else ())


def insert(connection: Connection, table: Table, columns: Sequence[str], values: Sequence[tuple[Any, ...]]) -> None:
    """Rows of numbers and text as they are, by the driver: for each SQLAlchemy would take longer than the insert.

    SQLite's driver lets go of the interpreter's lock at each row, and has to wait for it again while it holds the
    database's. Some hundred rows therefore go in as one JSON document: that takes longer on an idle machine, but
    without the interpreter. Very many at once are not written while somebody waits, and would take twice their time.
    """
    names = ", ".join(columns)
    if connection.dialect.name == "sqlite" and len(values) <= _FEW:
        facts = ", ".join(f"value ->> {number}" for number in range(len(columns)))
        statement = f"INSERT INTO {table.name} ({names}) SELECT {facts} FROM json_each(?)"
        connection.exec_driver_sql(statement, (to_json(values).decode(),))
        return
    mark = "?" if connection.dialect.paramstyle == "qmark" else "%s"
    statement = f"INSERT INTO {table.name} ({names}) VALUES ({', '.join([mark] * len(columns))})"
    for start in range(0, len(values), 5000):
        connection.exec_driver_sql(statement, list(values[start : start + 5000]))


def among_ids(connection: Connection, column: ColumnElement[int], values: Collection[int]) -> ColumnElement[bool]:
    """As `among`, of a column of numbers: drivers take no more than some ten thousand parameters."""
    if connection.dialect.name == "sqlite":
        return column.in_(select(func.json_each(json.dumps(list(values))).table_valued("value").c.value))
    return column == any_(bindparam(None, list(values), type_=ARRAY(BigInteger), unique=True))


def among(connection: Connection, column: ColumnElement[str], values: Collection[str]) -> ColumnElement[bool]:
    """The condition that a column of text has one of many values: one parameter, however many they are."""
    values = [value for value in values if "\0" not in value]  # none has it, and PostgreSQL takes no such value
    if connection.dialect.name == "sqlite":
        return column.in_(select(func.json_each(json.dumps(values)).table_valued("value").c.value))
    return column == any_(bindparam(None, values, type_=ARRAY(String), unique=True))
