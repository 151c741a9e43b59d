"""The Simple repository API: project lists and project pages, in HTML and in JSON (PEP 503, 691)."""

from __future__ import annotations

JSON = "application/vnd.pypi.simple.v1+json"
HTML = "application/vnd.pypi.simple.v1+html"
TEXT_HTML = "text/html"


def choose(accept: str) -> str:
    """The media type of an index for a client's Accept; empty if none is acceptable."""
    return JSON if "json" in accept else TEXT_HTML
