"""What a run of the command line was told, and the connection that follows from it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from entrepot.cli.output import Out
from entrepot.core.errors import Invalid

if TYPE_CHECKING:
    from entrepot.client import Client
    from entrepot.settings import Settings


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
        """A client of the server that was named, or else of this machine's, which is started if need be."""
        from entrepot.client import Client

        address, token = remote(self, os.environ)
        if address:
            with Client(address, token=token, insecure=bool(self.insecure)) as client:
                yield Connection(client, in_process=False)
            return
        settings = self.settings()
        from entrepot.web.local import open_local

        with open_local(settings) as local, Client(local.address, token=self.token or local.token) as client:
            yield Connection(client, in_process=local.in_process)


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
