"""What is read of an upstream's pages, JSON API and list of names."""

from __future__ import annotations

import io
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.core.answers import About
from entrepot.core.errors import UpstreamInvalid
from entrepot.core.model import PackageName, Sha256
from entrepot.core.pages import FoundFile, ProjectPage
from entrepot.ecosystems.python.entry import Entry, pack, unpack
from entrepot.ecosystems.python.facts import read_time
from entrepot.ecosystems.python.upstream import MOST_FAULTS, merge_times, read_names, read_page

URL = "https://index.example.org/simple/demo/"
DEMO = PackageName("demo")
A, B, C = "a" * 64, "b" * 64, "c" * 64


def page_json(*files: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"meta": {"api-version": "1.4"}, "name": "demo", "files": files} | more).encode()


def page_html(*links: str, head: str = '<meta name="pypi:repository-version" content="1.0">') -> bytes:
    return f"<!DOCTYPE html><html><head>{head}</head><body>{''.join(links)}</body></html>".encode()


def read(body: bytes, url: str = URL) -> ProjectPage:
    return read_page(body, url=url, project=DEMO)


def file_json(name: str = "demo-1.0.tar.gz", **more: Any) -> dict[str, Any]:
    return {"filename": name, "url": name, "hashes": {}} | {key.replace("_", "-"): value for key, value in more.items()}


def found(name: str = "demo-1.0.tar.gz", version: str = "1.0", *, entry: Entry | None = None, **more: Any) -> FoundFile:
    plain = FoundFile(name, version, URL + name, None, None, None, None, pack(entry or Entry()))
    return plain._replace(**more)


def only(page: ProjectPage) -> FoundFile:
    assert page.faults == ()
    assert len(page.files) == 1
    return page.files[0]


def test_a_page_in_json() -> None:
    """All that the PEPs have a page tell."""
    page = read(
        page_json(
            {
                "filename": "demo-1.0-py3-none-any.whl",
                "url": "https://files.example.org/aa/demo-1.0-py3-none-any.whl",
                "hashes": {"sha256": A.upper(), "MD5": "d" * 32, "blake2b_256": C},
                "requires-python": ">=3.8,<4",
                "core-metadata": {"sha256": B},
                "yanked": "broken",
                "size": 1234,
                "upload-time": "2023-05-01T23:59:59.999999Z",
                "provenance": "https://index.example.org/integrity/demo",
                "gpg-sig": True,
            },
            file_json(),
            name="Demo",
            meta={"api-version": "1.4", "_last-serial": 77, "tracks": ["https://pypi.example.org/demo/"]},
            **{
                "alternate-locations": ["https://other.example.org/simple/demo/"],
                "project-status": {"status": "archived", "reason": "no time"},
            },
        )
    )
    facts = Entry(
        ">=3.8,<4",
        Sha256(B),
        "broken",
        "2023-05-01T23:59:59.999999Z",
        "https://index.example.org/integrity/demo",
        True,
        {"blake2b_256": C},
    )
    wheel = FoundFile(
        "demo-1.0-py3-none-any.whl",
        "1.0",
        "https://files.example.org/aa/demo-1.0-py3-none-any.whl",
        1234,
        "d" * 32,
        Sha256(A),
        1682985599,
        pack(facts),
    )
    tracks, others = ("https://pypi.example.org/demo/",), ("https://other.example.org/simple/demo/",)
    assert page == ProjectPage(About("Demo", "archived", "no time", tracks, others), [wheel, found()], 77)


