"""What may be used once: signed requests that are good for minutes, and have been used."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from entrepot.db.accessschema import used_once


def use(connection: Connection, digest: str, *, now: datetime, expires: datetime) -> bool:
    """Use what has that hash, which is refused anyway after `expires`; whether it was not used before."""
    connection.execute(delete(used_once).where(used_once.c.expires < now))
    if connection.execute(select(used_once.c.digest).where(used_once.c.digest == digest)).first() is not None:
        return False
    connection.execute(insert(used_once).values(digest=digest, expires=expires))
    return True
