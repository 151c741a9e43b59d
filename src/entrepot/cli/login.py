"""Commands that keep a token for a server on this machine, and drop it."""

from __future__ import annotations

import getpass
import os
import sys

from entrepot.cli.options import UsageFault
from entrepot.cli.output import printable, when
from entrepot.cli.session import Session, remote
from entrepot.core.errors import EntrepotError

_LONGEST = 4096


def login(session: Session) -> None:
    """Keep a token for a server, so that later commands need none.

    The token is asked for, or read from standard input. It is tried, and then kept in the file that other clients of
    package managers use too: ~/.ppm/tokens.toml.
    """
    address = _address(session)
    token = session.token or _asked_for()
    with session.connect_to(address, token) as client:
        who = client.whoami()
    _keep(session, address, token, "token", actor=who["actor"], expires=who["expires"])


def login_sso(session: Session) -> None:
    """Sign in to a server with a browser, on this machine or any other.

    The page that is printed asks whether this sign-in is allowed. The token of it is kept as 'entrepot login' keeps
    one, until the sign-in ends.
    """
    address = _address(session)
    with session.connect_to(address, None) as client:
        waiting = client.begin_device_login()
        # Not by Out.info: programs that ask for JSON need somebody to read this too.
        for line in ("Open this page in a browser:", f"  {waiting.address}", "and compare the code:"):
            print(printable(line), file=sys.stderr)
        print(printable(f"  {waiting.user_code}"), "Waiting ...", sep="\n", file=sys.stderr, flush=True)
        token = client.exchange_identity(client.wait_for_person(waiting))
    with session.connect_to(address, token) as client:
        who = client.whoami()
    _keep(session, address, token, "sso", actor=who["actor"], expires=who["expires"])


def logout(session: Session) -> None:
    """Drop the token that a login keeps for a server.

    One of 'entrepot login sso' is revoked too: nobody else has it.
    """
    from entrepot.client import tokenfile

    address = _address(session)
    dropped = tokenfile.forget(tokenfile.place(os.environ), address)
    revoked = 0
    for text in {entry.token for entry in dropped if entry.method == tokenfile.SSO}:
        try:
            with session.connect_to(address, text) as client:
                client.revoke_token(token=text)
            revoked += 1
        except EntrepotError as error:
            session.out.info(f"The token could not be revoked: {error}")
    document = {"address": address, "dropped": len(dropped), "revoked": revoked}
    session.out.result(document, [f"Logged out of {address}"] if dropped else [])
    if not dropped:
        session.out.info(f"There is no token for {address}")


def _address(session: Session) -> str:
    """Raises UsageFault: none is given."""
    address, _ = remote(session, os.environ)
    if not address:
        raise UsageFault("no server is named", hint="give its address: --address or ENTREPOT_ADDRESS")
    return address


def _asked_for() -> str:
    """A token that somebody types unseen, or standard input. Raises UsageFault."""
    text = getpass.getpass("Token: ") if sys.stdin.isatty() else sys.stdin.read(_LONGEST + 1)
    token = text.strip()
    if not token or len(text) > _LONGEST or not (token.isascii() and token.isprintable()):
        raise UsageFault("that is no token", hint="type it, or write it to standard input")
    return token


def _keep(session: Session, address: str, token: str, method: str, *, actor: str, expires: str | None) -> None:
    from entrepot.client import tokenfile

    path = tokenfile.place(os.environ)
    tokenfile.store(path, address, token, method)
    end = f", until {when(expires)}" if expires else ""
    document = {"address": address, "actor": actor, "expires": expires, "file": str(path)}
    session.out.result(document, [f"Logged in to {address} as {actor}{end}"])
    session.out.info(f"The token is kept in {path}")