def test_a_page_in_html() -> None:
    """The same, as far as HTML tells it, with names of tags and attributes in any case, escaped or not."""
    page = read(
        b"\xef\xbb\xbf\n"
        + page_html(
            "<h1>Links for demo</h1>",
            f'<A HREF="../../f/demo-1.0-py3-none-any.whl#sha256={A}" data-requires-python="&gt;=3.8,&lt;4" '
            f'data-yanked="x &amp; y" data-core-metadata="sha256={B}" data-upload-time="2023-05-01T12:00:00+00:00" '
            'data-gpg-sig="false" data-provenance="https://index.example.org/p">demo</A><br/>',
            '<a data-yanked data-requires-python=">=3" href="/f/demo-2.0%2Bx.tar.gz#egg=demo&md5='
            + "d" * 32
            + '">x</a>',
            head="<title>Links for Demo</title>"
            '<meta name="pypi:repository-version" content="1.4"><meta name="pypi:project-status" content="deprecated">'
            '<meta name="pypi:project-status-reason" content="use &lt;x&gt;">'
            '<meta name="pypi:tracks" content="https://a.example.org/"><meta name=pypi:tracks content=https://b.example.org/>'
            '<meta name="pypi:alternate-locations" content="https://c.example.org/">',
        )
        + b"<!--SERIAL 42-->"
    )
    facts = Entry(
        ">=3.8,<4", Sha256(B), "x & y", "2023-05-01T12:00:00Z", "https://index.example.org/p", has_signature=False
    )
    wheel = FoundFile(
        "demo-1.0-py3-none-any.whl",
        "1.0",
        "https://index.example.org/f/demo-1.0-py3-none-any.whl",
        None,
        None,
        Sha256(A),
        1682942400,
        pack(facts),
    )
    sdist = FoundFile(
        "demo-2.0+x.tar.gz",
        "2.0+x",
        "https://index.example.org/f/demo-2.0%2Bx.tar.gz",
        None,
        "d" * 32,
        None,
        None,
        pack(Entry(">=3", yanked="")),
    )
    about = About(
        "Demo",
        "deprecated",
        "use <x>",
        ("https://a.example.org/", "https://b.example.org/"),
        ("https://c.example.org/",),
    )
    assert page == ProjectPage(about, [wheel, sdist], 42)


@pytest.mark.parametrize(
    ("told", "want"),
    [
        ({"core-metadata": {"sha256": A}}, A),
        ({"core-metadata": {"sha256": A}, "dist-info-metadata": {"sha256": B}}, A),
        ({"core-metadata": True, "dist-info-metadata": {"sha256": B}}, B),
        ({"data-dist-info-metadata": {"sha256": C.upper()}}, C),
        ({"core-metadata": True}, None),
        ({"core-metadata": False}, None),
        ({"core-metadata": {"md5": "d" * 32}}, None),
        ({"core-metadata": {"sha256": "d" * 63}}, None),
        ({"core-metadata": {"sha256": 5}}, None),
        ({}, None),
    ],
)
def test_core_metadata(told: dict[str, Any], want: str | None) -> None:
    """Offered with a SHA-256, under one of its three names: what has no such hash counts as none."""
    assert unpack(only(read(page_json(file_json() | told))).fields).core_metadata == want


@pytest.mark.parametrize(
    ("attribute", "want"),
    [
        (f'data-core-metadata="sha256={A}"', A),
        (f'data-dist-info-metadata="sha256={A}"', A),
        (f'data-dist-info-metadata="sha256={A}" data-core-metadata="sha256={B}"', B),
        ('data-core-metadata="true"', None),
        ("data-core-metadata", None),
        ("", None),
    ],
)
def test_core_metadata_in_html(attribute: str, want: str | None) -> None:
    """The newer name counts."""
    body = page_html(f'<a href="demo-1.0.tar.gz" {attribute}>demo-1.0.tar.gz</a>')
    assert unpack(only(read(body)).fields).core_metadata == want


@pytest.mark.parametrize(
    ("yanked", "want"),
    [(True, ""), ("why", "why"), (False, None), ("", None), (None, None), (1, None), ("x" * 9999, "x" * 2000)],
)
def test_yanks(yanked: object, want: str | None) -> None:
    """True or a reason; a reason without end is cut, so that its file stays yanked."""
    assert unpack(only(read(page_json(file_json(yanked=yanked)))).fields).yanked == want


