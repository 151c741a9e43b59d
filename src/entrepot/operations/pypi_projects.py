"""Many projects of a mirror at one cut: each read from upstream if it has to be, several at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from entrepot.app import App
from entrepot.core.errors import TooLarge
from entrepot.core.model import Listed, PackageName
from entrepot.core.snapshots import PRESENT, Cut
from entrepot.db import projects as db_projects
from entrepot.db import readings
from entrepot.operations.drafting import State
from entrepot.operations.serving import patiently
from entrepot.operations.view import DatabaseView
from entrepot.sources import projects

MOST_PROJECTS = 5000
"""Projects of one list; each may have to be read from upstream."""
_AT_ONCE = 8
T = TypeVar("T")
N = TypeVar("N")


def rows_of(app: App, state: State, cut: Cut, names: Sequence[PackageName]) -> dict[PackageName, list[Listed]]:
    """All files of some projects at a cut of the mirror, each read from upstream if it has to be."""
    if len(names) > MOST_PROJECTS:
        raise TooLarge(
            f"the list has {len(names)} projects; at most {MOST_PROJECTS} are taken", hint="split the source"
        )

    def rows(name: PackageName) -> list[Listed]:
        _see_fresh(app, state, cut, name)
        return patiently(lambda: DatabaseView(app, [cut], {state.base.id: state.base}).of_package(name))

    return dict(zip(names, at_once(rows, names), strict=True))


def at_once(ask: Callable[[N], T], names: Sequence[N]) -> list[T]:
    """What `ask` gives for each, in their order; several are asked at once."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(ask, names))


def _see_fresh(app: App, state: State, cut: Cut, name: PackageName) -> None:
    """Read a project again whose newest reading is too old to tell what there is now."""
    if cut.at is not None:
        return
    with app.db.read() as connection:
        known = db_projects.state(connection, state.base.id, name)
    if known is not None and known.checked + app.settings.pypi.refresh <= app.clock().timestamp():
        asyncio.run(projects.read(app, state.base, name).result())


def alike(app: App, state: State, name: PackageName) -> list[PackageName]:
    """The names of the index that begin as this one, if its list of names was read."""
    with app.db.read() as connection:
        listed = db_projects.names_state(connection, Cut(state.base.id, PRESENT))
        return readings.names_beginning(connection, state.base.id, listed[0], name[:2]) if listed is not None else []
