"""The JSON API of a project and of its versions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.core.answers import About
from entrepot.core.model import PackageName, Sha256
from entrepot.ecosystems.python.entry import Entry, unpack
from entrepot.ecosystems.python.jsonapi import (
    described_by,
    find_version,
    latest_version,
    releases,
    render_project,
    render_version,
)
from entrepot.ecosystems.python.simple import ProjectView, Shown
from tests.ecosystems.views import python_listed

BASE = "https://packages.example.org/packages/team/latest/"
METADATA = b"""\
Metadata-Version: 2.4
Name: Demo
Version: 1.0
Summary: A demonstration
Author-email: A <a@example.org>
License-Expression: MIT
License-File: LICENSE
Keywords: one,two
Platform: any
Classifier: Programming Language :: Python :: 3
Classifier: Topic :: Utilities
Requires-Python: >=3.9
Requires-Dist: other>=1; extra == "x"
Provides-Extra: x
Project-URL: Home, https://demo.example.org/
Description-Content-Type: text/markdown

# Demo \xc3\xbc
"""


def shown(name: str, entry: Entry | None = None, **more: Any) -> Shown:
    file = python_listed(name, entry, **more).file
    entry = unpack(file.fields)
    return Shown(file, entry, file.sha256, entry.core_metadata)


def view(*files: Shown, about: About | None = None) -> ProjectView:
    return ProjectView(PackageName("demo"), about, files)


def named(*names: str, yanked: str = "") -> ProjectView:
    """Files of these names; those that are in `yanked`, by words, are."""
    return view(*(shown(name, Entry(yanked="" if name in yanked.split() else None)) for name in names))


def test_versions_in_their_order() -> None:
    """Ascending, what is no version before all; equal ones are one, under the spelling that came first."""
    files = named("demo-1.10.zip", "demo-1.9.zip", "demo-1.9.0.tar.gz", "demo-1.10rc1.zip", "demo-x.zip", "demo.zip")
    known = releases(files)
    assert list(known) == ["x", "1.9", "1.10rc1", "1.10"]
    assert [each.file.name for each in known["1.9"]] == ["demo-1.9.zip", "demo-1.9.0.tar.gz"]
    wanted = ("1.9.0.0", "1.10-rc.1", "x", "1.9.1", "", "9" * 100_000)
    assert [find_version(known, version) for version in wanted] == ["1.9", "1.10rc1", "x", None, None, None]


@pytest.mark.parametrize(
    ("names", "yanked", "want"),
    [
        (["demo-1.0.zip", "demo-2.0a1.zip"], "", "1.0"),
        (["demo-1.0.zip", "demo-2.0.dev1.zip"], "", "1.0"),
        (["demo-1.0a1.zip", "demo-1.0a2.zip"], "", "1.0a2"),
        (["demo-1.0.zip", "demo-2.0.zip"], "demo-2.0.zip", "1.0"),
        # One of its files is not yanked: neither is the version.
        (["demo-1.0.zip", "demo-2.0.zip", "demo-2.0.tar.gz"], "demo-2.0.zip", "2.0"),
        (["demo-1.0.zip", "demo-2.0a1.zip"], "demo-1.0.zip", "2.0a1"),
        (["demo-1.0.zip", "demo-2.0a1.zip"], "demo-1.0.zip demo-2.0a1.zip", "1.0"),
        (["demo-1.0.zip", "demo-1.0.post1.zip"], "", "1.0.post1"),
        (["demo-x.zip", "demo-0.1a0.zip"], "", "0.1a0"),
        (["demo-x.zip"], "", "x"),
        (["demo.zip"], "", None),
        ([], "", None),
    ],
)
def test_the_latest_version(names: list[str], yanked: str, want: str | None) -> None:
    """What is not yanked before what is, final ones before pre-releases, then the highest."""
    assert latest_version(releases(named(*names, yanked=yanked))) == want


def test_which_file_describes_a_version() -> None:
    """One whose metadata is offered, a wheel first."""
    offered = Entry(core_metadata=Sha256("b" * 64))
    plain, sdist = shown("demo-1.0-py2-none-any.whl"), shown("demo-1.0.tar.gz", offered)
    wheel = shown("demo-1.0-py3-none-any.whl", offered)
    assert described_by([plain, sdist, wheel]) == wheel
    assert described_by([plain, sdist]) == sdist
    assert described_by([plain]) is None


FILE = shown(
    "demo-1.0+x-py3-none-any.whl",
    Entry(">=3.9", None, "why", "2024-01-31T12:00:02.5Z", None, True, {"blake2b_256": "c" * 64}),
    md5="d" * 32,
    id=7,
)
FILE_JSON = {
    "comment_text": None,
    "digests": {"blake2b_256": "c" * 64, "md5": "d" * 32, "sha256": "1" * 64},
    "downloads": -1,
    "filename": "demo-1.0+x-py3-none-any.whl",
    "has_sig": True,
    "md5_digest": "d" * 32,
    "packagetype": "bdist_wheel",
    "python_version": "py3",
    "requires_python": ">=3.9",
    "size": 1000,
    "upload_time": "2024-01-31T12:00:02",
    "upload_time_iso_8601": "2024-01-31T12:00:02.5Z",
    "url": BASE + "demo/demo-1.0%2Bx-py3-none-any.whl",
    "yanked": True,
    "yanked_reason": "why",
}


def test_a_project() -> None:
    """About its latest version, as its metadata says, with the files of all versions."""
    project = view(FILE, shown("demo-0.9.zip", id=9))
    known = releases(project)
    told = json.loads(render_project(project, known, "1.0+x", METADATA, BASE))
    assert told["info"] == {
        "author": None,
        "author_email": "A <a@example.org>",
        "bugtrack_url": None,
        "classifiers": ["Programming Language :: Python :: 3", "Topic :: Utilities"],
        "description": "# Demo ü\n",
        "description_content_type": "text/markdown",
        "docs_url": None,
        "download_url": None,
        "downloads": {"last_day": -1, "last_month": -1, "last_week": -1},
        "dynamic": None,
        "home_page": None,
        "keywords": "one,two",
        "license": None,
        "license_expression": "MIT",
        "license_files": ["LICENSE"],
        "maintainer": None,
        "maintainer_email": None,
        "name": "Demo",
        "package_url": None,
        "platform": "any",
        "project_url": None,
        "project_urls": {"Home": "https://demo.example.org/"},
        "provides_extra": ["x"],
        "release_url": None,
        "requires_dist": ['other>=1; extra == "x"'],
        "requires_python": ">=3.9",
        "summary": "A demonstration",
        "version": "1.0+x",
        "yanked": True,
        "yanked_reason": "why",
    }
    assert list(told) == ["info", "last_serial", "releases", "urls", "vulnerabilities"]
    assert (told["last_serial"], told["vulnerabilities"]) == (9, [])
    assert list(told["releases"]) == ["0.9", "1.0+x"]
    assert told["releases"]["1.0+x"] == told["urls"] == [FILE_JSON]


def test_a_version() -> None:
    """About it alone, without the others; links are a folder deeper; without metadata it tells what the index tells."""
    project = view(FILE, shown("demo-2.0.zip"), about=About("Demo"))
    told = json.loads(render_version(project, "1.0+x", [FILE], None, BASE))
    assert list(told) == ["info", "last_serial", "urls", "vulnerabilities"]
    assert told["urls"] == [FILE_JSON]
    info = {key: value for key, value in told["info"].items() if value not in (None, [])}
    assert info == {
        "downloads": {"last_day": -1, "last_month": -1, "last_week": -1},
        "name": "Demo",
        "requires_python": ">=3.9",
        "version": "1.0+x",
        "yanked": True,
        "yanked_reason": "why",
    }


@pytest.mark.parametrize(
    ("name", "kind", "python"),
    [
        ("demo-1.0-py2.py3-none-any.whl", "bdist_wheel", "py2.py3"),
        ("demo-1.0-1build-cp39-cp39-win32.whl", "bdist_wheel", "cp39"),
        ("demo-1.0.tar.gz", "sdist", "source"),
        ("demo-1.0.zip", "sdist", "source"),
        ("demo-1.0-py2.7.egg", "bdist_egg", "2.7"),
        ("demo-1.0.win32-py2.6.exe", "bdist_wininst", "2.6"),
        ("demo-1.0.win32.msi", "bdist_msi", "any"),
        ("demo-1.0-1.noarch.rpm", "bdist_rpm", "any"),
        ("demo-1.0.deb", "bdist_dumb", "any"),
    ],
)
def test_types_of_files(name: str, kind: str, python: str) -> None:
    """Told by their names."""
    each = shown(name)
    told = json.loads(render_version(view(each), "1.0", [each], None, BASE))["urls"][0]
    assert (told["packagetype"], told["python_version"]) == (kind, python)


@given(st.binary(max_size=300), st.sampled_from([b"", b"Name: ", b"Summary: x\nKeywords: ", b"Project-URL: ", b"\n\n"]))
def test_metadata_of_any_kind(metadata: bytes, start: bytes) -> None:
    """Rubbish in it does no harm: what can't be read is not told."""
    each = shown("demo-1.0.zip")
    told = json.loads(render_version(view(each), "1.0", [each], start + metadata, BASE))
    assert told["info"]["version"] == "1.0"