@pytest.mark.parametrize(
    ("told", "text", "at"),
    [
        ("2023-05-01T00:00:00Z", "2023-05-01T00:00:00Z", 1682899200),
        ("2023-05-01T00:00:00.5Z", "2023-05-01T00:00:00.5Z", 1682899200),
        ("2023-05-01T00:00:00.123456789Z", "2023-05-01T00:00:00.123456Z", 1682899200),
        ("2023-05-01T02:00:00+02:00", "2023-05-01T00:00:00Z", 1682899200),
        ("2023-04-30T20:30:00.250000-0330", "2023-05-01T00:00:00.250000Z", 1682899200),
        ("2023-05-01 00:00:00", "2023-05-01T00:00:00Z", 1682899200),
    ],
)
def test_upload_times(told: str, text: str, at: int) -> None:
    """With a fraction or not, with any offset; without one they are in UTC. What PEP 700 would write stays as it is."""
    assert read_time(told) == (text, at)


@pytest.mark.parametrize(
    "told",
    [
        "",
        "yesterday",
        "2023-05-01",
        "2023-13-01T00:00:00Z",
        "2023-05-01T25:00:00Z",
        "1969-12-31T23:59:59Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        1682899200,
        "2023-05-01T00:00:00Z\n",
        "x" * 9999,
    ],
)
def test_upload_times_that_are_none(told: object) -> None:
    """A fault of that file, which is then listed without a time."""
    page = read(page_json(file_json(upload_time=told)))
    assert page.files == [found()]
    assert len(page.faults) == 1
    assert "upload time of 'demo-1.0.tar.gz'" in page.faults[0]
    assert len(page.faults[0]) < 200


@pytest.mark.parametrize(
    "bad",
    [
        {"filename": "demo/1.0.tar.gz"},
        {"filename": "../demo-1.0.tar.gz"},
        {"filename": "demo-1.0\n.tar.gz"},
        {"filename": 'demo-1.0".tar.gz'},
        {"filename": "dеmo-1.0.tar.gz"},  # with a Cyrillic letter
        {"filename": None},
        {"filename": "other-1.0.tar.gz"},
        {"filename": "demonstration-1.0-py3-none-any.whl"},
        {"url": None},
        {"url": " "},
        {"url": "ftp://files.example.org/demo-1.0.tar.gz"},
        {"url": "javascript:alert(1)"},
        {"url": "file:///etc/demo-1.0.tar.gz"},
        {"url": "https://"},
        {"url": "https://[bad/demo-1.0.tar.gz"},
        {"hashes": {"sha256": "a" * 63}},
        {"hashes": {"sha256": "g" * 64}},
        {"hashes": {"md5": A}},
        {"hashes": {"sha256": None}},
        {"hashes": {"x y": A}},
    ],
)
def test_an_entry_that_cant_be_used(bad: dict[str, Any]) -> None:
    """It is left out and told; the rest of the page goes on."""
    page = read(page_json(file_json() | bad, file_json("demo-2.0.tar.gz")))
    assert page.files == [found("demo-2.0.tar.gz", "2.0")]
    assert len(page.faults) == 1
    assert page.faults[0].startswith("file 1 (")


def test_odd_entries() -> None:
    """What is no object is left out; a second file of one name too, whatever it is."""
    page = read(page_json(file_json(), 5, None, file_json(size=1), "x"))  # type: ignore[arg-type]
    assert page.files == [found()]
    assert len(page.faults) == 4


@pytest.mark.parametrize("size", [-1, 2**63, True, "5", 1.5, None])
def test_sizes_that_are_none(size: object) -> None:
    """As if none were told."""
    assert only(read(page_json(file_json(size=size)))) == found()


def test_faults_have_an_end() -> None:
    """A page of nothing but rubbish doesn't fill the log."""
    page = read(page_json(file_json(), *[file_json("other-1.0.tar.gz")] * 1000))
    assert len(page.faults) == MOST_FAULTS


