"""The page on which a person lets a program sign in, by the code that the program shows."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from entrepot.app import App
from entrepot.core.errors import DeviceLoginNotFound, TooMany
from entrepot.db.devices import DeviceLogin
from entrepot.operations import devices
from entrepot.operations.tokens import token_info
from entrepot.web.audit import written_down
from entrepot.web.context import Context
from entrepot.web.streams import in_thread
from entrepot.web.ui.forms import read_form
from entrepot.web.ui.paths import DEVICE
from entrepot.web.ui.rendering import moved, page
from entrepot.web.ui.visits import Visit, check_form

MOST_TRIES = 10
"""Wrong codes of one person within `devices.EXPIRES_IN` seconds; then right ones don't count either."""
MOST_PERSONS = 10_000
_LONGEST = 40


class Tries:
    """Wrong codes by person, in memory. Any thread may use it.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._lock = threading.Lock()

    def check(self, actor: str) -> None:
        """Raises TooMany."""
        with self._lock:
            count, end = self._of(actor)
        if count >= MOST_TRIES:
            seconds = max(1.0, end - self._clock())
            raise TooMany("too many wrong codes", hint=f"try again in {seconds:.0f} s", seconds=seconds)

    def failed(self, actor: str) -> None:
        """A code was wrong."""
        with self._lock:
            count, end = self._of(actor)
            self._wrong[actor] = count + 1, end
            while len(self._wrong) > MOST_PERSONS:
                self._wrong.popitem(last=False)

    def _of(self, actor: str) -> tuple[int, float]:
        count, end = self._wrong.get(actor, (0, 0.0))
        return (count, end) if self._clock() < end else (0, self._clock() + devices.EXPIRES_IN)


async def show(request: Request) -> Response:
    """`GET /__device__[?user_code=]`"""
    context: Context = request.app.state.context
    visit, code = await Visit.of(request, context), request.query_params.get("user_code", "")[:_LONGEST]
    if visit.session is None:
        return moved(visit.to_login(f"{DEVICE}?user_code={quote(code, safe='')}" if code else DEVICE))
    if not code:
        return page("device.html", visit, login=None, error=None)
    try:
        login = await _find(request, visit, code)
    except DeviceLoginNotFound as error:
        return page("device.html", visit, status=404, login=None, error=error)
    return await in_thread(_ask, context.app, visit, login)


async def decide(request: Request) -> Response:
    """`POST /__device__`: the buttons."""
    context: Context = request.app.state.context
    visit, fields = await Visit.of(request, context), await read_form(request)
    if visit.session is None or visit.access.guid is None:
        return moved(visit.to_login(DEVICE))
    check_form(request, fields, visit)
    code, is_allowed = fields.get("user_code", "")[:_LONGEST], fields.get("decision") == "allow"
    login = await _find(request, visit, code)
    say = partial(devices.decide, context.app, code, session=visit.access.guid, is_allowed=is_allowed)
    act = "allow device" if is_allowed else "deny device"
    async with written_down(context.app, request.scope, act, access=visit.access, subject=f"at {login.address}"):
        await in_thread(say)
    return page("device_done.html", visit, is_allowed=is_allowed)


async def _find(request: Request, visit: Visit, code: str) -> DeviceLogin:
    """Raises DeviceLoginNotFound, TooMany."""
    tries: Tries = request.app.state.tries
    tries.check(visit.access.actor)
    try:
        return await in_thread(devices.find, request.app.state.context.app, code)
    except DeviceLoginNotFound:
        tries.failed(visit.access.actor)
        raise


def _ask(app: App, visit: Visit, login: DeviceLogin) -> Response:
    """The question: which program it is, as far as that is known, and what it would be given."""
    session = token_info(app, visit.access.guid or "")
    seconds = int((app.clock() - login.created).total_seconds())
    return page(
        "device.html",
        visit,
        error=None,
        login=login,
        user_code=devices.written_code(login.user_code),
        scopes=session.scopes,
        until=session.token.expires,
        age=f"{seconds} second{'s' * (seconds != 1)}" if seconds < 120 else f"{seconds // 60} minutes",
        is_elsewhere=login.address != visit.address,
    )


ROUTES = [Route(DEVICE, show, methods=["GET"]), Route(DEVICE, decide, methods=["POST"])]
