"""A README -> HTML for a page of ours: what others wrote, reduced to structure and text.

Rendered and cleaned by `readme_renderer`, by which the public index shows them; then rewritten for our pages: no image,
headings below those of the page, only links that lead out, names of anchors that clash with none of ours; and cleaned
once more by `nh3`, whose output is what a browser gets: nothing that another parser made goes there unread.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape, unescape
from html.parser import HTMLParser
from typing import Literal
from urllib.parse import urlsplit

import nh3
from pygments.token import STANDARD_TYPES  # type: ignore[import-untyped]
from readme_renderer import markdown, rst

from entrepot.core.plaintext import plain as plain_text

Format = Literal["markdown", "rst", "plain"]
FIRST_HEADING = 3
"""The level of a README's highest heading: a page has one of level 1, and sections of level 2."""
MOST_TAGS = 20_000
"""A page of more elements is slow in every browser."""
MOST_HTML = 2_000_000
_PREFIX = "readme-"
_THEIR_PREFIX = "user-content-"
_SCHEMES = {"http", "https", "mailto"}
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_KEPT = {
    *("a", "abbr", "b", "blockquote", "br", "caption", "cite", "code", "dd", "del", "details", "div", "dl", "dt", "em"),
    *("h3", "h4", "h5", "h6", "hr", "i", "kbd", "li", "ol", "p", "pre", "span", "strong", "sub", "summary", "sup"),
    *("table", "tbody", "td", "th", "thead", "tr", "ul", "var"),
}
_RENAMED = {
    "acronym": "abbr",
    "tt": "code",
    **dict.fromkeys(("section", "aside", "nav", "figure", "figcaption", "picture"), "div"),
}
"""Landmarks are the page's own."""
_EMPTY = {"br", "hr"}
_HIGHLIGHTING = frozenset(STANDARD_TYPES.values()) - {""}
_ATTRIBUTES = {
    "a": {"href"},
    "abbr": {"title"},
    "ol": {"start"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan"},
    "*": {"id"},
}
_VALUES = {"pre": {"tabindex": {"0"}}, "div": {"tabindex": {"0"}}}
"""What scrolls has to be reached by the keyboard."""
_NAME = re.compile(r"[^A-Za-z0-9_-]+")
_NUMBER = re.compile(r"[0-9]{1,4}")


class TooMuch(Exception):
    """It would be a page that no browser shows well."""


def render(text: str, format_: Format) -> tuple[Format, str]:
    """The format that it was rendered as, and HTML without anything but structure and text; as plain text where it
    can't be read as what it says it is, or would be too much.

    Takes as long as it takes: for some texts of 100 kB that are minutes, so whoever calls has to have an end of it.
    """
    text = plain_text(text)
    try:
        found = markdown.render(text) if format_ == "markdown" else rst.render(text) if format_ == "rst" else None
        if found is not None:
            return format_, _ours(found)
    except (TooMuch, RecursionError):
        pass
    return "plain", plain(text)


def plain(text: str) -> str:
    """A text as it stands, in HTML."""
    return f'<pre tabindex="0">{escape(plain_text(text), quote=False)}</pre>'


def _ours(html: str) -> str:
    if len(html) > MOST_HTML or html.count("<") > 2 * MOST_TAGS:
        raise TooMuch
    # An entity may stand for what was taken out of the text.
    anchors, levels = _Anchors.of(html), [int(level) for level in re.findall(r"<h([1-6])[ >]", html)]
    rewriter = _Rewriter(anchors, FIRST_HEADING - min(levels, default=FIRST_HEADING))
    rewriter.feed(html)
    rewriter.close()
    cleaned = nh3.clean(
        rewriter.html,
        tags=_KEPT,
        clean_content_tags={"script", "style", "template", "svg", "math", "iframe", "object", "noscript", "title"},
        attributes=_ATTRIBUTES,
        tag_attribute_values=_VALUES,
        allowed_classes={"div": {"wide"}, "span": set(_HIGHLIGHTING)},
        url_schemes=_SCHEMES,
        link_rel="nofollow noopener noreferrer",
        strip_comments=True,
    )
    return plain_text(cleaned)


class _Anchors:
    """The names of a README's own anchors, as ours."""

    def __init__(self, names: Iterable[str]) -> None:
        self._ours = {name: ours(name) for name in names}

    @classmethod
    def of(cls, html: str) -> _Anchors:
        return cls(unescape(name) for name in re.findall(r' id="([^"]{1,200})"', html))

    def find(self, name: str) -> str | None:
        """Ours for the one that a link names; None if there is none."""
        return self._ours.get(name) or self._ours.get(_THEIR_PREFIX + name)


def ours(name: str) -> str:
    """The name of an anchor, which none of a page's own has."""
    return _PREFIX + _NAME.sub("-", name.removeprefix(_THEIR_PREFIX))[:100].strip("-")


class _Rewriter(HTMLParser):
    """Writes clean HTML anew as it is for our pages; what it makes is cleaned again."""

    def __init__(self, anchors: _Anchors, shift: int) -> None:
        super().__init__(convert_charrefs=True)
        self._anchors = anchors
        self._shift = shift
        self._out: list[str] = []
        self._links: list[int | None] = []
        self._named: set[str] = set()
        self._tags = 0

    @property
    def html(self) -> str:
        return "".join(self._out)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tags += 1
        if self._tags > MOST_TAGS:
            raise TooMuch
        told = {name: value or "" for name, value in attrs}
        if tag == "img":
            self._image(told)
        elif tag == "input":
            self._out.append("☑ " if "checked" in told else "☐ ")
        elif tag == "a":
            self._link(told)
        else:
            self._other(self._name(tag), told)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            began = self._links.pop() if self._links else None
            if began is None:
                return
            if any(not piece.startswith("<") and piece.strip() for piece in self._out[began + 1 :]):
                self._out.append("</a>")
            else:
                del self._out[began]  # of what has no words nobody can say where it leads
        elif tag not in ("img", "input", *_EMPTY):
            name = self._name(tag)
            self._out.append(f"</{name}></div>" if name == "table" else f"</{name}>")

    def handle_data(self, data: str) -> None:
        self._out.append(escape(data, quote=False))

    def _name(self, tag: str) -> str:
        if tag in _HEADINGS:
            return f"h{min(max(_HEADINGS[tag] + self._shift, FIRST_HEADING), 6)}"
        return _RENAMED.get(tag, tag)

    def _link(self, told: dict[str, str]) -> None:
        target, name = self._target(told.get("href", "")), self._id(told.get("id", ""))
        if name:
            self._out.append(f'<span id="{name}"></span>')
        self._links.append(None if target is None else len(self._out))
        if target is not None:
            self._out.append(f'<a href="{escape(target)}">')

    def _target(self, href: str) -> str | None:
        """Where a link leads; None if that is a place of theirs, which we don't have."""
        if href.startswith("#"):
            anchor = self._anchors.find(href[1:])
            return None if anchor is None else f"#{anchor}"
        try:
            parts = urlsplit(href)
        except ValueError:
            return None
        leads_out = parts.scheme in ("http", "https") and parts.hostname and parts.username is None
        return href if leads_out or parts.scheme == "mailto" else None

    def _image(self, told: dict[str, str]) -> None:
        """Its alternative text, which leads to the picture where that isn't within a link."""
        words = " ".join(told.get("alt", "").split())
        target = self._target(told.get("src", ""))
        if target is None or any(began is not None for began in self._links):
            self._out.append(escape(words, quote=False))
        else:
            self._out.append(f'<a href="{escape(target)}">{escape(words or target, quote=False)}</a>')

    def _other(self, name: str, told: dict[str, str]) -> None:
        if name == "table":
            self._out.append('<div class="wide" tabindex="0">')
        kept = {
            "id": self._id(told.get("id", "")),
            "class": told.get("class", "") if name == "span" and told.get("class") in _HIGHLIGHTING else "",
            "tabindex": "0" if name == "pre" else "",
            "title": told.get("title", "") if name == "abbr" else "",
        }
        for count in ("colspan", "rowspan", "start"):
            kept[count] = told[count] if _NUMBER.fullmatch(told.get(count, "")) else ""
        written = "".join(f' {key}="{escape(value)}"' for key, value in kept.items() if value)
        self._out.append(f"<{name}{written}>")

    def _id(self, name: str) -> str:
        """The first of a name has it."""
        found = ours(name) if name else ""
        if not found or found in self._named:
            return ""
        self._named.add(found)
        return found
