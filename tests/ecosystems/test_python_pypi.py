"""What a Python repository answers."""

from __future__ import annotations

import dataclasses
import json

import pytest

from entrepot.core.answers import About, Ask, Document, LargeDocument, MovedTo, SendFile, Unlearned
from entrepot.core.errors import FileNotListed, NotAcceptable
from entrepot.core.model import File, Sha256
from entrepot.ecosystems.python import pypi
from entrepot.ecosystems.python.entry import Entry
from entrepot.ecosystems.python.simple import HTML, JSON
from tests.ecosystems.views import PUBLISHED, FixedView, python_listed

OFFERED, LEARNT = Sha256("b" * 64), Sha256("c" * 64)
WHEEL = python_listed("demo-2.0-py3-none-any.whl", Entry(core_metadata=OFFERED), id=1)
SDIST = python_listed("demo-2.0.tar.gz", id=2, sha256="2" * 64)
OLD = python_listed("demo-1.0-py3-none-any.whl", id=3, published=PUBLISHED.replace(year=2020))
OTHER = python_listed("six_foo-1.0.zip", project="six-foo", id=4)
VIEW = FixedView(
    (WHEEL, SDIST, OLD, OTHER),
    abouts={"demo": About("Demo", "archived")},
    learnt={3: LEARNT},
    documents={OFFERED: b"Metadata-Version: 2.1\nName: demo\nVersion: 2.0\nSummary: of 2.0\n"},
)


def told(file: File) -> bool:
    return file.id != 2


def answer(path: str, *, accept: str = JSON, view: FixedView = VIEW) -> object:
    return pypi.answer(Ask(path.removesuffix("/"), accept, is_folder=path.endswith("/")), view, told=told)


def document(path: str, *, accept: str = JSON, view: FixedView = VIEW) -> Document:
    found = answer(path, accept=accept, view=view)
    assert isinstance(found, Document)
    return found


def test_a_project_page() -> None:
    """In order of upload, with the metadata that was learnt and the hashes that are told."""
    page = document("simple/demo/")
    assert (page.media_type, page.compress, page.is_own_key, page.varies) == (JSON, True, True, True)
    told = json.loads(page.render().body)
    assert page.render().incomplete == 0
    assert told["project-status"] == {"status": "archived"}
    assert [(file["filename"], file.get("core-metadata"), file["hashes"]) for file in told["files"]] == [
        ("demo-1.0-py3-none-any.whl", {"sha256": LEARNT}, {"sha256": "1" * 64}),
        ("demo-2.0-py3-none-any.whl", {"sha256": OFFERED}, {"sha256": "1" * 64}),
        ("demo-2.0.tar.gz", None, {}),
    ]


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [("", "text/html; charset=utf-8"), (HTML, HTML), ("application/vnd.pypi.simple.latest+json", JSON)],
)
def test_the_forms_of_a_page(accept: str, media_type: str) -> None:
    """The media type is that of what is sent; both names of HTML share one rendering."""
    page = document("simple/demo/", accept=accept)
    assert page.media_type == media_type
    assert page.render().body[:1] == (b"{" if media_type == JSON else b"<")
    assert document("simple/demo/", accept="text/html").key == document("simple/demo/", accept=HTML).key


@pytest.mark.parametrize("path", ["simple/", "simple/demo/"])
def test_no_form_that_the_client_takes(path: str) -> None:
    """The message names those that there are."""
    with pytest.raises(NotAcceptable, match=r"v1\+json"):
        answer(path, accept="image/png")


def test_the_list_of_projects() -> None:
    """Of all names, in pieces, in either form."""
    listed = answer("simple/")
    assert isinstance(listed, LargeDocument)
    assert (listed.key, listed.media_type, listed.varies) == ("simple.json", JSON, True)
    assert json.loads(b"".join(listed.pieces()))["projects"] == [
        {"name": "demo", "_last-serial": 7},
        {"name": "six-foo", "_last-serial": 7},
    ]
    listed = answer("simple/", accept="*/*")
    assert isinstance(listed, LargeDocument)
    assert (listed.key, listed.media_type, listed.varies) == ("simple.html", "text/html; charset=utf-8", True)
    assert b'<a href="six-foo/">six-foo</a>' in b"".join(listed.pieces())


