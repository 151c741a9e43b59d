"""Where the pages for people are; no repository has such a name."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote, urlencode

UI = "/__ui__"
STATIC = "/__static__"
LOGIN = "/__login__"
SSO = "/__login__/sso"
CALLBACK = "/__login__/callback"
LOGOUT = "/__logout__"
DEVICE = "/__device__"
OLD = ("/client", "/client/")
"""Where the product has its pages in older links."""
_ALONE = frozenset({*OLD, "", "/", UI, LOGIN, SSO, CALLBACK, LOGOUT, DEVICE})
_BELOW = (f"{UI}/", f"{STATIC}/")

Value = str | int | bool | Sequence[str] | None
"""A parameter of a query: what is None, False or empty isn't written."""


def is_page(path: str) -> bool:
    """Whether a path is one of a page, or of what pages are made with."""
    return path in _ALONE or path.startswith(_BELOW)


def link(*parts: str | int, **query: Value) -> str:
    """The path of a page: `link("repos", "team", "packages", search="xml")`. A name of a parameter that Python keeps
    for itself is written with an underscore after it (`from_`)."""
    path = "".join(f"/{quote(str(part), safe='')}" for part in parts)
    return UI + path + query_text(**query)


def query_text(**query: Value) -> str:
    """`?name=value&...` of what is given, or nothing. `latest` is what no snapshot says."""
    fields: list[tuple[str, str]] = []
    for name, value in query.items():
        if value is None or value is False or value == "" or (name == "snapshot" and value == "latest"):
            continue
        values = [value] if isinstance(value, str | int) else value
        fields += [(name.rstrip("_"), "true" if each is True else str(each)) for each in values]
    return f"?{urlencode(fields)}" if fields else ""
