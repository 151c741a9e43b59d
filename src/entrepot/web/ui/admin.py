"""`/admin`: what administrators do here, and who did what."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.responses import Response

from entrepot.core.access import Scope
from entrepot.core.errors import Forbidden, Unauthenticated
from entrepot.web.ui.asking import Refused
from entrepot.web.ui.texts import all_texts
from entrepot.web.ui.turns import Turn, get

ROWS = 100
PLACES = ("repositories", "sources", "tokens", "audit")
OUTCOMES = ("done", "refused", "failed", "begun")


async def admit(turn: Turn) -> None:
    """Let administrators on to a page. Raises Unauthenticated, Forbidden."""
    told = all_texts()["admin.for_administrators"], all_texts()["admin.how_to_enter"]
    try:
        who = await turn.api.get("whoami")
    except Refused as error:
        if error.status != 401:
            raise
        raise Unauthenticated(told[0], hint=told[1]) from None
    if Scope.GLOBAL_ADMIN.value not in who["scopes"]:
        raise Forbidden(told[0], hint=told[1])


async def show(turn: Turn) -> Response:
    """`GET /admin`"""
    await admit(turn)
    repos, sources, tokens, acts = await asyncio.gather(
        turn.api.listed("repos"),
        turn.api.listed("sources"),
        turn.api.listed("tokens", _limit=1),
        turn.api.listed("audit", _limit=5),
    )
    return turn.page(
        "admin.html",
        place="admin",
        active="",
        repos=repos.total,
        closed=sum(repo["auth"] for repo in repos.rows),
        sources=sources.total,
        failed=[each["name"] for each in sources.rows if each["sync"] and each["sync"]["state"] == "failed"],
        tokens=tokens.total,
        acts=acts.rows,
    )


async def show_audit(turn: Turn) -> Response:
    """`GET /admin/audit?since=&until=&actor=&action=&outcome=&verify=true&page=`"""
    await admit(turn)
    wish = {name: turn.asked(name) for name in ("since", "until", "actor", "action", "outcome")}
    page, refused, total = turn.number("page"), None, 0
    rows: list[Any] = []
    try:
        rows, total = await turn.api.listed("audit", **_times(wish), _limit=ROWS, _page=page)
    except Refused as error:
        if error.status != 422:
            raise
        refused = error
    verified = await turn.api.get("audit", "verify") if turn.asked("verify") == "true" else None
    return turn.page(
        "admin_audit.html",
        place="admin",
        active="audit",
        wish=wish,
        outcomes=OUTCOMES,
        acts=rows,
        total=total,
        page_number=page,
        rows=ROWS,
        refused=refused,
        verified=verified,
    )


def _times(wish: dict[str, str]) -> dict[str, str]:
    """As the API takes them: a day is its beginning in UTC, or with `until` its end."""
    found = dict(wish)
    for name, time in (("since", "00:00:00Z"), ("until", "23:59:59.999999Z")):
        if found[name] and "T" not in found[name]:
            found[name] += f"T{time}"
    return found


ROUTES = [get("/admin", show), get("/admin/audit", show_audit)]
