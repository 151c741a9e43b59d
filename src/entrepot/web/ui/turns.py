"""One request for a page: who looks, what they ask for, and what they are answered.

A page is a module of this folder:

    async def show(turn: Turn) -> Response:
        repo = await turn.api.get("repos", turn.path["repo"])
        found = await turn.api.listed("repos", repo["name"], "packages", snapshot=turn.asked("snapshot", "latest"))
        return turn.page("packages.html", repo=repo, packages=found.rows, total=found.total)

    async def add(turn: Turn) -> Response:
        fields = await turn.form()              # read, and checked against forged requests
        await turn.api.send("POST", "sources", turn.path["source"], "sync", body={"force": "force" in fields})
        return turn.moved("jobs")               # 303 to a page

    ROUTES = [get("/repos/{repo}/packages", show), post("/sources/{source}/sync", add)]

`pages.py` has the list of all modules. What the API refuses (`asking.Refused`) becomes a page of itself; a page catches
it where it can say more, as beside the form that was sent. Several requests to the API at once: `turn.api.get` with
`asyncio.gather`.

Templates extend `base.html`, or `repo.html` where they are of a repository (that wants the values `repo` and
`snapshot`, and `active` = "packages", "setup", "activity", "compare", "check" or "usage"). They have `turn`, `visit`,
`t(KEY, name=value)` and `n(KEY, count)` for texts (`texts.py`), `link("repos", repo.name, "packages",
snapshot=snapshot)` for paths, `static("name.js")`, the filters `number`, `size`, `moment`, `day`, `ago`, `log`,
`sentence`, and the macros of `_parts.html` (`csrf`, `copyable`, `pager`, `field`, `select`, `badge`). A value that is
printed is escaped, made plain and bounded (`showing.py`) by itself; never use `|safe`. Scripts are modules in
`static/`, named in `main.js`; what they need in words stands in `data-` attributes. What only works with script has the
class `scripted`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from entrepot.core.errors import EntrepotError
from entrepot.web.context import Context
from entrepot.web.ui.asking import Api, Refused
from entrepot.web.ui.forms import LARGEST, Fields, read_form
from entrepot.web.ui.paths import UI, Value, link
from entrepot.web.ui.rendering import fragment, moved, page
from entrepot.web.ui.visits import Visit, check_form

_LONGEST = 1000
"""Characters of a parameter that is looked at."""
LAST_PAGE = 10**6
_SECRET = frozenset({"access_token", "api_key", "key", "password", "token"})
"""Parameters in which people send secrets by mistake: no page has one, and no link carries it on."""


class SignInFirst(Exception):
    """The page is for those who are signed in; `url` is where to."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url


@dataclass(frozen=True, slots=True)
class Turn:
    """One request for a page."""

    request: Request
    visit: Visit
    api: Api

    @classmethod
    async def of(cls, request: Request) -> Turn:
        """Raises SignInFirst; Unauthenticated, TooMany as `Visit.of`."""
        context: Context = request.app.state.context
        visit = await Visit.of(request, context)
        base = urlsplit(visit.base)
        api = Api(request.app.state.api, request.scope, csrf=visit.csrf, origin=f"{base.scheme}://{base.netloc}")
        turn = cls(request, visit, api)
        if context.app.settings.authentication.require_auth_for_ui and not visit.access.is_known:
            raise SignInFirst(visit.to_login(turn.here))
        request.state.turn = turn
        return turn

    @property
    def path(self) -> Mapping[str, str]:
        """The names in the page's path."""
        return self.request.path_params

    @property
    def now(self) -> datetime:
        """The time of the installation."""
        context: Context = self.request.app.state.context
        return context.app.clock()

    @property
    def query(self) -> list[tuple[str, str]]:
        """The parameters, in order, without what may be a secret."""
        return [(name, value) for name, value in self.request.query_params.multi_items() if name not in _SECRET]

    @property
    def here(self) -> str:
        """This page's path with its query."""
        query = urlencode(self.query)
        return str(self.request.scope["path"]) + (f"?{query}" if query else "")

    def asked(self, name: str, default: str = "") -> str:
        """A parameter of the query, bounded, without blanks around it."""
        return self.request.query_params.get(name, "")[:_LONGEST].strip() or default

    def number(self, name: str, default: int = 1) -> int:
        """A parameter that is a number from 1 on; anything else is `default`."""
        text = self.asked(name)
        return min(int(text), LAST_PAGE) if text.isascii() and text.isdigit() and int(text[:12]) > 0 else default

    def but(self, **changed: Value) -> str:
        """This page's path with its query, some of it changed (None: left out)."""
        names = {name.rstrip("_"): value for name, value in changed.items()}
        kept: dict[str, Value] = {
            name: self.request.query_params.getlist(name)
            for name, _ in self.query
            if name not in names and name.isidentifier()
        }
        return str(self.request.scope["path"]) + link(**kept, **names).removeprefix(UI)

    def page(
        self, template: str, *, status: int = 200, refused: EntrepotError | None = None, **values: object
    ) -> Response:
        """A page for whoever asks; one that tells why something was `refused` has the status of that, 422 where it was
        not the API that refused it."""
        if refused is not None:
            status = refused.status if isinstance(refused, Refused) else 422
        return page(template, self.visit, status=status, turn=self, now=self.now, refused=refused, **values)

    def fragment(self, template: str, **values: object) -> Response:
        """A part of a page, for a script that puts it into one."""
        return fragment(template, self.visit, turn=self, now=self.now, **values)

    def moved(self, *parts: str | int, **query: Value) -> RedirectResponse:
        """Go on with a GET of another page."""
        return moved(self.visit.root + link(*parts, **query))

    async def form(self, *, largest: int = LARGEST) -> Fields:
        """The fields of a form that a page of ours sent. Raises Forbidden, Invalid, TooLarge."""
        fields = await read_form(self.request, largest=largest)
        check_form(self.request, fields, self.visit)
        return fields

    async def question(self, *, largest: int = LARGEST) -> Fields:
        """The fields of a form that changes nothing: it may come from anywhere. Raises Invalid, TooLarge."""
        return await read_form(self.request, largest=largest)


Handler = Callable[[Turn], Awaitable[Response]]


def get(path: str, handler: Handler) -> Route:
    """A page below `/__ui__`."""
    return Route(UI + path, handles(handler), methods=["GET"])


def post(path: str, handler: Handler) -> Route:
    """What a form of a page sends to."""
    return Route(UI + path, handles(handler), methods=["POST"])


def handles(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """A handler of turns as one of requests."""

    async def handle(request: Request) -> Response:
        return await handler(await Turn.of(request))

    return handle
