"""Commands on tokens, and who asks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from entrepot.cli.options import UsageFault, split_list
from entrepot.cli.output import when
from entrepot.cli.session import Session, remote

if TYPE_CHECKING:
    from entrepot.client import Token

SCOPES = "repos:read, sources:write, blocklist:read, blocklist:admin, metadata:read, metadata:admin or global:admin"


def create_token(
    session: Session,
    *,
    scope: Annotated[list[str], typer.Option("--scope", metavar="SCOPE,...", help=f"What it may do: {SCOPES}.")],
    description: Annotated[str, typer.Option("--description", metavar="TEXT", help="Who or what will use it.")],
    repos: Annotated[
        list[str] | None, typer.Option("--repos", metavar="NAME,...", help="For repos:read: which; '*' for all.")
    ] = None,
    sources: Annotated[
        list[str] | None, typer.Option("--sources", metavar="NAME,...", help="For sources:write: which; '*' for all.")
    ] = None,
    expires: Annotated[
        str, typer.Option("--expires", metavar="TIME", help="When it ends: 30s, 15m, 5h, 20d or never.")
    ] = "never",
    user: Annotated[
        str | None, typer.Option("--user", metavar="NAME", help="Whose it is; else it is that of whoever makes it.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the token and nothing else.")] = False,
) -> None:
    """Make a token for a person or a program.

    The token goes to standard output, all other words to standard error. It is shown this once: the server keeps only
    what it can recognise it by. It stays good when a repository or source that it is for is renamed.
    """
    with session.connect() as (client, _):
        token = client.create_token(
            split_list(scope),
            repos=split_list(repos),
            sources=split_list(sources),
            description=description,
            expires=expires,
            user=user,
        )
    session.out.result(token, [token["token"]])
    if not quiet:
        end = f"until {when(token['expires'])}" if token["expires"] else "until it is revoked"
        session.out.info(
            f"Created token {token['guid']} of {token['user']} for {' '.join(token['scopes'])}, good {end}.",
            "It is not shown again.",
        )


def list_tokens(
    session: Session,
    *,
    expired: Annotated[bool, typer.Option("--expired", help="Also those that ended by themselves.")] = False,
    revoked: Annotated[bool, typer.Option("--revoked", help="Also those that were revoked.")] = False,
    all_kinds: Annotated[
        bool, typer.Option("--all", help="Also those of sign-ins and of programs that an issuer vouches for.")
    ] = False,
) -> None:
    """List the tokens, the newest first; never what is secret of them."""
    with session.connect() as (client, _):
        tokens = client.list_tokens(expired=expired, revoked=revoked, kind="all" if all_kinds else "api")
    lines = [line for token in tokens for line in _lines(token)]
    session.out.result(tokens, ["Tokens:", *lines] if lines else [])
    if not lines:
        session.out.info("There are none; 'entrepot create token' makes one")


def revoke_token(
    session: Session,
    *,
    guid: Annotated[
        str | None, typer.Option("--guid", metavar="GUID", help="Which one, as 'entrepot list tokens' has it.")
    ] = None,
) -> None:
    """End a token, and the sign-ins that it was used for.

    Name it by its --guid, or give the token itself as --token: it then ends itself, for which it needs no other right.
    """
    if guid is None and session.token is None:
        raise UsageFault("no token is named", hint="give --guid, or the token itself as --token")
    text = None
    if guid is None:
        text = session.token
        # On this machine the administrator does it, also where the token may not be used any more.
        session.token = text if remote(session, os.environ)[0] else None
    with session.connect() as (client, _):
        token = client.revoke_token(guid=guid, token=text)
    session.out.result(token, [f"Revoked token {token['guid']} of {token['user']}"])


def whoami(session: Session) -> None:
    """Show whom the server takes one for, and what that one may do."""
    with session.connect() as (client, _):
        who = client.whoami()
    lines = [who["actor"], f"  Scopes: {' '.join(who['scopes']) or 'none'}"]
    if who["guid"]:
        lines += [f"  Token: {who['guid']}", f"  Expires: {when(who['expires'])}"]
    if who["via"]:
        lines.append(f"  Signed in by: {who['via']}")
    session.out.result(who, lines)


def _lines(token: Token) -> Iterator[str]:
    yield f"- {token['guid']} ({token['start']}...)"
    yield f"    Description: {token['description']}"
    yield f"    User: {token['user']}"
    yield f"    Scopes: {' '.join(token['scopes']) or 'none'}"
    if token["via"]:
        yield f"    Signed in by: {token['via']}"
    yield f"    Expires: {when(token['expires'])}" + (" (expired)" if token["state"] == "expired" else "")
    if token["revoked"]:
        yield f"    Revoked: {when(token['revoked'])} by {token['revoked_by']}"
    yield f"    Last used: {when(token['last_used'])}" + (
        f" from {token['last_address']}" if token["last_address"] else ""
    )
