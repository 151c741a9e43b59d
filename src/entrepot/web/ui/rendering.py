"""Pages made of templates, and the headers that each of them has."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse, RedirectResponse

from entrepot import __version__
from entrepot.web.csrf import FIELD
from entrepot.web.ui.paths import DEVICE, LOGIN, LOGOUT, SSO
from entrepot.web.ui.visits import Visit

_TEMPLATES = Path(__file__).parent / "templates"
_CODE = re.compile(r"`([^`]+)`")
POLICY = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: browsers would then send forms with the Origin null, and it is one of the two things that tell
    # forms of ours from those of others.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def page(template: str, visit: Visit, *, status: int = 200, **values: object) -> HTMLResponse:
    """A page for somebody; `values` are what its template asks for."""
    return HTMLResponse(render(template, visit, **values), status, HEADERS)


def render(template: str, visit: Visit, **values: object) -> str:
    shared = {"visit": visit, "version": __version__, "csrf_field": FIELD}
    paths = {"login": LOGIN, "logout": LOGOUT, "sso": SSO, "device": DEVICE}
    return _environment().get_template(template).render(**shared, paths=paths, **values)


def sentence(text: str) -> Markup:
    """A message as a page shows it: with a capital letter, and what is between backticks as code."""
    written = str(escape(text[:1].upper() + text[1:]))
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
    )
    environment.filters["sentence"] = sentence
    return environment