def test_where_links_lead() -> None:
    """Relative to the page, to its <base>, or to nothing; odd characters as they may stand in a URL."""
    base = '<base href="/files/"><title>Links for demo</title>'
    hrefs = [
        "demo-1.0.tar.gz",
        "./a/../demo-1.1.tar.gz",
        "//cdn.example.org/demo-1.2.tar.gz",
        "HTTPS://x.example.org/demo-1.3.zip",
    ]
    hrefs += ["/p/demo-1.4.zip?token=a/b", "https://x.example.org/ü/demo-1.5.zip", "demo-1.6 (1).zip"]
    page = read(page_html(*(f'<a href=" {href} ">x</a>' for href in hrefs), head=base))
    assert page.faults == ()
    assert [file.url for file in page.files] == [
        "https://index.example.org/files/demo-1.0.tar.gz",
        "https://index.example.org/files/demo-1.1.tar.gz",
        "https://cdn.example.org/demo-1.2.tar.gz",
        "https://x.example.org/demo-1.3.zip",
        "https://index.example.org/p/demo-1.4.zip?token=a/b",
        "https://x.example.org/%C3%BC/demo-1.5.zip",
        "https://index.example.org/files/demo-1.6%20(1).zip",
    ]


def test_an_index_in_a_folder_of_this_machine() -> None:
    """It may name files of this machine, which an index on the web may not."""
    body = page_html('<a href="demo-1.0.tar.gz">x</a>')
    assert only(read(body, "file:///srv/simple/demo/index.html")).url == "file:///srv/simple/demo/demo-1.0.tar.gz"


def test_a_login_in_the_upstreams_url() -> None:
    """Its files are had with it too; but nothing that clients are told has it in it."""
    page = read(page_json(file_json(provenance="/p")), "https://me:secret@index.example.org/simple/demo/")
    assert page.files[0].url == "https://me:secret@index.example.org/simple/demo/demo-1.0.tar.gz"
    assert "secret" not in page.files[0].fields
    assert page.faults == ("the provenance of 'demo-1.0.tar.gz' was left out: its URL can't be used",)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "neither JSON nor HTML"),
        (b"not found", "neither JSON nor HTML"),
        (b"[]", "neither JSON nor HTML"),
        (b"{", "JSON can't be read"),
        (b'{"files":[]', "JSON can't be read"),
        (b"{" + b'"a":{' * 5000, "JSON can't be read"),
        (b'{"message":"not found"}', "no list of files"),
        (b'{"files":{}}', "no list of files"),
        (b"<html><body>Please log in: <a href='/login'>here</a></body></html>", "no list of files"),
        (b"<\xff\xfe\x00", "no list of files"),
        (b"<html>" + b"<b>" * 100_000 + b"</i>" * 100_000, "within each other"),
        (page_json(name="other"), "that of 'other'"),
        (page_html(head="<title>Links for other</title>"), "that of 'other'"),
        (page_json(file_json("other-1.0.tar.gz")), "no file .* can be used: .* of another project"),
        (page_html("<a href='other-1.0.tar.gz'>x</a>"), "no file .* can be used: .* of another project"),
        (page_json(meta={"api-version": "2.0"}), "version 2.0"),
        (page_html(head='<meta name="pypi:repository-version" content="10.1">'), "version 10.1"),
    ],
)
def test_what_is_no_page_of_the_project(body: bytes, message: str) -> None:
    """It is refused as a whole, in one line."""
    with pytest.raises(UpstreamInvalid, match=message) as raised:
        read(body)
    assert len(raised.value.message) < 400


def test_pages_without_files() -> None:
    """They are such pages if they say so."""
    assert read(page_json()).files == []
    assert read(page_html()).files == []
    assert read(page_html(head="<title>Links for demo</title>")).files == []


