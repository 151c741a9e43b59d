"""Pages made of templates, and the headers that each of them has."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse, RedirectResponse

from entrepot import __version__
from entrepot.web.csrf import FIELD
from entrepot.web.ui import assets, showing, texts
from entrepot.web.ui.paths import DEVICE, LOGIN, LOGOUT, SSO, Value, link, query_text
from entrepot.web.ui.visits import Visit

_TEMPLATES = Path(__file__).parent / "templates"
_CODE = re.compile(r"`([^`]+)`")
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; object-src 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: browsers would then send forms with the Origin null, and it is one of the two things that tell
    # forms of ours from those of others.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "Cache-Control": "no-store",
}
_SECURE = {"Cross-Origin-Opener-Policy": "same-origin"}
"""Browsers heed it over https alone, and complain of it elsewhere."""


def page(template: str, visit: Visit, *, status: int = 200, **values: object) -> HTMLResponse:
    """A page for somebody; `values` are what its template asks for."""
    return HTMLResponse(render(template, visit, **values), status, {**HEADERS, **(_SECURE if visit.is_secure else {})})


def fragment(template: str, visit: Visit, **values: object) -> HTMLResponse:
    """A part of a page, which a script asked for."""
    return HTMLResponse(render(template, visit, **values), 200, {**HEADERS, "X-Robots-Tag": "noindex"})


def render(template: str, visit: Visit, **values: object) -> str:
    paths = {"login": LOGIN, "logout": LOGOUT, "sso": SSO, "device": DEVICE}

    def linked(*parts: str | int, **query: Value) -> str:
        return visit.root + link(*parts, **query)

    def static(name: str) -> str:
        return visit.root + assets.address(name)

    shared = {"visit": visit, "paths": paths, "link": linked, "static": static, "turn": None, "now": datetime.now(UTC)}
    return _environment().get_template(template).render({**shared, **values})


def sentence(text: str) -> Markup:
    """A message as a page shows it: with a capital letter, and what is between backticks as code."""
    written = str(escape(showing.shown(text[:1].upper() + text[1:])))
    return Markup(_CODE.sub(r"<code>\1</code>", written))


def moved(url: str) -> RedirectResponse:
    """Go on with a GET elsewhere."""
    return RedirectResponse(url, 303, HEADERS)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=showing.shown,
    )
    environment.filters |= {
        "sentence": sentence,
        "number": showing.number,
        "size": showing.size,
        "moment": showing.moment,
        "day": showing.day,
        "ago": showing.ago,
        "log": showing.log,
    }
    environment.globals |= {
        "t": texts.text,
        "n": texts.counted,
        "query_text": query_text,
        "version": __version__,
        "csrf_field": FIELD,
    }
    return environment
