"""Rows of device logins: programs that wait for a person to say in a browser that they may sign in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from entrepot.db.accessschema import device_logins


class State(StrEnum):
    """How far a device login is. What is given to the program is given once, and good once."""

    WAITING = "waiting"
    APPROVED = "approved"
    DENIED = "denied"
    GIVEN = "given"
    REDEEMED = "redeemed"


@dataclass(frozen=True, slots=True)
class DeviceLogin:
    """A device login without its secrets. `interval` is in seconds, `address` where the program is, `token_id` the
    session of the person who approved."""

    id: int
    user_code: str
    challenge: str
    state: State
    interval: int
    created: datetime
    expires: datetime
    polled: datetime | None
    address: str
    token_id: int | None


_SHOWN = [device_logins.c[name] for name in DeviceLogin.__slots__]


def add(
    connection: Connection,
    *,
    code: str,
    user_code: str,
    challenge: str,
    interval: int,
    address: str,
    now: datetime,
    expires: datetime,
) -> None:
    """`code` is the hash of the device code."""
    values = {
        "code": code,
        "user_code": user_code,
        "challenge": challenge,
        "state": State.WAITING.value,
        "interval": interval,
        "created": now,
        "expires": expires,
        "address": address[:64],
    }
    connection.execute(insert(device_logins).values(values))


def waiting(connection: Connection, now: datetime) -> dict[str, int]:
    """Address -> how many wait there."""
    query = (
        select(device_logins.c.address, func.count().label("waiting"))
        .where(device_logins.c.state == State.WAITING.value, device_logins.c.expires > now)
        .group_by(device_logins.c.address)
    )
    return {row.address: row.waiting for row in connection.execute(query)}


def is_taken(connection: Connection, user_code: str) -> bool:
    query = select(device_logins.c.id).where(device_logins.c.user_code == user_code)
    return connection.execute(query).first() is not None


def by_code(connection: Connection, code: str) -> DeviceLogin | None:
    """The one whose device code has that hash."""
    row = connection.execute(select(*_SHOWN).where(device_logins.c.code == code)).mappings().one_or_none()
    return _login(row) if row else None


def open_by_user_code(connection: Connection, user_code: str, now: datetime) -> DeviceLogin | None:
    """The one that waits under that user code."""
    query = select(*_SHOWN).where(
        device_logins.c.user_code == user_code,
        device_logins.c.state == State.WAITING.value,
        device_logins.c.expires > now,
    )
    row = connection.execute(query).mappings().one_or_none()
    return _login(row) if row else None


def decide(connection: Connection, id_: int, state: State, *, token_id: int) -> None:
    """Write down what a person said, who is known by their session."""
    query = update(device_logins).where(device_logins.c.id == id_)
    connection.execute(query.values(state=state.value, token_id=token_id))


def set_polled(connection: Connection, id_: int, now: datetime, interval: int) -> None:
    query = update(device_logins).where(device_logins.c.id == id_)
    connection.execute(query.values(polled=now, interval=interval))


def give(connection: Connection, id_: int, *, identity: str, expires: datetime) -> None:
    """The program was given an identity with that hash, which is good until `expires`."""
    query = update(device_logins).where(device_logins.c.id == id_)
    connection.execute(query.values(state=State.GIVEN.value, identity=identity, expires=expires))


def redeem(connection: Connection, identity: str, now: datetime) -> DeviceLogin | None:
    """Take the identity with that hash, which is then used; None if it isn't good, or was used before."""
    query = (
        update(device_logins)
        .where(
            device_logins.c.identity == identity,
            device_logins.c.state == State.GIVEN.value,
            device_logins.c.expires > now,
        )
        .values(state=State.REDEEMED.value)
        .returning(*_SHOWN)
    )
    row = connection.execute(query).mappings().one_or_none()
    return _login(row) if row else None


def drop_ended(connection: Connection, before: datetime) -> None:
    """Forget those that ended before that time."""
    connection.execute(delete(device_logins).where(device_logins.c.expires < before))


def _login(row: RowMapping) -> DeviceLogin:
    return DeviceLogin(**{**row, "state": State(row["state"])})
