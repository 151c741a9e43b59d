"""Pages and lists of the Simple repository API."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypi_simple import IndexPage, ProjectPage

from entrepot.core.answers import About
from entrepot.core.model import File, PackageName, Sha256
from entrepot.core.pages import FoundFile
from entrepot.ecosystems.python.entry import Entry, pack, unpack
from entrepot.ecosystems.python.simple import (
    HTML,
    JSON,
    TEXT_HTML,
    ProjectView,
    Shown,
    choose,
    render_list_html,
    render_list_json,
    render_project_html,
    render_project_json,
    time_text,
)
from entrepot.ecosystems.python.upstream import STATUSES, read_names, read_page
from tests.ecosystems.views import python_listed

DEMO = PackageName("demo")
URL = "https://python.example.org/team/latest/simple/demo/"
FILES = "https://python.example.org/team/latest/packages/demo/"
PIP = f"{JSON}, {HTML}; q=0.1, text/html; q=0.01"
UV = f"{JSON}, {HTML};q=0.2, text/html;q=0.01"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "want"),
    [
        ("", TEXT_HTML),
        ("*/*", TEXT_HTML),
        (PIP, JSON),
        (UV, JSON),
        (f"{JSON}, */*;q=0.1", JSON),  # poetry
        (JSON, JSON),  # bandersnatch
        (f"{JSON}, {HTML}, text/html;q=0.01", JSON),  # pypi-simple
        (BROWSER, TEXT_HTML),
        ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", TEXT_HTML),
        (HTML, HTML),
        (f"{HTML}, {JSON};q=0.5", HTML),
        ("application/vnd.pypi.simple.latest+json", JSON),
        ("application/vnd.pypi.simple.latest+html", HTML),
        ("application/*", JSON),
        ("text/*", TEXT_HTML),
        (f"*/*, {JSON}", JSON),
        (f"{JSON};q=0, */*", TEXT_HTML),
        (f"text/html;q=0, {HTML};q=0, */*;q=0.1", JSON),
        (f"text/html;q=0.5, text/*;q=0.9, {HTML};q=0.6", HTML),
        (JSON.upper() + " ; Q=0.7 , TEXT/HTML ; charset=utf-8 ; q=0.6", JSON),
        ("application/json", ""),
        ("application/vnd.pypi.simple.v2+json", ""),
        ("text/html;q=0", ""),
        ("*/*;q=0.000", ""),
        ("rubbish", TEXT_HTML),
        (f"text/html;q=x, {JSON};q=0.1", JSON),
        (",;q=1,," + JSON, JSON),
        ("text/plain, " * 100_000, ""),
    ],
)
def test_the_form_that_a_client_takes(accept: str, want: str) -> None:
    """By quality, then JSON first; whoever takes anything gets what a browser shows."""
    assert choose(accept) == want


@given(
    st.text(max_size=60) | st.lists(st.sampled_from([JSON, HTML, "*/*", ";q=0.5", ",", ";", "q=", "/"])).map("".join)
)
def test_any_header_is_answered(accept: str) -> None:
    """With one of the forms, or none."""
    assert choose(accept) in (JSON, HTML, TEXT_HTML, "")


def shown(name: str, entry: Entry | None = None, **more: object) -> Shown:
    file = python_listed(name, entry, **more).file  # type: ignore[arg-type]
    entry = unpack(file.fields)
    return Shown(file, entry, file.sha256, entry.core_metadata)


WHEEL = shown(
    "demo-1.0-py3-none-any.whl",
    Entry(
        requires_python=">=3.8,<4",
        core_metadata=Sha256("b" * 64),
        yanked='"broken" & <worse>',
        upload_time="2023-05-01T12:00:00.250000Z",
        provenance="https://index.example.org/integrity?a=1&b=2",
        has_signature=True,
    ),
    md5="d" * 32,
)
SDIST = shown("demo-1.0.tar.gz", Entry(yanked=""), size=5, sha256=None, md5="e" * 32)
BARE = shown("demo-1.1+local.1.zip", sha256=None, published=None)
ABOUT = About(
    "Demo",
    "archived",
    'gone <& "far"',
    ("https://a.example.org/?x&y",),
    ("https://b.example.org/", "https://c.example.org/"),
)
VIEW = ProjectView(DEMO, ABOUT, [BARE, WHEEL, SDIST])


def test_a_page_in_json() -> None:
    """The keys of the PEPs 691, 700, 708, 714, 740 and 792, each where it has a value."""
    assert json.loads(render_project_json(VIEW)) == {
        "meta": {"api-version": "1.4", "tracks": ["https://a.example.org/?x&y"]},
        "name": "demo",
        "project-status": {"status": "archived", "reason": 'gone <& "far"'},
        "alternate-locations": ["https://b.example.org/", "https://c.example.org/"],
        "versions": ["1.1+local.1", "1.0"],
        "files": [
            {
                "filename": "demo-1.1+local.1.zip",
                "url": "../../packages/demo/demo-1.1%2Blocal.1.zip",
                "hashes": {},
                "size": 1000,
            },
            {
                "filename": "demo-1.0-py3-none-any.whl",
                "url": "../../packages/demo/demo-1.0-py3-none-any.whl",
                "hashes": {"sha256": "1" * 64},
                "requires-python": ">=3.8,<4",
                "size": 1000,
                "upload-time": "2023-05-01T12:00:00.250000Z",
                "yanked": '"broken" & <worse>',
                "core-metadata": {"sha256": "b" * 64},
                "dist-info-metadata": {"sha256": "b" * 64},
                "provenance": "https://index.example.org/integrity?a=1&b=2",
                "gpg-sig": True,
            },
            {
                "filename": "demo-1.0.tar.gz",
                "url": "../../packages/demo/demo-1.0.tar.gz",
                "hashes": {"md5": "e" * 32},
                "size": 5,
                "upload-time": "2024-01-31T12:00:02Z",
                "yanked": True,
            },
        ],
    }


def test_a_page_in_html() -> None:
    """Every value escaped, the best hash in the link."""
    assert render_project_html(VIEW).decode() == (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="pypi:repository-version" content="1.4">\n'
        '<meta name="pypi:project-status" content="archived">\n'
        '<meta name="pypi:project-status-reason" content="gone &lt;&amp; &quot;far&quot;">\n'
        '<meta name="pypi:tracks" content="https://a.example.org/?x&amp;y">\n'
        '<meta name="pypi:alternate-locations" content="https://b.example.org/">\n'
        '<meta name="pypi:alternate-locations" content="https://c.example.org/">\n'
        "<title>Links for demo</title>\n</head>\n<body>\n<h1>Links for demo</h1>\n"
        '<a href="../../packages/demo/demo-1.1%2Blocal.1.zip">demo-1.1+local.1.zip</a><br>\n'
        f'<a href="../../packages/demo/demo-1.0-py3-none-any.whl#sha256={"1" * 64}"'
        f' data-requires-python="&gt;=3.8,&lt;4" data-core-metadata="sha256={"b" * 64}"'
        f' data-dist-info-metadata="sha256={"b" * 64}" data-upload-time="2023-05-01T12:00:00.250000Z"'
        ' data-yanked="&quot;broken&quot; &amp; &lt;worse&gt;"'
        ' data-provenance="https://index.example.org/integrity?a=1&amp;b=2" data-gpg-sig="true"'
        ">demo-1.0-py3-none-any.whl</a><br>\n"
        f'<a href="../../packages/demo/demo-1.0.tar.gz#md5={"e" * 32}" data-upload-time="2024-01-31T12:00:02Z"'
        ' data-yanked="">demo-1.0.tar.gz</a><br>\n'
        "</body>\n</html>\n"
    )


def test_a_page_with_unknown_sizes() -> None:
    """From 1.1 on each file has to tell its size (PEP 700): such a page is of 1.0, and tells what it can."""
    page = json.loads(render_project_json(ProjectView(DEMO, None, [shown("demo-1.0.zip", size=None)])))
    assert page["meta"] == {"api-version": "1.0"}
    assert page["versions"] == ["1.0"]
    assert page["project-status"] == {"status": "active"}
    assert "size" not in page["files"][0]


def test_versions_of_a_page() -> None:
    """Each once, and none that is no version."""
    files = [
        shown(name) for name in ("demo-2.zip", "demo-1.0.zip", "demo-1.0-py3-none-any.whl", "demo-x.zip", "demo.zip")
    ]
    assert ProjectView(DEMO, None, files).versions == ["2", "1.0"]


def test_times() -> None:
    """In whole seconds, in UTC."""
    assert time_text(0) == "1970-01-01T00:00:00Z"
    assert time_text(1706702402) == "2024-01-31T12:00:02Z"
    assert time_text(None) is None


def check_oracle(page: ProjectPage, view: ProjectView, *, is_json: bool) -> None:
    """What the library `pypi_simple` reads is what was meant, as far as the form tells it."""
    about = view.about
    assert about is not None
    assert (page.project, page.repository_version) == ("demo", "1.4")
    assert (str(page.status), page.status_reason) == (about.status, about.reason)
    assert (tuple(page.tracks), tuple(page.alternate_locations)) == (about.tracks, about.alternates)
    assert page.versions == (view.versions if is_json else None)
    assert len(page.packages) == len(view.files)
    for package, (file, entry, _, metadata), each in zip(page.packages, view.files, view.files, strict=True):
        assert package.filename == file.name
        assert package.url == FILES + file.name.replace("+", "%2B")
        assert package.version == file.version
        assert package.requires_python == entry.requires_python
        assert package.is_yanked == (entry.yanked is not None)
        assert (package.yanked_reason or "") == (entry.yanked or "")
        assert package.metadata_digests == ({"sha256": metadata} if metadata else None)
        assert package.has_sig == entry.has_signature
        assert package.provenance_url == entry.provenance
        if is_json:
            assert package.digests == each.hashes
            assert package.size == file.size
            when = each.upload_time
            assert package.upload_time == (datetime.fromisoformat(when) if when else None)
        else:
            assert package.digests == dict(list(each.hashes.items())[:1])


def test_another_library_reads_the_same() -> None:
    """`pypi_simple` finds in JSON and in HTML what was meant."""
    check_oracle(ProjectPage.from_json_data(json.loads(render_project_json(VIEW)), URL), VIEW, is_json=True)
    check_oracle(ProjectPage.from_html("demo", render_project_html(VIEW), URL), VIEW, is_json=False)


# Without what HTML itself alters: controls, and line ends in attributes.
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=20)
URLS = st.sampled_from(["https://a.example.org/", "https://b.example.org/x?y=1&z=%20'", "https://[::1]:80/x"])
DIGESTS = st.sampled_from(["0" * 64, "1" * 64, "ab" * 32]).map(Sha256)
ENTRIES = st.builds(
    Entry,
    requires_python=st.none() | WORDS,
    core_metadata=st.none() | DIGESTS,
    yanked=st.none() | st.just("") | WORDS,
    provenance=st.none() | URLS,
    has_signature=st.none() | st.booleans(),
)
ABOUTS = st.builds(
    About,
    st.just("demo"),
    st.sampled_from(STATUSES),
    st.none() | WORDS,
    st.lists(URLS, max_size=2).map(tuple),
    st.lists(URLS, max_size=2).map(tuple),
)
NAMES = st.sampled_from(
    [
        "demo-1.0.tar.gz",
        "Demo-1.0-py3-none-any.whl",
        "demo-2.0+l.1-cp39-cp39-win32.whl",
        "demo-3 (1),~@=.zip",
        "demo-1.0.win32.exe",
    ]
)


def as_file(found: FoundFile) -> File:
    return python_listed(found.name).file._replace(
        version=found.version,
        size=found.size,
        md5=found.md5,
        sha256=found.sha256,
        published_at=found.uploaded,
        fields=found.fields,
    )


@given(ABOUTS, st.data())
def test_pages_are_read_back(about: About, data: st.DataObject) -> None:
    """What is rendered is what `read_page` finds in it; in HTML without sizes and all but the best hash."""
    found = []
    for name in data.draw(st.lists(NAMES, unique=True, min_size=1)):
        seconds = data.draw(st.none() | st.integers(0, 2**32))
        fraction = data.draw(st.sampled_from(["Z", ".5Z", ".123456Z"]))
        text = (time_text(seconds) or "").replace("Z", fraction) or None
        facts = data.draw(ENTRIES)._replace(upload_time=text)
        others = data.draw(st.sampled_from([None, {"blake2b_256": "c" * 64}]))
        md5, sha256 = data.draw(st.none() | st.just("d" * 32)), data.draw(st.none() | DIGESTS)
        file = python_listed(name).file
        url = URL[:-12] + "packages/demo/" + name.replace("+", "%2B").replace(" ", "%20")
        for character in "(),@=":
            url = url.replace(character, f"%{ord(character):02X}")
        size = data.draw(st.none() | st.integers(0, 2**62))
        packed = pack(facts._replace(hashes=others))
        found.append(FoundFile(name, file.version, url, size, md5, sha256, seconds, packed))
    files = [Shown(f := as_file(each), e := unpack(f.fields), f.sha256, e.core_metadata) for each in found]
    view = ProjectView(DEMO, about, files)

    page = read_page(render_project_json(view), url=URL, project=DEMO)
    best = [each._replace(md5=None) if each.sha256 else each for each in found]
    assert (page.about, page.files, page.faults) == (about, best, ())

    def in_html(each: FoundFile) -> FoundFile:
        facts = unpack(each.fields)
        if each.md5 or each.sha256:
            facts = facts._replace(hashes=None)
        return each._replace(size=None, md5=None if each.sha256 else each.md5, fields=pack(facts))

    page = read_page(render_project_html(view), url=URL, project=DEMO)
    assert (page.about, page.files, page.faults) == (about, [in_html(each) for each in found], ())


@given(st.text(st.characters(codec="utf-8"), max_size=30))
def test_nothing_breaks_out_of_a_page(text: str) -> None:
    """Whatever a fact says, the page has one link, and no tags but its own."""
    hostile = shown("demo-1.0.zip", Entry(requires_python=text, yanked=text, provenance=text, upload_time=text))
    page = render_project_html(ProjectView(DEMO, About("demo", reason=text), [hostile]))
    tame = render_project_html(ProjectView(DEMO, About("demo", reason="x"), [hostile]))
    assert page.count(b"<") == tame.count(b"<") - (0 if text else 1)
    assert page.count(b"<a ") == 1


def test_the_order_of_rendering_is_that_of_the_view() -> None:
    """Files stay where the view has them."""
    names = [f"demo-{number}.0.zip" for number in (3, 1, 2)]
    page = json.loads(render_project_json(ProjectView(DEMO, None, [shown(name) for name in names])))
    assert [file["filename"] for file in page["files"]] == names


@pytest.mark.parametrize("count", [0, 1, 1999, 2000, 2001, 6000])
def test_lists(count: int) -> None:
    """Read back by ourselves and by `pypi_simple`, in pieces of bounded size, whatever the names."""
    names = [PackageName(f"some-project-{number}") for number in range(count)]
    body = b"".join(render_list_json(names, 7))
    projects = [{"name": name, "_last-serial": 7} for name in names]
    assert json.loads(body) == {"meta": {"api-version": "1.4", "_last-serial": 7}, "projects": projects}
    html = b"".join(render_list_html(names))
    assert IndexPage.from_html(html).projects == names
    for whole in (body, html):
        assert list(read_names(io.BytesIO(whole))) == names
    strange = [PackageName('a"<&>'), *names, PackageName("ü")]
    assert [each["name"] for each in json.loads(b"".join(render_list_json(strange, 7)))["projects"]] == strange
    assert IndexPage.from_html(b"".join(render_list_html(strange))).projects == strange
    for piece in chain(render_list_json(iter(names), 7), render_list_html(iter(names))):
        assert 0 < len(piece) < 200_000


def test_a_moment_of_upload_is_kept_exactly() -> None:
    """The text of upstream goes first, the seconds of the row where there is none."""
    when = datetime(2024, 1, 31, 12, 0, 2, tzinfo=UTC)
    exact = shown("demo-1.0.zip", Entry(upload_time="2024-01-31T12:00:02.5Z"), published=when)
    assert exact.upload_time == "2024-01-31T12:00:02.5Z"
    assert shown("demo-1.0.zip", published=when).upload_time == "2024-01-31T12:00:02Z"
