"""Ways to go on from a page of an error."""

from __future__ import annotations

from typing import NamedTuple

from markupsafe import Markup

from entrepot.core.errors import EntrepotError
from entrepot.core.nearnames import near
from entrepot.web.ui import snapshots
from entrepot.web.ui.asking import Refused
from entrepot.web.ui.paths import link
from entrepot.web.ui.texts import text
from entrepot.web.ui.turns import Turn

MOST = 30


class Ways(NamedTuple):
    """A heading, and what stands below it: (text, URL) each."""

    heading: Markup
    links: list[tuple[str, str]]


async def ways_on(turn: Turn, error: EntrepotError) -> list[Ways]:
    """What may have been meant, or what there is instead. Empty where nothing helps."""
    if not isinstance(error, Refused):
        return []
    if error.status in (401, 403, 404) and "repo" in turn.path and error.kind in _NO_REPOSITORY:
        return await _repositories(turn, turn.path["repo"])
    snapshots_ = await snapshots.ways(turn, error)
    return [Ways(*snapshots_)] if snapshots_ is not None else []


_NO_REPOSITORY = ("repository-not-found", "unauthenticated", "forbidden")


async def _repositories(turn: Turn, wanted: str) -> list[Ways]:
    try:
        names = [repo["name"] for repo in await turn.api.get("repos")]
    except Refused:
        return []
    close = near(wanted, names)
    found = [Ways(text("message.near"), _packages(turn, close))] if close else []
    return [*found, Ways(text("message.repositories"), _packages(turn, sorted(names)[:MOST]))] if names else found


def _packages(turn: Turn, names: list[str]) -> list[tuple[str, str]]:
    return [(name, turn.visit.root + link("repos", name, "packages")) for name in names]
