"""Snapshots that can't be served: which ones can, and the nearest of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from entrepot.web.ui.asking import Refused
from entrepot.web.ui.paths import link
from entrepot.web.ui.texts import text
from entrepot.web.ui.turns import Turn

NO_SNAPSHOT = "snapshot-not-found"
"""The code of the API's error."""


@dataclass(frozen=True, slots=True)
class Range:
    """What a repository can be used as of.

    Attributes:
        first, last: days as the API writes them; None while there is none.
        nearest: the day next to the one that can't be used; None where no day was asked for, or there is none.
    """

    first: str | None
    last: str | None
    nearest: str | None


async def range_of(turn: Turn, repo: str, refused: Refused) -> Range:
    """What can be used in place of a snapshot that the API refused."""
    days: Mapping[str, Any] = await turn.api.get("repos", repo, "days")
    first, last = days["first"], days["last"]
    wanted = str(refused.payload.get("day") or "")
    nearest = min(max(wanted, first), last) if wanted and first and last else None
    return Range(first, last, nearest)


async def ways(turn: Turn, refused: Refused) -> tuple[Markup, list[tuple[str, str]]] | None:
    """For the page of an error: a heading, and (text, URL) of the same page at other snapshots. None: the error is
    another one."""
    repo = turn.path.get("repo")
    if refused.kind != NO_SNAPSHOT or repo is None:
        return None
    found, root = await range_of(turn, repo, refused), turn.visit.root
    links: list[tuple[str, str]] = []
    if found.nearest:
        links.append((text("snapshot.help.nearest", day=found.nearest), root + turn.but(snapshot=found.nearest)))
    links.append((text("snapshot.help.latest"), root + turn.but(snapshot=None)))
    if found.first is None or found.last is None:
        return text("snapshot.help.none"), links
    if not found.nearest:
        links.append((text("snapshot.help.last", day=found.last), root + turn.but(snapshot=found.last)))
        links.append((text("snapshot.help.first", day=found.first), root + turn.but(snapshot=found.first)))
    calendar = link("repos", repo, "calendar", back=turn.but(snapshot=None))
    links.append((text("snapshot.help.calendar"), root + calendar))
    return text("snapshot.help.heading"), links
