"""The short way for usual entries of an index reads what the long one reads, or leaves it to that."""

from __future__ import annotations

import json
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.core.errors import UpstreamInvalid
from entrepot.core.model import PackageName
from entrepot.core.pages import ProjectPage
from entrepot.ecosystems.python.upstream import read_page
from entrepot.ecosystems.python.usual import UsualEntries

DEMO = PackageName("demo")
USUAL: dict[str, Any] = {
    "filename": "demo-1.0-py3-none-any.whl",
    "url": "https://files.example.org/demo-1.0-py3-none-any.whl",
    "hashes": {"sha256": "a" * 64},
    "requires-python": ">=3.9",
    "size": 1000,
    "upload-time": "2024-01-31T12:00:02.5Z",
    "yanked": False,
    "core-metadata": {"sha256": "b" * 64},
}
ODD: dict[str, list[Any]] = {
    "filename": ["Demo-1.0.tar.gz", "other-1.0.tar.gz", "demo-1.0 .zip", "../demo-1.0.zip", "demo.exe", 7, None],
    "url": ["demo-1.0.zip", "http://files.example.org/a b.zip", "https://u:p@files.example.org/x", "ftp://x/y", None],
    "hashes": [{}, {"md5": "c" * 32}, {"sha256": "A" * 64}, {"sha256": "a"}, {"sha256": "a" * 64, "md5": "c" * 32}, 1],
    "requires-python": [None, "", ">=3.9\n", 'a"<ü', 3, ["x"], "x" * 3000],
    "size": [None, 0, -1, 2**63, 2**63 - 1, True, "10", 1.5],
    "upload-time": ["2024-01-31T12:00:02+00:00", "2024-13-31T12:00:02Z", "1969-01-01T00:00:00Z", "soon", None, 5],
    "yanked": [True, "", "broken", None],
    "core-metadata": [False, True, {}, {"sha256": "B" * 64}, {"sha256": "x"}, {"md5": "c" * 32}, None],
    "dist-info-metadata": [{"sha256": "d" * 64}, False],
    "gpg-sig": [True, False],
    "provenance": [None, "https://example.org/attested"],
    "unknown": [1],
}


def read(entries: list[dict[str, Any]]) -> ProjectPage | str:
    body = json.dumps({"meta": {"api-version": "1.4"}, "name": "demo", "files": entries}).encode()
    try:
        return read_page(body, url="https://pypi.example.org/simple/demo/", project=DEMO)
    except UpstreamInvalid as error:
        return str(error)


def read_the_long_way(entries: list[dict[str, Any]]) -> ProjectPage | str:
    with mock.patch.object(UsualEntries, "read", return_value=None):
        return read(entries)


def test_the_usual_goes_the_short_way() -> None:
    """Else it would be of no use."""
    assert UsualEntries(DEMO).read(USUAL) is not None
    assert UsualEntries(DEMO).read({**USUAL, "dist-info-metadata": {"sha256": "b" * 64}}) is not None


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in ODD.items() for value in values])
def test_each_oddity_is_read_alike(key: str, value: Any) -> None:
    """With one fact changed, and without it."""
    for entry in ({**USUAL, key: value}, {name: fact for name, fact in USUAL.items() if name != key}):
        assert read([entry, USUAL]) == read_the_long_way([entry, USUAL])


@given(st.fixed_dictionaries({}, optional={key: st.sampled_from([USUAL.get(key), *ODD[key]]) for key in ODD}))
def test_oddities_together_are_read_alike(facts: dict[str, Any]) -> None:
    assert read([{**USUAL, **facts}]) == read_the_long_way([{**USUAL, **facts}])