def test_a_status_that_nobody_knows() -> None:
    """Clients would refuse the whole page; it is a fault."""
    page = read(page_json(file_json(), **{"project-status": {"status": "sleeping"}}))
    assert page.about == About("demo")
    assert len(page.faults) == 1


@given(st.binary(max_size=200), st.sampled_from([b"", b"<", b"{", b"<html><a href=", b'{"files":[']))
def test_rubbish(rubbish: bytes, start: bytes) -> None:
    """Of any kind, it is refused or leaves nothing: no other error."""
    try:
        page = read(start + rubbish)
    except UpstreamInvalid:
        return
    assert all(file.name.startswith("demo") for file in page.files)


LEAF = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | st.just(A)
VALUES = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2)
)
KEYS = ("filename", "url", "hashes", "requires-python", "core-metadata", "yanked", "size", "upload-time", "provenance")


@given(st.fixed_dictionaries({}, optional=dict.fromkeys((*KEYS, "gpg-sig"), VALUES)))
def test_values_of_any_type(values: dict[str, Any]) -> None:
    """Whatever the type of a fact, the page's other files are read."""
    page = read(page_json(file_json() | values, file_json("demo-2.0.tar.gz")))
    assert page.files[-1] == found("demo-2.0.tar.gz", "2.0")


@pytest.mark.parametrize("times", [1, 10])
def test_large_pages_take_their_length_in_time(times: int) -> None:
    """Not its square: of the shapes that parsers have stumbled over."""
    many = 20_000 * times
    shapes = [
        b"<a " + b" ".join(b"a%d=1" % i for i in range(many)) + b">",
        b"<a href=x>" * many,
        b"<p><b>" * many,
        b"<!--" * many,
        b"<a href='" * many,
        b"</b" * many,
    ]
    begun = time.process_time()
    for shape in shapes:
        with pytest.raises(UpstreamInvalid):
            read(b"<html>" + shape)
    # Quadratic time would take minutes for the longer ones.
    assert time.process_time() - begun < 2 * times


def api_json(*files: dict[str, Any], name: str = "Demo", **more: Any) -> bytes:
    return json.dumps({"info": {"name": name}, "releases": {"1.0": files}, "urls": []} | more).encode()


def test_times_of_the_json_api() -> None:
    """What the page lacks is taken of it, by file name; what the page tells stays."""
    told = {
        "filename": "demo-1.0.tar.gz",
        "upload_time": "2023-05-01T00:00:00",
        "upload_time_iso_8601": "2023-05-01T00:00:00.123456Z",
        "size": 5,
        "requires_python": ">=3",
        "yanked": True,
        "yanked_reason": "why",
        "digests": {"sha256": A},
    }
    facts = Entry(">=3", None, "why", "2023-05-01T00:00:00.123456Z")
    page = read(page_json(file_json(), file_json("demo-2.0.tar.gz")))
    want = found(entry=facts, size=5, uploaded=1682899200, sha256=A)
    expected = ProjectPage(About("Demo"), [want, found("demo-2.0.tar.gz", "2.0")])
    assert merge_times(page, api_json(told)) == expected
    assert merge_times(page, api_json(urls=[told])) == expected
    more = told | {"size": 6, "upload_time_iso_8601": "2000-01-01T00:00:00Z", "requires_python": "<3"}
    more |= {"yanked_reason": "because"}
    assert merge_times(expected, api_json(more)) == expected
    # Yanked without a reason; the older field of the time, which has no offset.
    bare = {"filename": "demo-1.0.tar.gz", "upload_time": "2023-05-01T00:00:00", "yanked": True, "yanked_reason": None}
    assert only(merge_times(read(page_json(file_json())), api_json(bare))) == found(
        entry=Entry(yanked="", upload_time="2023-05-01T00:00:00Z"), uploaded=1682899200
    )


