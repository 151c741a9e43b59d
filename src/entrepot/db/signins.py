"""Rows of sign-ins of people that are at the provider just now."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete, insert, select

from entrepot.db.accessschema import sign_ins


class SignIn(NamedTuple):
    """What was sent along, or kept, when a sign-in began. `next` is the page to go on to."""

    nonce: str
    verifier: str
    next: str
    expires: datetime


def add(connection: Connection, *, state: str, browser: str, sign_in: SignIn) -> None:
    """`state` and `browser` are hashes of the parameter and of the cookie."""
    connection.execute(insert(sign_ins).values(state=state, browser=browser, **sign_in._asdict()))


def take(connection: Connection, *, state: str, browser: str, now: datetime) -> SignIn | None:
    """The sign-in of that state, which is then gone; None if it isn't that browser's, is over or was taken before."""
    query = (
        delete(sign_ins)
        .where(sign_ins.c.state == state, sign_ins.c.browser == browser, sign_ins.c.expires > now)
        .returning(sign_ins.c.nonce, sign_ins.c.verifier, sign_ins.c.next, sign_ins.c.expires)
    )
    row = connection.execute(query).one_or_none()
    return SignIn(*row) if row else None


def drop(connection: Connection, *, before: datetime, keep: int) -> None:
    """Forget those that are over, and of the others all but the newest `keep`."""
    connection.execute(delete(sign_ins).where(sign_ins.c.expires <= before))
    oldest_kept = select(sign_ins.c.expires).order_by(sign_ins.c.expires.desc()).offset(keep).limit(1).scalar_subquery()
    connection.execute(delete(sign_ins).where(sign_ins.c.expires <= oldest_kept))
