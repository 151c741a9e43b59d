"""What all pages have in common: texts, values from others, headers, the API behind them, and what helps on."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.settings import Settings
from entrepot.web.ui import pages, showing, texts
from entrepot.web.ui.assets import assets
from entrepot.web.ui.paths import link
from tests.support.browser import Browser
from tests.support.server import Clock, Live, installed, running

pytestmark = pytest.mark.one_shape

UI = Path(pages.__file__).parent
USED = re.compile(r"""\b(t|n|text|counted)\(\s*["']([\w.-]+)["']\s*[,)]""")
LITERAL = re.compile(r"""["']([a-z][\w-]*\.[\w.-]*)["'{]""")


def test_every_text_that_a_page_names_is_there_and_every_text_is_named() -> None:
    """The files of texts hold just what templates and modules use."""
    known, used, named = set(texts.all_texts()), set[str](), set[str]()
    for file in [*UI.glob("*.py"), *UI.glob("templates/*.html")]:
        for how, key in USED.findall(file.read_text()):
            used |= {f"{key}.one", f"{key}.other"} if how in ("n", "counted") else {key}
        named |= set(LITERAL.findall(file.read_text()))
    assert used - known == set()
    begun = tuple(key for key in named if key.endswith((".", "_")))
    assert {key for key in known - used - named if not key.startswith(begun)} == set()


def test_texts_are_english_sentences_without_markup() -> None:
    """Nothing in a text is taken for HTML, whatever its values are."""
    assert str(texts.text("site.footer", version="<b>")) == str(texts.text("site.footer", version="")).replace(
        "Entrepot ", "Entrepot &lt;b&gt;"
    )
    assert not any("<" in text for text in texts.all_texts().values())


@pytest.mark.parametrize(
    ("hostile", "plain"),
    [
        ("\x1b[31;1mred\x1b[0m", "red"),
        ("\x1b]8;;http://x\x07link\x1b]8;;\x07", "link"),
        ("\x1b]0;title\x1b\\", ""),
        ("abc\u202egnp.exe", "abcgnp.exe"),
        ("a\u200bb\ufeffc\u2066d\u2069", "abcd"),
        ("line\r\nnext\u2028third", "line\nnext\nthird"),
        ("nul\0bell\x07del\x7fc1\x9b", "nulbelldelc1"),
        ("half \ud800 pair", "half  pair"),
        (
            "family \U0001f468\u200d\U0001f469, na\u00efve, \u05e9\u05dc\u05d5\u05dd",
            "family \U0001f468\u200d\U0001f469, na\u00efve, \u05e9\u05dc\u05d5\u05dd",
        ),
    ],
)
def test_what_changes_more_than_itself_is_left_out(hostile: str, plain: str) -> None:
    """Escapes of terminals, control and direction characters never reach a page; letters of all languages do."""
    assert showing.plain(hostile) == plain


@given(st.text())
def test_plain_text_stays_plain(text: str) -> None:
    """What was made plain is left alone by a second time."""
    once = showing.plain(text)
    assert showing.plain(once) == once


def test_a_value_is_bounded() -> None:
    """Ten million letters don't make a page of ten megabytes."""
    shown = str(showing.shown("x" * 10_000_000))
    assert len(shown) < 21_000
    assert shown.endswith("…")


@pytest.mark.parametrize(
    ("parts", "query", "path"),
    [
        (("repos", "a b"), {"search": "x&y", "snapshot": "latest"}, "/__ui__/repos/a%20b?search=x%26y"),
        (("repos", "../x"), {"page": None, "from_": "2024-01-01"}, "/__ui__/repos/..%2Fx?from=2024-01-01"),
        (("jobs", 3), {"all": True, "no": False, "kind": ["a", "b"]}, "/__ui__/jobs/3?all=true&kind=a&kind=b"),
    ],
)
def test_links(parts: tuple[str, ...], query: dict[str, str], path: str) -> None:
    """Names never become more than one part of a path, and what says nothing isn't written."""
    assert link(*parts, **query) == path


def test_every_page_has_the_headers(live: Live) -> None:
    """Pages run nothing that stands in them, frame nowhere and are kept by no cache."""
    for path in ("/", "/__login__", "/__ui__/nowhere", "/__ui__/repos/nowhere/packages"):
        headers = live.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self'")
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert "Cross-Origin-Opener-Policy" not in headers, "browsers complain of it over http"


def test_over_https_no_other_window_holds_a_page(settings: Settings, clock: Clock) -> None:
    """Windows of other sites that opened it, or that it opened, are cut off."""
    server = settings.server.model_copy(update={"address": "https://packages.example.org"})
    with installed(settings.model_copy(update={"server": server}), clock) as app, running(app) as live:
        assert live.get("/").headers["Cross-Origin-Opener-Policy"] == "same-origin"


def test_no_page_has_anything_inline() -> None:
    """Templates have no style, script or handler of events in them, which the policy would stop."""
    for file in UI.glob("templates/*.html"):
        assert not re.search(r"<style|<script(?! type=\"module\" src)|\sstyle=|\son\w+=|javascript:|\|\s*safe", file.read_text()), file  # fmt: skip # noqa: E501


def test_assets_are_kept_for_good(live: Live) -> None:
    """What pages are made with has its digest in its path; under another version's digest it is sent and not kept."""
    found = re.search(r'href="(/__static__/\w+/style\.css)"', live.get("/").data.decode())
    assert found is not None
    url, wants = live.address + found[1], {"Accept-Encoding": "gzip"}
    answer = live.pool.request("GET", url, headers=wants, preload_content=False, decode_content=False)
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert gzip.decompress(answer.read()) == assets().files["style.css"][0]
    other = live.get("/__static__/0123456789abcdef/style.css")
    assert (other.status, other.headers["Cache-Control"]) == (200, "no-store")
    assert live.get("/__static__/0123456789abcdef/..%2Fpages.py").status == 404


def test_an_unknown_repository_helps_on(live: Live) -> None:
    """A name that is nearly one there is leads to that."""
    page = live.get("/__ui__/repos/crann/packages")
    assert page.status == 404
    assert '<a href="/__ui__/repos/cran/packages">cran</a>' in page.data.decode()


def test_pages_are_for_known_people_where_the_settings_say_so(settings: Settings) -> None:
    """With `require_auth_for_ui` every page leads to the sign-in, and from there to where one wanted to."""
    on = settings.authentication.model_copy(update={"require_auth_for_ui": True})
    with installed(settings.model_copy(update={"authentication": on}), Clock()) as app, running(app) as live:
        answer = Browser(live).get("/__ui__/repos/cran/packages?search=x")
        assert answer.status == 303
        assert answer.location == f"{live.address}/__login__?next=/__ui__/repos/cran/packages%3Fsearch%3Dx"


def test_a_part_of_a_path_is_never_more(live: Live) -> None:
    """A name with a slash or dots asks for nothing else of the API."""
    for name in ("..%2Ftokens", "%2E%2E", "a%2Fb"):
        assert live.get(f"/__ui__/repos/{name}/packages").status == 404
