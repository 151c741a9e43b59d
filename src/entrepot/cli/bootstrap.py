"""Commands that make the first token of a server over the network."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from entrepot.cli.options import UsageFault
from entrepot.cli.output import when
from entrepot.cli.session import Session, remote
from entrepot.core.errors import FileExists
from entrepot.core.lifetimes import parse_lifetime

PRIVATE = "bootstrap.key"
PUBLIC = "bootstrap.pub"
_LARGEST = 64 * 1024


def bootstrap(
    session: Session,
    *,
    private_key: Annotated[
        str, typer.Option("--private-key", metavar="FILE", help="The private key of 'entrepot bootstrap keys'.")
    ],
    expires: Annotated[
        str, typer.Option("--expires", metavar="TIME", help="When the token ends: 30s, 15m, 5h, 20d or never.")
    ] = "never",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the token and nothing else.")] = False,
) -> None:
    """Make the first token of a server that nobody can log in to.

    The server knows the public half of the key ([bootstrap] public_key) and nobody has a token with global:admin yet.
    The token goes to standard output, all other words to standard error. Nobody but the holder of the key can read it
    on its way.
    """
    address, _ = remote(session, os.environ)
    if not address:
        raise UsageFault("no server is named", hint="give its address: --address or ENTREPOT_ADDRESS")
    lifetime = parse_lifetime(expires)
    with Path(private_key).open("rb") as file:
        key = file.read(_LARGEST)
    with session.connect_to(address, None) as client:
        made = client.bootstrap(key, lifetime=lifetime)
    session.out.result(made._asdict(), [made.token])
    if not quiet:
        end = f"until {when(made.expires)}" if made.expires else "until it is revoked"
        session.out.info(f"Created token {made.guid} for global:admin, good {end}.", "It is not shown again.")


def bootstrap_keys(
    session: Session,
    *,
    out: Annotated[str, typer.Option("--out", metavar="FOLDER", help="Folder for the two files.")] = ".",
) -> None:
    """Make the key pair of a bootstrap.

    bootstrap.key is for whoever makes the first token, and for nobody else; what bootstrap.pub holds goes to the server
    as [bootstrap] public_key, as its public_key_file, or as ENTREPOT_BOOTSTRAP__PUBLIC_KEY.
    """
    from entrepot.client.bootstrap import make_keys

    private, public = Path(out) / PRIVATE, Path(out) / PUBLIC
    for path in (private, public):
        if path.exists():
            raise FileExists(f"{path} is there already", hint="choose another folder: --out, or delete it")
    private.parent.mkdir(parents=True, exist_ok=True)
    keys = make_keys()
    _write(private, keys.private, 0o600)
    _write(public, keys.public, 0o644)
    document = {"private_key": str(private), "public_key": str(public)}
    session.out.result(document, [f"Private key: {private}", f"Public key: {public}"])


def _write(path: Path, data: bytes, mode: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
