"""`/admin/sources`: sources made, renamed and deleted, and buttons that sync them."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.responses import Response

from entrepot.web.ui.admin import admit
from entrepot.web.ui.asking import Refused
from entrepot.web.ui.turns import Turn, get, post

TYPES = ("local", "local-python", "git", "git-python", "curated-cran", "curated-pypi", "cran-snapshot")
"""Those that are made by hand with a name, and a snapshot at most."""
OF_SNAPSHOTS = ("curated-cran", "cran-snapshot")
DONE = frozenset({"made", "renamed", "deleted"})


async def show_all(turn: Turn) -> Response:
    """`GET /admin/sources`"""
    return await _listed(turn)


async def make(turn: Turn) -> Response:
    """`POST /admin/sources`: the form of a new one."""
    fields = await turn.form()
    wish: dict[str, Any] = {name: fields.get(name, "").strip() for name in ("name", "type")}
    snapshot = fields.get("snapshot", "").strip()
    if snapshot:
        wish["snapshot"] = snapshot
    try:
        await turn.api.send("POST", "sources", body=wish)
    except Refused as error:
        if error.status in (401, 403):
            raise
        return await _listed(turn, refused=error, wish={**wish, "snapshot": snapshot})
    return turn.moved("admin", "sources", done="made")


async def show(turn: Turn) -> Response:
    """`GET /admin/sources/{source}`"""
    return await _shown(turn)


async def rename(turn: Turn) -> Response:
    """`POST /admin/sources/{source}`: its new name."""
    fields = await turn.form()
    name = fields.get("name", "").strip()
    try:
        source = await turn.api.send("PATCH", "sources", turn.path["source"], body={"name": name})
    except Refused as error:
        if error.status not in (409, 422):
            raise
        return await _shown(turn, refused=error, name=name)
    return turn.moved("admin", "sources", source["name"], done="renamed")


async def ask_delete(turn: Turn) -> Response:
    """`GET /admin/sources/{source}/delete`: the question."""
    return await _shown(turn, asks=True)


async def delete(turn: Turn) -> Response:
    """`POST /admin/sources/{source}/delete`"""
    await turn.form()
    try:
        await turn.api.send("DELETE", "sources", turn.path["source"])
    except Refused as error:
        if error.status not in (409, 422):
            raise
        return await _shown(turn, refused=error, asks=True)
    return turn.moved("admin", "sources", done="deleted")


async def _listed(turn: Turn, *, refused: Refused | None = None, wish: dict[str, Any] | None = None) -> Response:
    await admit(turn)
    sources, repos = await asyncio.gather(turn.api.get("sources", _sort="name"), turn.api.get("repos", _sort="name"))
    return turn.page(
        "admin_sources.html",
        place="admin",
        active="sources",
        sources=sources,
        used_by=used_by(repos),
        types=TYPES,
        of_snapshots=OF_SNAPSHOTS,
        wish=wish or {"name": "", "type": TYPES[0], "snapshot": ""},
        refused=refused,
        done=turn.asked("done") if turn.asked("done") in DONE else "",
    )


async def _shown(
    turn: Turn, *, refused: Refused | None = None, name: str | None = None, asks: bool = False
) -> Response:
    await admit(turn)
    source, repos = await asyncio.gather(turn.api.get("sources", turn.path["source"]), turn.api.get("repos"))
    return turn.page(
        "admin_source.html",
        place="admin",
        active="sources",
        source=source,
        users=used_by(repos).get(source["name"], []),
        is_ours=source["type"] in TYPES or source["version"] is not None,
        name=source["name"] if name is None else name,
        refused=refused,
        asks=asks,
        done=turn.asked("done") if turn.asked("done") in DONE else "",
    )


def used_by(repos: list[Any]) -> dict[str, list[str]]:
    """Source -> names of the repositories that have it."""
    found: dict[str, list[str]] = {}
    for repo in repos:
        for source in repo["sources"]:
            found.setdefault(source, []).append(repo["name"])
    return found


ROUTES = [
    get("/admin/sources", show_all),
    post("/admin/sources", make),
    get("/admin/sources/{source}", show),
    post("/admin/sources/{source}", rename),
    get("/admin/sources/{source}/delete", ask_delete),
    post("/admin/sources/{source}/delete", delete),
]
