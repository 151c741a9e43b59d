"""`/admin/repositories`: repositories made, described, closed and deleted. Their sources are in `adminorder.py`."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from entrepot.web.ui.admin import admit
from entrepot.web.ui.asking import Refused
from entrepot.web.ui.turns import Turn, get, post

TYPES = ("r", "python", "bioconductor")
DONE = frozenset({"made", "changed", "deleted"})


async def show_all(turn: Turn) -> Response:
    """`GET /admin/repositories`"""
    return await _listed(turn)


async def make(turn: Turn) -> Response:
    """`POST /admin/repositories`: the form of a new one; goes on to its sources."""
    fields = await turn.form()
    wish: dict[str, Any] = {name: fields.get(name, "").strip() for name in ("name", "type", "description")}
    wish["authenticated"] = "closed" in fields
    try:
        repo = await turn.api.send("POST", "repos", body=wish)
    except Refused as error:
        if error.status in (401, 403):
            raise
        return await _listed(turn, refused=error, wish=wish)
    return turn.moved("admin", "repositories", repo["name"], done="made")


async def show_settings(turn: Turn) -> Response:
    """`GET /admin/repositories/{repo}/settings`"""
    return await _settings(turn)


async def change(turn: Turn) -> Response:
    """`POST /admin/repositories/{repo}/settings`"""
    fields = await turn.form()
    wish: dict[str, Any] = {name: fields.get(name, "").strip() for name in ("name", "description")}
    wish["authenticated"] = "closed" in fields
    try:
        repo = await turn.api.send("PATCH", "repos", turn.path["repo"], body=wish)
    except Refused as error:
        if error.status not in (409, 422):
            raise
        return await _settings(turn, refused=error, wish=wish)
    return turn.moved("admin", "repositories", repo["name"], "settings", done="changed")


async def ask_delete(turn: Turn) -> Response:
    """`GET /admin/repositories/{repo}/delete`: the question."""
    await admit(turn)
    repo = await turn.api.get("repos", turn.path["repo"])
    return turn.page("admin_repo_delete.html", place="admin", active="repositories", repo=repo)


async def delete(turn: Turn) -> Response:
    """`POST /admin/repositories/{repo}/delete`"""
    await turn.form()
    await turn.api.send("DELETE", "repos", turn.path["repo"])
    return turn.moved("admin", "repositories", done="deleted")


async def _listed(turn: Turn, *, refused: Refused | None = None, wish: dict[str, Any] | None = None) -> Response:
    await admit(turn)
    return turn.page(
        "admin_repos.html",
        place="admin",
        active="repositories",
        repos=await turn.api.get("repos", _sort="name"),
        types=TYPES,
        wish=wish or {"name": "", "type": TYPES[0], "description": "", "authenticated": False},
        refused=refused,
        done=turn.asked("done") if turn.asked("done") in DONE else "",
    )


async def _settings(turn: Turn, *, refused: Refused | None = None, wish: dict[str, Any] | None = None) -> Response:
    await admit(turn)
    repo = await turn.api.get("repos", turn.path["repo"])
    return turn.page(
        "admin_repo.html",
        place="admin",
        active="repositories",
        repo=repo,
        tab="settings",
        wish=wish or {"name": repo["name"], "description": repo["description"], "authenticated": repo["auth"]},
        refused=refused,
        done=turn.asked("done") if turn.asked("done") in DONE else "",
    )


ROUTES = [
    get("/admin/repositories", show_all),
    post("/admin/repositories", make),
    get("/admin/repositories/{repo}/settings", show_settings),
    post("/admin/repositories/{repo}/settings", change),
    get("/admin/repositories/{repo}/delete", ask_delete),
    post("/admin/repositories/{repo}/delete", delete),
]
