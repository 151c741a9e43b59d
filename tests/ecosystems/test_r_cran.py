"""What a CRAN-like repository answers."""

from __future__ import annotations

import gzip

import pytest

from entrepot.core.answers import Ask, Document, SendFile
from entrepot.core.errors import FileNotListed
from entrepot.core.model import File, FileStatus
from entrepot.ecosystems.r import cran, packages
from entrepot.ecosystems.r.archivewrite import render_archive, render_current
from tests.ecosystems.views import FixedView, archived, listed

OLD = [archived("demo", version) for version in ("0.1", "0.2", "1.0", "1.1", "1.10")]
VIEW = FixedView((*OLD, listed("demo", "2.0"), listed("raw", "1.0", fields=None)))


def told(file: File) -> bool:
    return file.package == "demo"


def answer(tail: str) -> object:
    return cran.answer(Ask("src/contrib/" + tail), VIEW, told=told)


def test_the_documents() -> None:
    """Each index under its name, with a media type that clients leave alone, rendered from what the view shows."""
    text = packages.render(VIEW.current(), told)
    want = {
        "PACKAGES": ("text/plain; charset=utf-8", True, text),
        "PACKAGES.gz": ("application/gzip", False, packages.gz(text)),
        "PACKAGES.rds": ("application/octet-stream", False, packages.render_rds(VIEW.current(), told)),
        "Meta/archive.rds": ("application/octet-stream", False, render_archive([each.file.brief for each in OLD])),
        "Meta/current.rds": ("application/octet-stream", False, render_current(VIEW.in_brief(FileStatus.CURRENT))),
    }
    for key, (media_type, compress, body) in want.items():
        document = answer(key)
        assert isinstance(document, Document)
        assert (document.key, document.media_type, document.compress) == (key, media_type, compress)
        assert document.render().body == body
    assert gzip.decompress(want["PACKAGES.gz"][2]) == text


@pytest.mark.parametrize("file", [*OLD, *VIEW.current()])
@pytest.mark.parametrize("folder", ["", "Archive/{}/", "archive/{}/"])
def test_a_version_answers_at_both_paths(file: object, folder: str) -> None:
    """Whatever its status, as clients learn of its move to the archive late. Only where CRAN has it is it counted, as
    pak asks at both at once."""
    each = next(known for known in VIEW.files if known is file)
    tail = folder.format(each.file.package) + each.file.name
    is_aside = bool(folder) == (each in VIEW.current())
    assert answer(tail) == SendFile(each, "application/gzip", package_type="source", is_aside=is_aside)


def test_a_package_that_is_not_there() -> None:
    """The message names it."""
    with pytest.raises(FileNotListed, match="'nope'") as raised:
        answer("nope_1.0.tar.gz")
    assert raised.value.payload == {"package": "nope", "version": "1.0"}


def test_a_version_that_is_not_there() -> None:
    """The message names package and version, the hint those on both sides of it."""
    with pytest.raises(FileNotListed, match=r"no version 1\.5 of demo") as raised:
        answer("Archive/demo/demo_1.5.tar.gz")
    assert raised.value.payload["near"] == ["1.0", "1.1", "1.10", "2.0"]
    assert "1.1, 1.10" in (raised.value.hint or "")
    # Equal in order but another file.
    with pytest.raises(FileNotListed):
        answer("demo_1-0.tar.gz")


@pytest.mark.parametrize("tail", ["", "src/contrib/", "bin/windows/contrib/4.2/PACKAGES", "src/contrib/" + "x" * 9999])
def test_a_path_that_no_repository_has(tail: str) -> None:
    """It is not listed either, and a long one is not repeated in full."""
    with pytest.raises(FileNotListed) as raised:
        cran.answer(Ask(tail), VIEW, told=told)
    assert len(raised.value.message) < 300


def test_what_may_still_be_learnt_is_counted() -> None:
    """Of the list of packages the entries that nobody has read, of a list of files those without a size."""
    view = FixedView((*VIEW.files, archived("demo", "0.0", size=None)))

    def incomplete(key: str) -> int:
        document = cran.answer(Ask("src/contrib/" + key), view, told=told)
        assert isinstance(document, Document)
        return document.render().incomplete

    keys = ("PACKAGES", "PACKAGES.gz", "PACKAGES.rds", "Meta/archive.rds", "Meta/current.rds")
    assert [incomplete(key) for key in keys] == [1, 1, 1, 1, 0]
