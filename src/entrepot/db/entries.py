"""The index entries of very many files at once, whichever these are."""

from __future__ import annotations

import json
from collections.abc import Collection

from sqlalchemy import ARRAY, BigInteger, ColumnElement, Connection, any_, bindparam, func, select

from entrepot.db import bulk
from entrepot.db.schema import files


def of(connection: Connection, file_ids: Collection[int]) -> dict[int, str | None]:
    """File id -> `File.fields`, in one statement with one parameter."""
    query = select(files.c.id, files.c.fields).where(_among(connection, list(file_ids)))
    return dict(bulk.rows(connection, query))


def _among(connection: Connection, file_ids: list[int]) -> ColumnElement[bool]:
    if connection.dialect.name == "sqlite":
        return files.c.id.in_(select(func.json_each(json.dumps(file_ids)).table_valued("value").c.value))
    return files.c.id == any_(bindparam(None, file_ids, type_=ARRAY(BigInteger), unique=True))
