"""Sign-in and sign-out of browsers: with a token, or at the provider that the settings name."""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from entrepot.app import App
from entrepot.core.errors import EntrepotError, TooMany, Unauthenticated
from entrepot.operations import sessions, signin
from entrepot.operations.access import access_of
from entrepot.operations.signin import Returned
from entrepot.operations.tokens import Issued
from entrepot.web.audit import note_refusal, write_down, written_down
from entrepot.web.context import Context
from entrepot.web.streams import in_thread
from entrepot.web.ui.forms import read_form
from entrepot.web.ui.paths import CALLBACK, LOGIN, LOGOUT, SSO
from entrepot.web.ui.rendering import moved, page
from entrepot.web.ui.visits import (
    Visit,
    check_form,
    drop_session,
    keep_browser,
    keep_session,
    local_path,
    new_browser,
)

SIGN_IN, SIGN_OUT = "sign in", "sign out"
"""Names of acts in the audit log."""
_LONGEST = 4000
"""Characters of a parameter that is looked at."""


async def show(request: Request) -> Response:
    """`GET /__login__`: whoever is signed in goes on at once."""
    context: Context = request.app.state.context
    visit = await Visit.of(request, context)
    next_ = local_path(request.query_params.get("next", "/"))
    if visit.session is not None:
        return moved(visit.root + next_)
    return _form(context, visit, next_)


async def with_token(request: Request) -> Response:
    """`POST /__login__`: the form with the token."""
    context: Context = request.app.state.context
    visit, fields = await Visit.of(request, context), await read_form(request)
    check_form(request, fields, visit)
    next_, throttle = local_path(fields.get("next", "/")), context.door.throttle
    try:
        issued = await in_thread(sessions.open_with_token, context.app, fields.get("token", ""))
    except Unauthenticated as error:
        throttle.failed(visit.address)
        seconds = throttle.wait(visit.address)
        if seconds > 0:
            many = TooMany(
                "too many wrong tokens came from this address", hint=f"try again in {seconds:.0f} s", seconds=seconds
            )
            note_refusal(context.app, request.scope, SIGN_IN, many)
            raise many from None
        note_refusal(context.app, request.scope, SIGN_IN, error)
        return _form(context, visit, next_, error=error)
    return await _signed_in(request, visit, issued, next_)


async def go_to_provider(request: Request) -> Response:
    """`GET /__login__/sso`: off to the provider."""
    context: Context = request.app.state.context
    visit = await Visit.of(request, context)
    browser = visit.browser or new_browser()
    begin = partial(
        signin.begin,
        context.app,
        redirect_uri=visit.base + CALLBACK,
        browser=browser,
        next_=local_path(request.query_params.get("next", "/")),
    )
    answer = moved(await in_thread(begin))
    keep_browser(answer, browser, visit)
    return answer


async def come_back(request: Request) -> Response:
    """`GET /__login__/callback`: back from the provider."""
    context: Context = request.app.state.context
    visit = await Visit.of(request, context)
    told = {name: request.query_params.get(name, "")[: _LONGEST + 1] for name in Returned._fields}
    finish = partial(
        signin.finish,
        context.app,
        Returned(**told),
        redirect_uri=visit.base + CALLBACK,
        browser=visit.browser or "",
    )
    try:
        signed_in = await in_thread(finish)
    except EntrepotError as error:
        note_refusal(context.app, request.scope, SIGN_IN, error, subject="openid_connect")
        raise
    return await _signed_in(request, visit, signed_in.session, signed_in.next)


async def out(request: Request) -> Response:
    """`POST /__logout__`"""
    context: Context = request.app.state.context
    visit, fields = await Visit.of(request, context), await read_form(request)
    if visit.session is not None:
        check_form(request, fields, visit)
        async with written_down(context.app, request.scope, SIGN_OUT, access=visit.access, subject=""):
            await in_thread(sessions.close_session, context.app, visit.session)
    answer = moved(f"{visit.root}/")
    drop_session(answer, visit)
    return answer


async def _signed_in(request: Request, visit: Visit, issued: Issued, next_: str) -> Response:
    """Give a browser its new session, in the place of one that it may have, and send it on."""
    app: App = request.app.state.context.app
    if visit.session is not None:
        await in_thread(sessions.close_session, app, visit.session)
    subject = issued.token.via or "token"
    await write_down(app, request.scope, SIGN_IN, access=access_of(issued.token), subject=subject, status=303)
    answer = moved(visit.root + next_)
    keep_session(answer, issued, visit)
    return answer


def _form(context: Context, visit: Visit, next_: str, *, error: EntrepotError | None = None) -> Response:
    """The page of the sign-in. What somebody typed into it before isn't shown again."""
    visit = visit if visit.browser else visit.with_browser(new_browser())
    answer = page(
        "login.html",
        visit,
        status=200 if error is None else 401,
        next=next_,
        error=error,
        has_provider=context.app.settings.openid_connect.is_on,
    )
    keep_browser(answer, visit.browser or "", visit)
    return answer


ROUTES = [
    Route(LOGIN, show, methods=["GET"]),
    Route(LOGIN, with_token, methods=["POST"]),
    Route(SSO, go_to_provider, methods=["GET"]),
    Route(CALLBACK, come_back, methods=["GET"]),
    Route(LOGOUT, out, methods=["POST"]),
]
