"""What a Python repository of ours shows, read as its clients read it: JSON and HTML (PEP 503, 691)."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import urllib3

from tests.support.server import Live

JSON, HTML = "application/vnd.pypi.simple.v1+json", "application/vnd.pypi.simple.v1+html"

Files = dict[str, dict[str, Any]]
"""File name -> its entry in a JSON page."""


def ask(
    live: Live, project: str, snapshot: str = "latest", *, repo: str = "pypi", accept: str = JSON
) -> urllib3.BaseHTTPResponse:
    """The answer to a request for a project's page."""
    return live.get(f"/{repo}/{snapshot}/simple/{project}/", accept=accept)


def page(live: Live, project: str, snapshot: str = "latest", *, repo: str = "pypi") -> dict[str, Any]:
    """A project's page in JSON."""
    answer = ask(live, project, snapshot, repo=repo)
    assert answer.status == 200, answer.data
    found: dict[str, Any] = json.loads(answer.data)
    return found


def files(live: Live, project: str, snapshot: str = "latest", *, repo: str = "pypi") -> Files:
    """The files of a project's page; none where the answer is that there is no such project."""
    answer = ask(live, project, snapshot, repo=repo)
    assert answer.status in (200, 404), answer.data
    return {file["filename"]: file for file in json.loads(answer.data)["files"]} if answer.status == 200 else {}


def names(live: Live, snapshot: str = "latest", *, repo: str = "pypi") -> list[str]:
    """The list of all projects."""
    answer = live.get(f"/{repo}/{snapshot}/simple/", accept=JSON)
    assert answer.status == 200, answer.data
    return [project["name"] for project in json.loads(answer.data)["projects"]]


def download(
    live: Live,
    project: str,
    name: str,
    snapshot: str = "latest",
    *,
    repo: str = "pypi",
    method: str = "GET",
    **headers: str,
) -> urllib3.BaseHTTPResponse:
    """The answer to a request for a file (or FILE.metadata) as listed."""
    return live.get(f"/{repo}/{snapshot}/packages/{project}/{name}", method, **headers)


def yanked(file: dict[str, Any]) -> str | bool:
    """Whether a file is yanked: the reason, True, or False (PEP 592)."""
    found: str | bool = file.get("yanked", False)
    return found


def path_of(url: str, *, project: str, snapshot: str = "latest", repo: str = "pypi") -> str:
    """The path that a link of a project's page leads to."""
    return urlsplit(urljoin(f"http://x/{repo}/{snapshot}/simple/{project}/", url)).path


def links(html: bytes) -> Files:
    """The links of an HTML page, as a JSON page has them: text -> URL, hashes and attributes."""
    reader = _Links()
    reader.feed(html.decode())
    return reader.found


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: Files = {}
        self._link: dict[str, str | None] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self._link = dict(attrs)

    def handle_data(self, data: str) -> None:
        if self._link is not None:
            url, _, fragment = (self._link.get("href") or "").partition("#")
            more = {name.removeprefix("data-"): value for name, value in self._link.items() if name != "href"}
            self.found[data] = {"url": unquote(url), "hash": fragment, **more}
            self._link = None
