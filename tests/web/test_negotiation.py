"""What a client accepts and what it is given: forms, encodings, what had to be learnt first, redirects, reasons."""

from __future__ import annotations

import gzip
import http.client
import random
import re
from collections.abc import Callable
from typing import Any, cast

import pytest
import zstandard

from entrepot.app import App
from entrepot.core.answers import Answer, Ask, Document, Index, LargeDocument, MovedTo, Unlearned, View
from entrepot.core.errors import FileNotListed, NotAcceptable, UpstreamInvalid
from entrepot.core.model import File, RepositoryType
from entrepot.operations import serving
from entrepot.operations.serving import Ecosystem
from entrepot.operations.view import DatabaseView
from entrepot.web.reply import LONGEST_REASON, encodings, reason_of
from tests.support.server import Live

PAGE = b"a page of many links\n" * 100
FORMS = {"text/plain": PAGE, "application/json": b'{"links": "many"}' * 100}


class Dialect:
    """A dialect of a few paths; `answers` are those of the test."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[Ask, DatabaseView], Answer]] = {"page": self._page, "list": self._list}
        self.asked: list[Ask] = []
        self.noise = random.Random(0)
        self.pieces = [self.noise.randbytes(40_000).hex().encode() for _ in range(40)]

    def answer(self, ask: Ask, view: View, *, told: Callable[[File], bool]) -> Answer:  # noqa: ARG002
        self.asked.append(ask)
        if ask.tail not in self.answers:
            raise FileNotListed(f"there is no {ask.tail!r} here", hint="try 'page'")
        return self.answers[ask.tail](ask, cast(DatabaseView, view))

    def _page(self, ask: Ask, _view: DatabaseView) -> Answer:
        form = choose(ask.accept)
        if not form:
            raise NotAcceptable("it is to be had as text and JSON")
        return Document(form, form, lambda: Index(FORMS[form]), compress=True, is_own_key=True, varies=True)

    def _list(self, _ask: Ask, _view: DatabaseView) -> Answer:
        return LargeDocument("list", "text/plain", lambda: iter(self.pieces), varies=True)


def choose(accept: str) -> str:
    return next((form for form in FORMS if form in accept), "" if accept == "image/png" else "text/plain")


@pytest.fixture
def dialect(monkeypatch: pytest.MonkeyPatch) -> Dialect:
    """A dialect in the place of Python's."""
    dialect = Dialect()
    monkeypatch.setitem(serving.ECOSYSTEMS, RepositoryType.PYTHON, Ecosystem(dialect.answer, choose=choose))
    return dialect


@pytest.fixture
def site(live: Live, dialect: Dialect) -> Live:
    """An empty repository `py` that speaks it."""
    assert live.api("POST", "/repos", {"name": "py", "type": "python"})[0] in (200, 201)
    return live


