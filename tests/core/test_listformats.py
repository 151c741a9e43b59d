"""Which kind of file a list is, told by its content."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.core.errors import Invalid
from entrepot.core.listformats import open_list, recognise
from entrepot.core.requirements import ListFormat

RENV = json.dumps({"R": {"Version": "4.4.1"}, "Packages": {"R6": {"Package": "R6", "Version": "2.5.1"}}}, indent=2)
DESCRIPTION = "Package: hello\nType: Package\nTitle: Says Hello\nVersion: 1.0\nImports:\n    dplyr (>= 1.0),\n    cli\n"
UV_LOCK = 'version = 1\nrevision = 3\nrequires-python = ">=3.11"\n\n[[package]]\nname = "a"\nversion = "1.0"\n'
PYLOCK = 'lock-version = "1.0"\ncreated-by = "x"\n\n[[packages]]\nname = "a"\nversion = "1.0"\n'

KNOWN: list[tuple[str, ListFormat]] = [
    (RENV, ListFormat.RENV_LOCK),
    ('{"R": {"Version": "4.0.0"}}', ListFormat.RENV_LOCK),
    ('{"Packages": {}}', ListFormat.RENV_LOCK),
    (DESCRIPTION, ListFormat.DESCRIPTION),
    ("Title: x\nPackage: a\n", ListFormat.DESCRIPTION),
    ("Type: project\nImports: dplyr\n", ListFormat.DESCRIPTION),
    ("Package: a\n\ndplyr\n", ListFormat.LINES),
    (UV_LOCK, ListFormat.UV_LOCK),
    (PYLOCK, ListFormat.PYLOCK),
    ('lock-version = "1.0"\npackages = []\n', ListFormat.PYLOCK),
    ('[project]\nname = "a"\n', ListFormat.PYPROJECT),
    ('project.name = "a"\n[tool]\n', ListFormat.PYPROJECT),
    ("[tool.poetry.dependencies]\n", ListFormat.PYPROJECT),
    ('[build-system]\nrequires = ["hatchling"]\n', ListFormat.PYPROJECT),
    ("", ListFormat.LINES),
    ("# [project]\n", ListFormat.LINES),
    ('# {"R": 1}\n# Package: a\n# Version: 1\ndplyr\n', ListFormat.LINES),
    ("dplyr\n[project]\n", ListFormat.LINES),
    ("dplyr = 1.0\nshiny\n", ListFormat.LINES),
    ("dplyr==1.0\nshiny [suggests]\n", ListFormat.LINES),
    ("-r other.txt\n--hash=sha256:00\n", ListFormat.LINES),
    ("a; python_version < '3'\nb[c] @ https://x/y\n", ListFormat.LINES),
    ("library\nrequire (>= 1.0)\nimports\n", ListFormat.LINES),
]

REFUSED: list[tuple[str, str]] = [
    ("<!DOCTYPE html>\n<html></html>", "an HTML or XML page"),
    ("PK\x03\x04", "not text"),
    ("d\0p\0l\0y\0r\0", "not text"),
    ("a\n" * 100_000 + "\0", "not text"),
    ('{"R": ', "can't be read as JSON"),
    ('{"a":' * 100_000, "nested too deeply"),
    ('{"name": "x"}', "not renv.lock"),
    ('[{"package": "x"}]', "JSON of another kind"),
    ('{"_meta": {}, "default": {}, "develop": {}}', "Pipfile.lock"),
    ('[[source]]\nurl = "x"\n\n[packages]\nflask = "*"\n', "Pipfile can't"),
    ('# @generated\n\n[[package]]\nname = "a"\n\n[metadata]\nlock-version = "2.0"\n', "poetry.lock"),
    ("[metadata]\nname = attr: x\n", "can't be read as TOML"),
    ("[workspace]\nx = 1\n", "neither pyproject.toml, uv.lock nor pylock.toml"),
    ("name: x\nchannels:\n  - conda-forge\ndependencies:\n  - numpy=1.26\n", "environment.yml"),
    ("---\ndependencies: # all\n  - numpy\n", "environment.yml"),
    ("---\na: 1\n", "YAML"),
    ("# platform: linux-64\n@EXPLICIT\nhttps://x/y.conda\n", "conda's packages"),
    ("#!/usr/bin/env Rscript\nlibrary(dplyr)\n", "an R script"),
    ('install.packages("dplyr")\n', "an R script"),
    ("x <- 1\n", "an R script"),
    ("# setup\nimport os\n", "a Python script"),
    ("from setuptools import setup\n", "a Python script"),
    ("PackratFormat: 1.4\nPackratVersion: 0.9\n\nPackage: a\nVersion: 1.0\n", "packrat.lock"),
]


@pytest.mark.parametrize(("text", "expected"), KNOWN)
def test_a_format(text: str, expected: ListFormat) -> None:
    """Each format is told by what is in it; what is nothing else is a requirement a line."""
    assert recognise(text) is expected


@pytest.mark.parametrize(("text", "expected"), KNOWN)
def test_what_stands_before_it_does_not_matter(text: str, expected: ListFormat) -> None:
    """A byte order mark, empty lines and the line ends of Windows change nothing."""
    assert recognise("\ufeff" + text) is expected
    assert recognise("\n  \n\t\n" + text) is expected
    assert recognise(text.replace("\n", "\r\n")) is expected


@pytest.mark.parametrize("text", [UV_LOCK, PYLOCK, "[project]\n", "dplyr\n", DESCRIPTION])
def test_comments_before_it_do_not_matter(text: str) -> None:
    """Comments that look like another format are comments."""
    assert recognise('# [project]\n  # {"R": {}}\n#Package: x\n# import x\n\n' + text) is recognise(text)


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_what_is_no_list(text: str, message: str) -> None:
    """What is clearly something else is refused in one line, with what to give instead."""
    with pytest.raises(Invalid) as caught:
        recognise(text)
    assert message in caught.value.message
    assert caught.value.hint


def test_a_document_is_read_once() -> None:
    """What was parsed to find the format out comes with it."""
    assert open_list(RENV).document == json.loads(RENV)
    assert open_list(PYLOCK).document == {
        "lock-version": "1.0",
        "created-by": "x",
        "packages": [{"name": "a", "version": "1.0"}],
    }
    assert open_list("dplyr\n").document is None


@pytest.mark.parametrize(
    "text",
    [
        "some-package==1.2.3  # why\n" * 400_000,
        "# a comment\n" * 900_000,
        "a" * 10_000_000,
        " " * 10_000_000,
        "a = 1\n[" + " " * 10_000_000,
        "[[" * 5_000_000,
        "a: " * 3_000_000,
    ],
)
def test_ten_megabytes(text: str) -> None:
    """Size costs no more than a look at each character: what grows faster would not end within a test's time."""
    if text.startswith("["):
        with pytest.raises(Invalid):
            recognise(text)
    else:
        assert recognise(text) is ListFormat.LINES


@given(
    st.text() | st.lists(st.sampled_from([*(text for text, _ in KNOWN), "{", "[", "a", "=", ":", "\n"])).map("".join)
)
def test_any_text(text: str) -> None:
    """Every text has a format or is Invalid."""
    with contextlib.suppress(Invalid):
        assert recognise(text) in ListFormat