def test_the_json_api_tells_of_other_bytes() -> None:
    """A file with another hash is another file: nothing is taken of it."""
    page = read(page_json(file_json(hashes={"sha256": A})))
    told = {"filename": "demo-1.0.tar.gz", "upload_time": "2023-05-01T00:00:00", "digests": {"sha256": B}}
    assert merge_times(page, api_json(told)).files == page.files


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", api_json(name="other"), b'{"info":{"name":5}}'])
def test_a_json_api_that_cant_be_used(body: bytes) -> None:
    """It is refused: nothing is taken of it."""
    with pytest.raises(UpstreamInvalid):
        merge_times(read(page_json(file_json())), body)


@given(VALUES, VALUES)
def test_a_json_api_of_any_types(releases: object, file: object) -> None:
    """What can't be used is passed over."""
    page = read(page_json(file_json()))
    told = file | {"filename": "demo-1.0.tar.gz"} if isinstance(file, dict) else file
    merged = merge_times(page, api_json(releases=releases, urls=[told]))
    assert [each.name for each in merged.files] == ["demo-1.0.tar.gz"]


def names(body: bytes) -> list[str]:
    return list(read_names(io.BytesIO(body)))


def test_the_list_of_names_in_json() -> None:
    """Normalised, in its order, over any number of reads; what can't be a name is passed over."""
    many = [{"name": f"Some.Project_{number}"} for number in range(20_000)]
    odd = [{"name": "a b"}, {"name": 5}, {}, "x", {"name": "../up"}]
    body = json.dumps({"meta": {"api-version": "1.4"}, "projects": many[:9] + odd + many[9:]}).encode()
    assert names(b"\xef\xbb\xbf\n" + body) == [f"some-project-{number}" for number in range(20_000)]


def test_the_list_of_names_in_html() -> None:
    """Likewise: links whose text is what they lead to, wherever a read ends."""
    links = "".join(f'<a class="x" href="/simple/some-project-{n}/">Some.Project_{n}</a><br/>\n' for n in range(20_000))
    other = '<a href="/login/">Sign in</a><a href="/help">support</a>'
    body = f"<!DOCTYPE html><html><head><title>Simple index</title></head><body>{other}{links}</body></html>".encode()
    assert names(body) == [f"some-project-{number}" for number in range(20_000)]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"busy",
        b"[]",
        b"{}",
        b'{"message":"no"}',
        b'{"projects":[{"name":"a"},',
        b'{"projects":[{"name":"a"}]',
        b'{"projects":[{"name":"a"}]}}',
        b'{"meta":{"api-version":"2.0"},"projects":[{"name":"a"}]}',
        b"<html><body>Please <a href='/login'>sign in</a></body></html>",
        b"<" + b"a" * 300_000,
    ],
)
def test_what_is_no_list_of_names(body: bytes) -> None:
    """It is refused, at its end at the latest."""
    with pytest.raises(UpstreamInvalid):
        names(body)


def test_lists_without_names() -> None:
    """They are such lists if they say so."""
    assert names(b'{"meta":{"api-version":"1.0"},"projects":[]}') == []
    assert names(b"<!DOCTYPE html><html><head><title>Simple index</title></head></html>") == []


@given(st.binary(max_size=100), st.sampled_from([b"{", b"<", b'{"projects":[{"name":', b"<a href='x'>x</a>"]))
def test_lists_of_rubbish(rubbish: bytes, start: bytes) -> None:
    """They are refused or give names: no other error."""
    try:
        given_out = names(start + rubbish)
    except UpstreamInvalid:
        return
    assert all(isinstance(name, str) for name in given_out)


@pytest.mark.parametrize("shape", [b"<a href=", b"<a href='x'>", b"<a ", b"<a href='x'>" + b" " * 50, b"{", b'{"a":'])
def test_a_list_of_rubbish_takes_its_length_in_time(shape: bytes) -> None:
    """Not its square."""
    begun = time.process_time()
    with pytest.raises(UpstreamInvalid):
        names(shape * (3_000_000 // len(shape)))
    assert time.process_time() - begun < 5
