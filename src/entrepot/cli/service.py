"""Commands that start processes or look after this machine's installation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from entrepot.cli.session import Session


def serve(session: Session) -> None:
    """Run the server until it is told to stop.

    SIGTERM or Ctrl-C stop it.
    """
    settings = session.local_settings("serve")
    from entrepot.web.main import serve as run

    run(settings)


def worker(session: Session) -> None:
    """Run background work alone, without HTTP, until it is told to stop.

    Beside the servers of other nodes on PostgreSQL; on SQLite only while no server runs. SIGTERM or Ctrl-C stop it.
    """
    settings = session.local_settings("worker")
    from entrepot.web.worker import work

    work(settings)


def migrate(session: Session) -> None:
    """Bring the database's schema up to this version."""
    settings = session.local_settings("migrate")
    from entrepot.app import migrate as run

    done = run(settings)
    session.out.result({"done": done}, [done])


def check_config(session: Session) -> None:
    """Check the configuration and print it.

    Prints the values in effect, without passwords.
    """
    settings = session.local_settings("check-config")
    from entrepot.settings import describe

    values = describe(settings)
    session.out.result({"valid": True, "settings": values}, _sections(values))
    session.out.info("configuration is valid")


def _sections(values: Mapping[str, Any], name: str = "") -> Iterator[str]:
    """Nested values in the manner of TOML: plain values first, then one section per mapping."""
    plain = {key: value for key, value in values.items() if not isinstance(value, Mapping)}
    if plain and name:
        yield f"[{name}]"
    for key, value in plain.items():
        yield f"{key} = {json.dumps(value, default=str, ensure_ascii=False)}" if value is not None else f"# {key}"
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _sections(value, f"{name}.{key}" if name else key)