def _twice(site: Live, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body, which have to be the same when they are given out a second time."""
    found = []
    for _ in range(2):
        response = site.get(path, method, **headers)
        told = {name.lower(): value for name, value in response.headers.items() if name.lower() != "date"}
        found.append((response.status, told, response.data))
    assert found[0] == found[1]
    return found[0]


def _unpacked(encoding: str, body: bytes) -> bytes:
    unpack: dict[str, Callable[[bytes], bytes]] = {
        "": lambda it: it,
        "gzip": gzip.decompress,
        "zstd": lambda it: zstandard.ZstdDecompressor().decompressobj().decompress(it),
    }
    return unpack[encoding](body)


def test_each_form_in_each_encoding(site: Live, dialect: Dialect) -> None:
    """Accept chooses the form, Accept-Encoding how it comes; each has a strong ETag of its own and names both."""
    tags = set()
    for form, content in FORMS.items():
        for accepted, encoding in (("", ""), ("gzip, deflate", "gzip"), ("gzip, deflate, zstd", "zstd")):
            status, headers, body = _twice(site, "/py/latest/page", Accept=form, Accept_Encoding=accepted)
            assert (status, _unpacked(encoding, body)) == (200, content)
            assert headers["content-type"] == form
            assert headers.get("content-encoding", "") == encoding
            assert headers["vary"] == "accept, accept-encoding"
            assert headers["content-length"] == str(len(body))
            assert headers["etag"].endswith(f'-{encoding}"' if encoding else '"')
            tags.add(headers["etag"])
            sent = {"Accept": form, "Accept_Encoding": accepted, "If_None_Match": headers["etag"]}
            unchanged = _twice(site, "/py/latest/page", **sent)
            assert (unchanged[0], unchanged[2]) == (304, b"")
            assert {name: unchanged[1][name] for name in ("etag", "vary", "cache-control")} == {
                name: headers[name] for name in ("etag", "vary", "cache-control")
            }
            head = _twice(site, "/py/latest/page", "HEAD", Accept=form, Accept_Encoding=accepted)
            assert head == (200, headers, b"")
    assert len(tags) == 6
    # One request for each form; all others were answered from what was kept.
    assert [ask.accept for ask in dialect.asked] == list(FORMS)


def test_what_nobody_has_is_406(site: Live) -> None:
    """A form that there isn't is refused, also after others were given out."""
    site.get("/py/latest/page")
    status, headers, body = _twice(site, "/py/latest/page", Accept="image/png")
    assert (status, headers["cache-control"]) == (406, "no-store")
    assert body == b"it is to be had as text and JSON\n"


@pytest.mark.parametrize(
    ("header", "liked"),
    [
        ("", ()),
        ("gzip, deflate", ("gzip",)),
        ("gzip, deflate, br, zstd", ("zstd", "gzip")),
        ("zstd;q=0.5, gzip", ("gzip", "zstd")),
        ("zstd;q=0, gzip;q=0.000", ()),
        ("ZSTD ; Q=1.0", ("zstd",)),
        ("*", ("gzip",)),
        ("*;q=0, zstd", ("zstd",)),
        ("identity, gzip;q=0.5", ()),
        ("identity;q=0.2, gzip;q=0.5", ("gzip",)),
        ("gzip;q=nan, zstd;q=-1", ()),
        ("br;q=1.0, " * 40 + "gzip", ()),
    ],
)
def test_encodings_by_their_weights(header: str, liked: tuple[str, ...]) -> None:
    """RFC 9110, 12.5.3; a header of endless length is read at its beginning alone."""
    assert encodings(header) == liked


def test_an_answer_holds_until_upstream_is_to_be_asked_again(site: Live, dialect: Dialect) -> None:
    """With a time up to which it holds an answer is given out until then, whether page, file or 404."""

    def page(ask: Ask, view: DatabaseView) -> Answer:
        view.expires = site.app.clock().timestamp() + 60
        return dialect._page(ask, view)

    def missing(ask: Ask, view: DatabaseView) -> Answer:
        view.expires = site.app.clock().timestamp() + 60
        raise FileNotListed("not yet")

    dialect.answers = {"page": page, "missing": missing}
    for path, status in (("/py/latest/page", 200), ("/py/latest/missing", 404)):
        dialect.asked.clear()
        for wait, count in ((0, 1), (59, 1), (1, 2), (0, 2), (60, 3)):
            site.app.clock.wait(seconds=wait)  # type: ignore[attr-defined]
            assert site.get(path).status == status
            assert len(dialect.asked) == count


def test_redirects(site: Live, dialect: Dialect) -> None:
    """They are for good, keep a slash at the end, and are percent-encoded; scheme and host stay the client's."""
    dialect.answers["Page"] = lambda *_: MovedTo("page/")
    dialect.answers["odd"] = lambda *_: MovedTo("a b/ü?#")
    status, headers, _ = _twice(site, "/py/latest/Page", Accept="application/json")
    assert (status, headers["location"]) == (308, "/py/latest/page/")
    assert _twice(site, "/py/latest/Page", "HEAD")[1] == headers
    assert _twice(site, "/py/latest/odd")[1]["location"] == "/py/latest/a%20b/%C3%BC%3F%23"
    assert [ask.tail for ask in dialect.asked] == ["Page", "odd"]


def test_the_slash_at_the_end_is_told(site: Live, dialect: Dialect) -> None:
    """A path with and one without it are two, for the dialect and for what is kept."""
    for path in ("page", "page/", "page", "page/"):
        assert site.get(f"/py/latest/{path}").status == 200
    assert [(ask.tail, ask.is_folder) for ask in dialect.asked] == [("page", False), ("page", True)]


class Lessons:
    """Something that is known after `count` lessons; each is a flight."""

    def __init__(self, app: App, count: int) -> None:
        self.app, self.left, self.began = app, count, 0

    def need(self) -> None:
        if self.left > 0:
            raise Unlearned(lambda: self.app.flights.join(f"lesson {self.left}", self._learn))

    def _learn(self, sink: Any) -> None:
        self.began += 1
        self.left -= 1
        sink.verified()


@pytest.mark.parametrize("when", ["answered", "rendered"])
def test_what_is_not_known_is_learnt_first(site: Live, dialect: Dialect, when: str) -> None:
    """Whether the dialect or its rendering needs it: the request waits, then the page is there."""
    lessons = Lessons(site.app, 3)

    def answer(ask: Ask, view: DatabaseView) -> Answer:
        if when == "answered":
            lessons.need()

        def render() -> Index:
            lessons.need()
            return Index(PAGE)

        return Document("learnt", "text/plain", render)

    dialect.answers["page"] = answer
    assert site.get("/py/latest/page").data == PAGE
    assert (lessons.began, len(dialect.asked)) == (3, 4)


def test_a_lesson_that_fails_is_the_answer(site: Live, dialect: Dialect) -> None:
    """What the flight says is what the client is told, and nothing of it is kept."""

    def fail(sink: Any) -> None:
        raise UpstreamInvalid("upstream sent rubbish")

    def answer(ask: Ask, view: DatabaseView) -> Answer:
        raise Unlearned(lambda: site.app.flights.join("bad", fail))

    dialect.answers["page"] = answer
    status, headers, body = _twice(site, "/py/latest/page")
    assert (status, headers["cache-control"], body) == (502, "no-store", b"upstream sent rubbish\n")


def test_lessons_without_end_are_given_up(site: Live, dialect: Dialect) -> None:
    """A request waits a few times, not for ever."""
    lessons = Lessons(site.app, 100)

    def answer(ask: Ask, view: DatabaseView) -> Answer:
        lessons.need()
        raise AssertionError

    dialect.answers["page"] = answer
    assert site.get("/py/latest/page").status == 503
    assert lessons.began < 20


def test_a_large_index(site: Live, dialect: Dialect) -> None:
    """It comes whole in each encoding, with HEAD, conditions and ranges like any other; the memory never has it."""
    whole = b"".join(dialect.pieces)
    for accepted, encoding in (("", ""), ("gzip", "gzip"), ("zstd, gzip", "zstd")):
        status, headers, body = _twice(site, "/py/latest/list", Accept_Encoding=accepted)
        assert (status, _unpacked(encoding, body)) == (200, whole)
        assert headers.get("content-encoding", "") == encoding
        assert headers["vary"] == "accept, accept-encoding"
        assert _twice(site, "/py/latest/list", "HEAD", Accept_Encoding=accepted) == (200, headers, b"")
        sent = {"Accept_Encoding": accepted, "If_None_Match": headers["etag"]}
        assert _twice(site, "/py/latest/list", **sent)[0] == 304
        part = site.get("/py/latest/list", Accept_Encoding=accepted, Range="bytes=5-9")
        assert (part.status, part.data) == (206, body[5:10])
    assert site.app.documents._weight == 0


def test_a_large_index_whose_files_are_gone(site: Live, dialect: Dialect) -> None:
    """The cache may be emptied at any time: the index is made again, also for those who had it kept."""
    status, headers, body = _twice(site, "/py/latest/list")
    for path in (site.app.settings.server.data_dir / "cache" / "indexes").iterdir():
        path.unlink()
    assert _twice(site, "/py/latest/list") == (status, headers, body)


def _status_line(site: Live, path: str, method: str = "GET") -> str:
    connection = http.client.HTTPConnection(site.address.removeprefix("http://"))
    try:
        connection.request(method, path)
        response = connection.getresponse()
        response.read()
        return f"{response.status} {response.reason}"
    finally:
        connection.close()


def test_an_error_is_in_the_status_line(site: Live, dialect: Dialect) -> None:
    """pip and twine show a person the reason phrase alone: it is the message, kept or not, and one bounded line."""

    def fail(ask: Ask, view: DatabaseView) -> Answer:
        raise UpstreamInvalid("größer als gedacht: \N{SNOWMAN}" + "x" * 500)

    dialect.answers["bad"] = fail
    for _ in range(2):
        assert _status_line(site, "/py/latest/no") == "404 there is no 'no' here (try 'page')"
        assert _status_line(site, "/py/latest/page") == "200 OK"
        line = _status_line(site, "/py/latest/bad")
        assert line == "502 größer als gedacht: ?".ljust(4 + LONGEST_REASON, "x")
        assert _status_line(site, "/py/latest/page", "POST").startswith("405 packages are read with GET")
    assert _status_line(site, "/nowhere/latest/page") == "404 there is no repository named 'nowhere'"


def test_a_reason_never_ends_its_line() -> None:
    """Whatever is in a text, its phrase has no control characters."""
    for text in ("a\r\nSet-Cookie: b\n", "".join(map(chr, range(300)))):
        assert re.fullmatch(rb"[\x20-\x7e\xa1-\xff]*", reason_of(text))


def test_servers_that_know_no_reasons_get_none(site: Live) -> None:
    """Without the extension the message is one of plain ASGI."""
    import asyncio

    from entrepot.web.door import Door
    from entrepot.web.serve import Serve

    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    scope = {"type": "http", "method": "GET", "path": "/py/latest/no", "headers": []}
    asyncio.run(Serve(site.app, Door(site.app, "no token"))(scope, receive, send))
    assert set(sent[0]) == {"type", "status", "headers"}
