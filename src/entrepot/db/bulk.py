"""Very many rows at once, at the price of one: what SQLAlchemy does for each row of a result is left out."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any

from pydantic_core import from_json
from sqlalchemy import ARRAY, ColumnElement, Connection, Select, String, any_, bindparam, func, select


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


def among(connection: Connection, column: ColumnElement[str], values: Collection[str]) -> ColumnElement[bool]:
    """The condition that a column of text has one of many values: one parameter, however many they are."""
    values = [value for value in values if "\0" not in value]  # none has it, and PostgreSQL takes no such value
    if connection.dialect.name == "sqlite":
        return column.in_(select(func.json_each(json.dumps(values)).table_valued("value").c.value))
    return column == any_(bindparam(None, values, type_=ARRAY(String), unique=True))
