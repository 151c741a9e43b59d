"""The home page: a search in all repositories, and these themselves, as far as the visitor sees them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from entrepot.web.context import Context
from entrepot.web.origin import base_of
from entrepot.web.ui.asking import Refused
from entrepot.web.ui.finding import answered
from entrepot.web.ui.paths import OLD
from entrepot.web.ui.rendering import moved
from entrepot.web.ui.turns import Turn, handles

ROWS = 40
"""Of the API: a package that repositories have in several versions is several of them."""
LONGEST = 200
"""Characters that the API takes."""
MOST_NAMED = 8
"""Repositories that are named among what was found."""


async def show(turn: Turn) -> Response:
    """`GET /?search=`. Programs ask for it with a token to see whether that is good still."""
    text = turn.asked("search")[:LONGEST]
    repos, found = await asyncio.gather(turn.api.get("repos", _details="true"), _found(turn, text))
    values = {
        "repos": repos,
        "search": text,
        "found": _by_name(found) if found is not None else None,
        "is_cut": found is not None and len(found) >= ROWS,
        "named": _named(repos, text),
        "of_hits": _of_hits(found),
        "longest": LONGEST,
    }
    return answered(turn, "home.html", "_home.html", 200, values)


async def _found(turn: Turn, text: str) -> Sequence[Mapping[str, Any]] | None:
    """The packages that match best; None where nothing is searched."""
    if not text:
        return None
    try:
        found: Sequence[Mapping[str, Any]] = await turn.api.get("search", q=text, _limit=ROWS)
    except Refused as refused:
        if refused.status == 422:
            return []
        raise
    return found


def _by_name(found: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """What was found, each package once, with the repositories that have it in each version."""
    packages: dict[tuple[str, str], dict[str, Any]] = {}
    for hit in found:
        new = {"name": hit["name"], "type": hit["type"], "title": None, "versions": {}}
        package = packages.setdefault((hit["name"], hit["type"]), new)
        package["title"] = package["title"] or hit["title"]
        package["versions"].setdefault(hit["version"], []).extend(hit["repositories"])
    return list(packages.values())


def _named(repos: Sequence[Mapping[str, Any]], text: str) -> list[Mapping[str, Any]]:
    """Repositories whose name or description has the text."""
    wanted = text.casefold()
    if not wanted:
        return []
    return [repo for repo in repos if wanted in f"{repo['name']} {repo['description']}".casefold()][:MOST_NAMED]


def _of_hits(found: Sequence[Mapping[str, Any]] | None) -> list[str]:
    """The repositories that what was found is in."""
    names = dict.fromkeys(name for hit in found or () for name in hit["repositories"])
    return list(names)[:MOST_NAMED]


async def to_home(request: Request) -> Response:
    """Where the product's older links lead; the browser keeps what is behind their `#`."""
    context: Context = request.app.state.context
    return moved(base_of(request.scope, context.app.settings) + "/")


ROUTES = [
    Route("/", handles(show), methods=["GET"]),
    *(Route(path, to_home, methods=["GET"]) for path in OLD),
]
