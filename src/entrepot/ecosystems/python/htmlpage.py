"""Pages of the Simple repository API in HTML, told as the JSON form would tell them (PEP 503, 592, 629, 658, 691)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

from lxml import etree

from entrepot.core.errors import UpstreamInvalid
from entrepot.core.model import PackageName
from entrepot.ecosystems.python.names import SUFFIXES, is_name, normalize

# Parsed in small pieces: the parser hears of our errors only between two of them.
_PIECE = 16 * 1024
DEEPEST = 200
"""Elements within each other. The parser closes what is open by looking through all of it."""
_TITLE = re.compile(r"\s*links for\s+(\S+)\s*", re.IGNORECASE)
_HASH = re.compile(r"(?:^|&)(md5|sha1|sha224|sha256|sha384|sha512|blake2[bs][_0-9]*|sha3_[0-9]+)=([^&]*)")
_SERIAL = re.compile(rb"<!--\s*SERIAL\s+([0-9]{1,18})\s*-->")
# Each part is bounded, so that no text takes more than its length in time.
_PROJECT_LINK = re.compile(
    rb"<a\s[^<>]{0,300}?href\s{0,9}=\s{0,9}[\"']?([^\"'<>\s]{1,600})[^<>]{0,300}>\s{0,99}([A-Za-z0-9._-]{1,200})\s{0,99}</a",
    re.IGNORECASE,
)
_LONGEST_LINK = 2048


class HtmlPage(NamedTuple):
    """A project's page: `told` has the shape of the JSON form; links are relative to `base`, if it has one.

    `is_marked`: it says of itself that it is such a page.
    """

    told: dict[str, Any]
    base: str | None
    is_marked: bool


def read_html(body: bytes) -> HtmlPage:
    """A project's page in HTML5; never fails for what is not one, which then has no files and no mark.

    Raises:
        UpstreamInvalid: elements in elements without end.
    """
    page = _Page()
    parser = etree.HTMLParser(target=page, encoding="utf-8")  # type: ignore[arg-type]
    for start in range(0, len(body), _PIECE):
        parser.feed(body[start : start + _PIECE])
    parser.close()
    told: dict[str, Any] = {
        "meta": {"api-version": page.one("repository-version"), "tracks": page.meta.get("tracks", [])},
        "alternate-locations": page.meta.get("alternate-locations", []),
        "project-status": {"status": page.one("project-status"), "reason": page.one("project-status-reason")},
        "files": page.files,
    }
    title = _TITLE.fullmatch("".join(page.title))
    if title is not None:
        told["name"] = title[1]
    serial = _SERIAL.search(body, max(0, len(body) - 200))
    if serial is not None:
        told["meta"]["_last-serial"] = int(serial[1])
    return HtmlPage(told, page.base, title is not None or page.one("repository-version") is not None)


class _Page:
    """What the parser tells of a page, as far as it matters."""

    def __init__(self) -> None:
        self.files: list[dict[str, Any]] = []
        self.meta: dict[str, list[str]] = {}
        self.base: str | None = None
        self.title: list[str] = []
        self._is_title = False
        self._depth = 0

    def one(self, name: str) -> str | None:
        return next(iter(self.meta.get(name, ())), None)

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise UpstreamInvalid(f"the upstream's page has more than {DEEPEST} elements within each other")
        if tag == "a":
            file = _file_of_link(attributes)
            if file is not None:
                self.files.append(file)
        elif tag == "meta":
            name = attributes.get("name", "")
            if name.startswith("pypi:"):
                self.meta.setdefault(name[5:], []).append(attributes.get("content", ""))
        elif tag == "base":
            self.base = self.base or attributes.get("href")
        self._is_title = tag == "title" and not self.title

    def data(self, text: str) -> None:
        if self._is_title:
            self.title.append(text[:1000])

    def end(self, _tag: str) -> None:
        self._depth -= 1
        self._is_title = False

    def close(self) -> None:
        pass


def _file_of_link(attributes: Mapping[str, str]) -> dict[str, Any] | None:
    """A link as an entry of the JSON form; None for what leads to no distribution (a way up, a home page)."""
    url, _, fragment = attributes.get("href", "").strip().partition("#")
    name = url.partition("?")[0].rpartition("/")[2]
    if "%" in name:
        name = unquote(name)
    if not name.endswith(SUFFIXES):
        return None
    hashed = _HASH.search(fragment) if fragment else None
    file: dict[str, Any] = {"filename": name, "url": url, "hashes": {hashed[1]: hashed[2]} if hashed else {}}
    for key, value in attributes.items():
        if key in ("data-core-metadata", "data-dist-info-metadata"):
            algorithm, is_hash, digest = value.partition("=")
            file[key[5:]] = {algorithm: digest} if is_hash else value == "true"
        elif key == "data-yanked":
            file["yanked"] = value or True
        elif key == "data-gpg-sig":
            file["gpg-sig"] = value == "true"
        elif key in ("data-requires-python", "data-upload-time", "data-provenance"):
            file[key[5:]] = value
    return file


def read_html_names(pieces: Iterable[bytes]) -> Iterator[PackageName]:
    """The projects of a list of all of them: the links whose text is the name that they lead to."""
    rest = b""
    for piece in pieces:
        text = rest + piece
        done = 0
        for link in _PROJECT_LINK.finditer(text):
            done = link.end()
            name = link[2].decode()
            place = unquote(link[1].rstrip(b"/").rpartition(b"/")[2].decode(errors="replace"))
            normal = normalize(name)
            if is_name(name) and (place == name or normalize(place) == normal):
                yield normal
        rest = text[max(done, len(text) - _LONGEST_LINK) :]