@pytest.mark.parametrize(
    ("path", "tail"),
    [
        ("simple", "simple/"),
        ("simple/demo", "simple/demo/"),
        ("simple/Six_Foo/", "simple/six-foo/"),
        ("simple/Six__.Foo", "simple/six-foo/"),
        ("simple/nobody.knows", "simple/nobody-knows/"),
        ("pypi/Six.Foo/json", "pypi/six-foo/json"),
        ("pypi/demo/json/", "pypi/demo/json"),
        ("pypi/DEMO/1.0/json", "pypi/demo/1.0/json"),
    ],
)
def test_other_spellings_move(path: str, tail: str) -> None:
    """To the normal name, whether it is known or not; pages end in a slash, documents don't."""
    assert answer(path) == MovedTo(tail)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "simple/../",
        "simple/..",
        "simple/./",
        "simple/-demo/",
        "simple/dеmo/",  # with a Cyrillic letter
        "simple/\u212aey/",
        "simple/de mo/",
        "simple/demo\n/",
        "simple/demo/x/",
        "simple//",
        "simple/" + "x" * 9999 + "/",
        "pypi/../json",
        "pypi/Demo/../json",
        "pypi/demo/a\nb/json",
        "pypi/demo",
        "packages/demo",
        "packages/demo/demo-2.0.tar.gz/",
        "packages/demo/../demo-2.0.tar.gz",
        "packages/../demo-2.0.tar.gz",
        "src/contrib/PACKAGES",
        "x" * 9999,
    ],
)
def test_what_no_repository_has(path: str) -> None:
    """It is not listed: never a redirect, and never repeated in full."""
    with pytest.raises(FileNotListed) as raised:
        answer(path)
    assert len(raised.value.message) < 300


def test_files() -> None:
    """Under the project's name in any spelling, each with its media type."""
    assert answer("packages/demo/" + WHEEL.file.name) == SendFile(WHEEL, "application/zip", kind="wheel")
    assert answer("packages/demo/" + SDIST.file.name) == SendFile(SDIST, "application/gzip", kind="sdist")
    assert answer("packages/Six.Foo/" + OTHER.file.name) == SendFile(OTHER, "application/zip", kind="sdist")
    egg = python_listed("demo-1.0-py2.7.egg")
    want = SendFile(egg, "application/octet-stream", kind="other")
    assert answer("packages/demo/" + egg.file.name, view=FixedView((egg,))) == want


@pytest.mark.parametrize(("listed", "sha256"), [(WHEEL, OFFERED), (OLD, LEARNT)])
def test_metadata_beside_a_file(listed: object, sha256: Sha256) -> None:
    """Upstream's or what was learnt: a file of its own, found by its hash."""
    each = next(known for known in VIEW.files if known is listed)
    sent = answer(f"packages/demo/{each.file.name}.metadata")
    want = each.file._replace(name=each.file.name + ".metadata", sha256=sha256, md5=None, size=None)
    assert sent == SendFile(each._replace(file=want), "text/plain; charset=utf-8")


def test_all_that_a_page_announces_can_be_had() -> None:
    """Each file and each metadata document, by its link: clients give up where one is missing."""
    for accept in (JSON, HTML):
        assert document("simple/demo/", accept=accept).render().body.count(b"../../packages/demo/") == 3
    for file in json.loads(document("simple/demo/").render().body)["files"]:
        path = file["url"].removeprefix("../../")
        assert isinstance(answer(path), SendFile)
        if "core-metadata" in file:
            sent = answer(path + ".metadata")
            assert isinstance(sent, SendFile)
            assert sent.listed.file.sha256 == file["core-metadata"]["sha256"]


