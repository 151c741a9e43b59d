"""The rules of system requirements that are in use: one row, or none before they were read."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic_core import from_json, to_json
from sqlalchemy import Connection, delete, insert, select

from entrepot.db.schema import requirement_rules

_ID = 1


@dataclass(frozen=True, slots=True)
class RulesRead:
    """Where and when the rules were read, their SHA-256, and a line for each file or pattern that is left out."""

    origin: str
    read: datetime
    digest: str
    faults: tuple[str, ...]


def find(connection: Connection) -> RulesRead | None:
    """None before rules were read."""
    columns = (requirement_rules.c.origin, requirement_rules.c.read, requirement_rules.c.digest)
    row = connection.execute(select(*columns, requirement_rules.c.faults)).one_or_none()
    return RulesRead(row.origin, row.read, row.digest, tuple(row.faults)) if row is not None else None


def rules(connection: Connection) -> dict[str, Any]:
    """File's name -> rule as plain JSON."""
    packed = connection.execute(select(requirement_rules.c.rules)).scalar_one_or_none()
    found: dict[str, Any] = from_json(zlib.decompress(packed)) if packed is not None else {}
    return found


def replace(connection: Connection, told: RulesRead, rules: Mapping[str, Any]) -> None:
    """Use these rules from now on."""
    connection.execute(delete(requirement_rules))
    faults: Sequence[str] = list(told.faults)
    values = {"origin": told.origin, "read": told.read, "digest": told.digest, "faults": faults}
    connection.execute(insert(requirement_rules).values(id=_ID, rules=zlib.compress(to_json(rules), 9), **values))
