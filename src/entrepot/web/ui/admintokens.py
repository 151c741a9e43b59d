"""`/admin/tokens`: tokens made, looked at, and ended. The text of a new one is on the answer to its form alone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

from starlette.responses import Response

from entrepot.core.access import ALL, Scope, TokenKind
from entrepot.core.errors import EntrepotError, Invalid
from entrepot.core.lifetimes import NEVER
from entrepot.web.ui.admin import admit
from entrepot.web.ui.asking import Refused
from entrepot.web.ui.forms import Fields
from entrepot.web.ui.turns import Turn, get, post

ROWS = 50
LIFETIMES = ("7d", "30d", "90d", "365d", NEVER)
OTHER = "other"
USUAL = "90d"
DONE = frozenset({"revoked"})
_LARGEST_FORM = 256 * 1024


class Level(NamedTuple):
    """What may be done with a kind of thing: its name in the form, and the scopes that it takes."""

    name: str
    scope: Scope


LEVELS: Mapping[str, tuple[Level, ...]] = {
    "blocklist": (Level("read", Scope.BLOCKLIST_READ), Level("admin", Scope.BLOCKLIST_ADMIN)),
    "metadata": (Level("read", Scope.METADATA_READ), Level("admin", Scope.METADATA_ADMIN)),
    "everything": (Level("admin", Scope.GLOBAL_ADMIN),),
}
"""Kind of thing that is given as a whole -> its levels."""
NAMED: Mapping[str, Scope] = {"repos": Scope.REPOS_READ, "sources": Scope.SOURCES_WRITE}
"""Kind of thing of which some may be given -> the scope."""


async def show_all(turn: Turn) -> Response:
    """`GET /admin/tokens?kind=&expired=true&revoked=true&page=`"""
    await admit(turn)
    kind, page = turn.asked("kind", TokenKind.API.value), turn.number("page")
    also = {name: turn.asked(name) == "true" for name in ("expired", "revoked")}
    listed = await turn.api.listed("tokens", kind=kind, **also, _limit=ROWS, _page=page)
    return turn.page(
        "admin_tokens.html",
        place="admin",
        active="tokens",
        tokens=listed.rows,
        total=listed.total,
        page_number=page,
        rows=ROWS,
        kind=kind,
        kinds=[*(each.value for each in TokenKind), "all"],
        also=also,
    )


async def show_form(turn: Turn) -> Response:
    """`GET /admin/tokens/new`"""
    await admit(turn)
    return await _form(turn, Fields([("expires", USUAL), ("repos", "none"), ("sources", "none")]))


async def make(turn: Turn) -> Response:
    """`POST /admin/tokens/new`: the answer has the token's text, and no other ever has."""
    fields = await turn.form(largest=_LARGEST_FORM)
    try:
        made = await turn.api.send("POST", "tokens", body=_wish(fields))
    except (Refused, Invalid) as error:
        if isinstance(error, Refused) and error.status in (401, 403):
            raise
        return await _form(turn, fields, error)
    return turn.page("admin_token_made.html", place="admin", active="tokens", token=made)


async def show(turn: Turn) -> Response:
    """`GET /admin/tokens/{guid}`"""
    await admit(turn)
    token = await turn.api.get("tokens", turn.path["guid"])
    done = turn.asked("done") if turn.asked("done") in DONE else ""
    return turn.page("admin_token.html", place="admin", active="tokens", token=token, done=done, asks=False)


async def ask_revoke(turn: Turn) -> Response:
    """`GET /admin/tokens/{guid}/revoke`: the question."""
    await admit(turn)
    token = await turn.api.get("tokens", turn.path["guid"])
    return turn.page("admin_token.html", place="admin", active="tokens", token=token, done="", asks=True)


async def revoke(turn: Turn) -> Response:
    """`POST /admin/tokens/{guid}/revoke`"""
    await turn.form()
    await turn.api.send("DELETE", "tokens", turn.path["guid"])
    return turn.moved("admin", "tokens", turn.path["guid"], done="revoked")


async def _form(turn: Turn, fields: Fields, refused: EntrepotError | None = None) -> Response:
    """The form, with what was sent."""
    repos, sources = await asyncio.gather(turn.api.get("repos", _sort="name"), turn.api.get("sources", _sort="name"))
    return turn.page(
        "admin_token_new.html",
        place="admin",
        active="tokens",
        fields=fields,
        chosen={name: frozenset(fields.every(f"{name}_named")) for name in NAMED},
        repos=repos,
        # Nobody publishes to a mirror.
        sources=[each for each in sources if not each["mirror"]],
        levels=LEVELS,
        lifetimes=LIFETIMES,
        other=OTHER,
        refused=refused,
    )


def _wish(fields: Fields) -> dict[str, Any]:
    """What the API is asked for. Raises Invalid."""
    scopes: list[str] = []
    wish: dict[str, Any] = {"scopes": scopes, "description": fields.get("description", "").strip()}
    for name, scope in NAMED.items():
        given = fields.get(name, "none")
        if given == "none":
            continue
        scopes.append(scope.value)
        wish[name] = [ALL] if given == "all" else fields.every(f"{name}_named")
    for name, levels in LEVELS.items():
        scopes += [level.scope.value for level in levels if level.name == fields.get(name)]
    if not scopes:
        raise Invalid("a token has to be good for something", hint="choose what it gives access to")
    if user := fields.get("user", "").strip():
        wish["user"] = user
    expires = fields.get("expires", USUAL)
    wish["expires"] = fields.get("expires_other", "").strip() if expires == OTHER else expires
    return wish


ROUTES = [
    get("/admin/tokens", show_all),
    get("/admin/tokens/new", show_form),
    post("/admin/tokens/new", make),
    get("/admin/tokens/{guid}", show),
    get("/admin/tokens/{guid}/revoke", ask_revoke),
    post("/admin/tokens/{guid}/revoke", revoke),
]