def test_a_file_whose_name_ends_like_metadata() -> None:
    """A listed file goes before what might be beside another."""
    odd = python_listed(WHEEL.file.name + ".metadata", id=9)
    assert answer("packages/demo/" + odd.file.name, view=FixedView((WHEEL, odd))) == SendFile(
        odd, "application/octet-stream", kind="other"
    )


@pytest.mark.parametrize(
    ("path", "message", "hint"),
    [
        ("simple/nope/", "no project 'nope'", None),
        ("packages/nope/nope-1.0.zip", "no project 'nope'", None),
        ("packages/demo/demo-3.0.zip", r"no file 'demo-3\.0\.zip' of demo", "lists its 3"),
        ("packages/demo/demo-3.0.zip.metadata", r"no file 'demo-3\.0\.zip\.metadata'", "lists its 3"),
        ("packages/demo/demo-2.0.tar.gz.metadata", r"no metadata of 'demo-2\.0\.tar\.gz'", None),
        ("packages/six-foo/demo-2.0.tar.gz", "no file", "lists its 1"),
        ("pypi/demo/3.0/json", r"no version '3\.0' of demo", "it has 2, the highest is 2.0"),
        ("pypi/nope/json", "no project 'nope'", None),
    ],
)
def test_what_is_not_there(path: str, message: str, hint: str | None) -> None:
    """One line that says what is missing."""
    with pytest.raises(FileNotListed, match=message) as raised:
        answer(path)
    assert (hint or "") in (raised.value.hint or "")


def test_keys_name_what_is_shown() -> None:
    """Two views with equal pages share one rendering; whatever shows changes the name, ids alone don't."""
    key = document("simple/demo/").key
    renumbered = tuple(each._replace(file=each.file._replace(id=each.file.id + 10)) for each in VIEW.files)
    again = dataclasses.replace(VIEW, files=renumbered, learnt={13: LEARNT})
    assert document("simple/demo/", view=again).render() != document("simple/demo/").render()  # id 12 is told
    same = dataclasses.replace(VIEW, files=(*VIEW.files[::-1],))
    assert document("simple/demo/", view=same).key == key
    yanked = python_listed(SDIST.file.name, Entry(yanked=""), id=2, sha256="2" * 64)
    changed = [
        dataclasses.replace(VIEW, files=VIEW.files[1:]),
        dataclasses.replace(VIEW, files=(WHEEL, yanked, OLD)),
        dataclasses.replace(VIEW, learnt={}),
        dataclasses.replace(VIEW, abouts={}),
        again,
    ]
    keys = [document("simple/demo/", view=view).key for view in changed]
    keys += [document("simple/demo/", accept=HTML).key, document("pypi/demo/json").key, key]
    keys += [document("pypi/demo/2.0/json").key]
    assert len(set(keys)) == len(keys)


def test_the_json_api() -> None:
    """Of the latest version, or of one in any spelling; it doesn't depend on Accept."""
    found = document("pypi/demo/json", accept="image/png")
    assert (found.media_type, found.compress, found.is_own_key, found.varies) == ("application/json", True, True, False)
    project = json.loads(found.render().body)
    assert (project["info"]["version"], project["info"]["summary"]) == ("2.0", "of 2.0")
    assert list(project["releases"]) == ["1.0", "2.0"]
    assert json.loads(document("pypi/demo/v2.0.0/json").render().body)["info"] == project["info"]


def test_metadata_that_is_not_at_hand() -> None:
    """The view says how to learn it, before anything is rendered."""
    with pytest.raises(Unlearned):
        answer("pypi/demo/1.0/json")


def test_files_without_versions() -> None:
    """They have a page, but the JSON API has nothing to tell."""
    view = FixedView((python_listed("demo.zip"),))
    assert document("simple/demo/", view=view)
    with pytest.raises(FileNotListed, match="tells its version"):
        answer("pypi/demo/json", view=view)
