"""`/admin/repositories/{repo}`: a repository's sources in their order, and which packages another order would move.

The order that is wished stands in the page's address (`source`, once for each, in order), so every button leads to
another wish, and nothing is changed before `POST`. That sends the preview's digest along: what was shown is what
happens.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from starlette.responses import Response

from entrepot.core.model import SOURCE_TYPES_OF, RepositoryType
from entrepot.web.ui.admin import admit
from entrepot.web.ui.asking import Refused
from entrepot.web.ui.turns import Turn, get, post

ROWS = 100
MOST = 200
"""Sources that a wish may name."""
DONE = frozenset({"made", "applied"})
_BIOC = "bioconductor"
MOVES = ("up", "down", "remove", "add")


async def show(turn: Turn) -> Response:
    """`GET /admin/repositories/{repo}?source=&source=&version=&bioc_version=&page=`, and `up`, `down`, `remove` or
    `add` with the name of a source: goes on to the order that comes of it."""
    sources = turn.request.query_params.getlist("source")[:MOST]
    move = next((name for name in MOVES if turn.asked(name)), None)
    if move is not None or "wish" in turn.request.query_params:
        wish, moved = _moved(sources, move, turn.asked(move) if move is not None else "")
        return turn.moved("admin", "repositories", turn.path["repo"], **_query(turn, wish), moved=moved, by=move)
    return await _shown(turn, sources)


async def apply(turn: Turn) -> Response:
    """`POST /admin/repositories/{repo}`: gives the order that was previewed."""
    fields = await turn.form()
    repo, sources = turn.path["repo"], fields.every("source")[:MOST]
    body: dict[str, Any] = {"sources": sources, "may_change": True, "digest": fields.get("digest", "")}
    version, of = fields.get("version", ""), fields.get("version_of", "")
    if version and of in sources:
        body["versions"] = {of: version}
    try:
        await turn.api.send("PUT", "repos", repo, "sources", body=body)
    except Refused as error:
        if error.status not in (409, 422):
            raise
        return await _shown(turn, sources, version=version, refused=error)
    return turn.moved("admin", "repositories", repo, done="applied")


def _moved(sources: Sequence[str], move: str | None, name: str) -> tuple[list[str], str | None]:
    """The order after a button was used, and the source that it was used for, if it is there."""
    wish = list(dict.fromkeys(sources))
    if move == "add":
        return [*(each for each in wish if each != name), name], name
    if name not in wish:
        return wish, None
    at = wish.index(name)
    wish.remove(name)
    if move == "remove":
        return wish, None
    wish.insert(max(0, at - 1) if move == "up" else at + 1, name)
    return wish, name


def _query(turn: Turn, wish: list[str]) -> dict[str, Any]:
    """The address of a wish; without sources it says so."""
    kept = {name: turn.asked(name) for name in ("version", "bioc_version")}
    return {"source": wish, "none": not wish, **kept}


async def _shown(
    turn: Turn, sources: Sequence[str], *, version: str | None = None, refused: Refused | None = None
) -> Response:
    await admit(turn)
    repo, every = await asyncio.gather(turn.api.get("repos", turn.path["repo"]), turn.api.get("sources", _sort="name"))
    now = repo["sources"]
    is_wish = bool(sources) or turn.asked("none") == "true" or refused is not None
    wish = list(sources) if is_wish else now
    version = turn.asked("version") if version is None else version
    by_name = {each["name"]: each for each in every}
    type_ = RepositoryType(repo["type"].lower())
    takes = SOURCE_TYPES_OF[type_]
    # The source of all versions of Bioconductor, of which a repository of R takes one.
    whole = next((each["name"] for each in every if each["type"] == _BIOC and each["version"] is None), "")
    wants_version = type_ is RepositoryType.R and whole in wish and whole not in now
    lacks_version = wants_version and not version
    preview, error = None, refused
    if wish != now and not lacks_version:
        try:
            preview = await _preview(turn, repo["name"], wish, {whole: version} if wants_version else {})
        except Refused as fault:
            error = refused or fault
    needs_versions = wants_version or type_ is RepositoryType.BIOCONDUCTOR
    return turn.page(
        "admin_order.html",
        place="admin",
        active="repositories",
        tab="sources",
        repo=repo,
        current=now,
        wish=[by_name.get(name, {"name": name, "type": "", "packages": None, "version": None}) for name in wish],
        is_changed=wish != now,
        others=[each for each in every if each["type"] in takes and each["name"] not in wish],
        versions=[each["bioc_version"] for each in await turn.api.get(_BIOC, "versions")] if needs_versions else [],
        wanted_version=version,
        version_of=whole if wants_version else "",
        lacks_version=lacks_version,
        preview=preview,
        page_number=turn.number("page"),
        rows=ROWS,
        refused=error,
        moved=turn.asked("moved") if not turn.asked("page") else "",
        by=turn.asked("by"),
        done=turn.asked("done") if turn.asked("done") in DONE and not is_wish else "",
    )


async def _preview(turn: Turn, repo: str, wish: list[str], versions: dict[str, str]) -> Any:
    body: dict[str, Any] = {"sources": wish, "versions": versions}
    if version := turn.asked("bioc_version"):
        body["bioc_version"] = version
    path = "repos", repo, "sources", "preview"
    return await turn.api.send("POST", *path, body=body, _limit=ROWS, _page=turn.number("page"))


ROUTES = [get("/admin/repositories/{repo}", show), post("/admin/repositories/{repo}", apply)]
