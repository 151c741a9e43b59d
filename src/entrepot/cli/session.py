"""What a run of the command line was told, and the connection that follows from it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from entrepot.cli.output import Out
from entrepot.core.errors import EntrepotError, Invalid

if TYPE_CHECKING:
    from entrepot.client import Client
    from entrepot.settings import Settings


_LARGEST_IDENTITY = 64 * 1024


class OutputFormat(StrEnum):
    HUMAN = "human"
    JSON = "json"


class Connection(NamedTuple):
    """A client, and whether the server runs in this process because none was there."""

    client: Client
    in_process: bool


@dataclass
class Session:
    """The persistent flags as far as they are known; None is "not given".

    `expects_json` is the guess at `output_format` until that was read.
    """

    address: str | None = None
    token: str | None = None
    config: str | None = None
    insecure: bool | None = None
    output_format: OutputFormat | None = None
    verbose: bool | None = None
    expects_json: bool = False
    has_warned: bool = field(default=False, init=False)

    def update(self, given: Mapping[str, Any]) -> None:
        """Take the flags that were given."""
        for name, value in given.items():
            if value is not None:
                setattr(self, name, value)
        if self.verbose:
            logging.basicConfig(format="%(name)s: %(message)s")
            logging.getLogger("entrepot").setLevel(logging.DEBUG)

    @property
    def out(self) -> Out:
        is_json = self.expects_json if self.output_format is None else self.output_format is OutputFormat.JSON
        return Out(as_json=is_json)

    def settings(self) -> Settings:
        """The settings of this machine's server.

        Raises:
            InvalidSettings: they are wrong.
        """
        from entrepot.settings import load_settings

        return load_settings(Path(self.config) if self.config else None, os.environ)

    def local_settings(self, command: str) -> Settings:
        """The settings for a command that works on this machine only.

        Raises:
            Invalid: the command line names a remote server.
        """
        if self.address:
            raise Invalid(
                f"'{command}' works on this machine's server only",
                hint="leave out --address; --config names the configuration",
            )
        return self.settings()

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A client of the server that was named, or else of this machine's, which is started if need be.

        Raises:
            Invalid: the file of an identity or of tokens can't be read.
            IdentityRefused: the server gives no token for the identity.
        """
        address, token = remote(self, os.environ)
        if address:
            with self._remote(address, token) as client:
                yield Connection(client, in_process=False)
            return
        from entrepot.client import Client

        settings = self.settings()
        from entrepot.web.local import open_local

        with open_local(settings) as local, Client(local.address, token=self.token or local.token) as client:
            yield Connection(client, in_process=local.in_process)

    @contextmanager
    def connect_to(self, address: str, token: str | None) -> Iterator[Client]:
        """A client of a server with that token or none, wherever others could be found."""
        from entrepot.client import Client

        if token:
            self._warn_of_listeners(address)
        with Client(address, token=token, insecure=bool(self.insecure)) as client:
            yield client

    @contextmanager
    def _remote(self, address: str, token: str | None) -> Iterator[Client]:
        """A client of a remote server, with the token that was given, that is given for an identity, or that was kept
        at a login."""
        from entrepot.client import tokenfile

        kept: Path | None = None
        identity = None if token else identity_file(self, os.environ)
        if identity is not None:
            text = _identity(identity)
            self._warn_of_listeners(address)
            with self.connect_to(address, None) as client:
                token = client.exchange_identity(text)
        elif token is None:
            path = tokenfile.place(os.environ)
            found = tokenfile.find(path, address)
            token, kept = (found.token, path) if found else (None, None)
        try:
            with self.connect_to(address, token) as client:
                yield client
        except EntrepotError as error:
            if getattr(error, "status", None) == 401:
                if kept is not None:
                    error.hint = f"the token in {kept} is not good any more: `entrepot login` or `entrepot login sso`"
                elif error.hint is not None:
                    error.hint = "give a token: --token, ENTREPOT_TOKEN, `entrepot login` or `entrepot login sso`"
            raise

    def _warn_of_listeners(self, address: str) -> None:
        """Say once that a token goes over the network as it is."""
        url = urlsplit(address.strip())
        if self.has_warned or url.scheme != "http" or _is_loopback(url.hostname or ""):
            return
        self.has_warned = True
        self.out.info(f"Warning: the token goes to {url.hostname} without encryption; use https")


def remote(session: Session, env: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Address and token: from flags, else `ENTREPOT_*`, else `PACKAGEMANAGER_*`; empty is not given.

    An address that was set for Entrepot never gets the token that was set for the other product.
    """
    own = (env.get("ENTREPOT_ADDRESS"), env.get("ENTREPOT_TOKEN"))
    other = (env.get("PACKAGEMANAGER_ADDRESS"), env.get("PACKAGEMANAGER_TOKEN"))
    address = session.address or own[0] or other[0]
    is_own = not session.address and bool(own[0])
    token = session.token or own[1] or (None if is_own else other[1])
    return address or None, token or None


def identity_file(session: Session, env: Mapping[str, str]) -> Path | None:
    """The file with an ID token, as `ENTREPOT_IDENTITY_TOKEN_FILE` or the other product's variable name it.

    As for tokens, what was set for the other product isn't sent to an address that was set for Entrepot.
    """
    is_own = not session.address and bool(env.get("ENTREPOT_ADDRESS"))
    other = None if is_own else env.get("PACKAGEMANAGER_IDENTITY_TOKEN_FILE")
    named = env.get("ENTREPOT_IDENTITY_TOKEN_FILE") or other
    return Path(named) if named else None


def _identity(path: Path) -> str:
    """Raises Invalid."""
    hint = "it is what ENTREPOT_IDENTITY_TOKEN_FILE or PACKAGEMANAGER_IDENTITY_TOKEN_FILE names"
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_IDENTITY + 1)
        text = data.decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = (getattr(error, "strerror", None) or "it is no text").lower()
        raise Invalid(f"the identity token file {path} can't be read: {why}", hint=hint) from None
    if not text or len(data) > _LARGEST_IDENTITY:
        raise Invalid(f"the identity token file {path} holds no token", hint=hint)
    return text


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False
