"""Which versions bounds take, and which are below and above them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from entrepot.core.checking import Offer
from entrepot.ecosystems.python import bounds as python
from entrepot.ecosystems.python.jsonapi import version_key
from entrepot.ecosystems.r import bounds as r
from entrepot.ecosystems.r.lists import satisfies
from entrepot.ecosystems.r.versions import version_key as r_key

R_VERSIONS = st.from_regex(r"\A[0-3]([.-][0-3]){1,2}\Z")
PYTHON_VERSIONS = st.from_regex(r"\A(1!)?[0-3](\.[0-3]){0,2}(a1|rc1)?(\.post1)?(\+abc)?\Z")


def of_r(versions: Sequence[str]) -> list[Offer]:
    return [Offer(version, r_key(version)) for version in sorted(versions, key=r_key, reverse=True)]


def of_python(versions: Sequence[str], yanked: Sequence[str] = ()) -> list[Offer]:
    ordered = sorted(versions, key=version_key, reverse=True)
    return [Offer(version, version_key(version), is_yanked=version in yanked) for version in ordered]


def specifiers(versions: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    bound = st.tuples(st.sampled_from(["==", "!=", ">=", "<=", ">", "<"]), versions).map("".join)
    return st.lists(bound, max_size=3).map(",".join)


@given(st.lists(R_VERSIONS, unique=True), specifiers(R_VERSIONS))
def test_bounds_of_r(versions: list[str], specifier: str) -> None:
    """Those that hold are those that the reader of lists tells; each other one is either too low or too high."""
    offers = of_r(versions)
    found = r.matching(offers, specifier)
    assert found == [offer for offer in offers if satisfies(offer.version, specifier)]
    low, high = r.beside(offers, specifier)
    assert sorted([*found, *low, *high], key=offers.index) == offers


@given(st.lists(PYTHON_VERSIONS, unique=True), specifiers(PYTHON_VERSIONS.map(lambda text: text.partition("+")[0])))
def test_bounds_of_python(versions: list[str], specifier: str) -> None:
    """Those that hold are those that `packaging` tells, as pip does; each other one is on one side."""
    offers = of_python(versions)
    found = python.matching(offers, specifier)
    assert {offer.version for offer in found} == set(SpecifierSet(specifier).filter(versions))
    low, high = python.beside(offers, specifier)
    within = [offer for offer in offers if SpecifierSet(specifier).contains(offer.version, prereleases=True)]
    assert sorted([*within, *low, *high], key=offers.index) == offers


@pytest.mark.parametrize(
    ("specifier", "found"),
    [
        ("", ["1.1", "1.0"]),
        ("<=1.1", ["1.1", "1.0"]),
        ("==2.0", ["2.0"]),
        ("===2.0", ["2.0"]),
        ("==2.*", []),
        ("===nightly", ["nightly"]),
        ("==1.0", ["1.0"]),
    ],
)
def test_yanked_versions_and_what_is_none(specifier: str, found: list[str]) -> None:
    """A yanked version is taken only by name; what is no version only letter by letter (PEP 440, 592)."""
    offers = of_python(["1.0", "1.1", "2.0", "nightly"], yanked=["2.0"])
    assert [offer.version for offer in python.matching(offers, specifier)] == found


def test_a_local_version_is_a_version() -> None:
    """`==1.0` takes 1.0+cu118 too, `==1.0+cpu` that one alone."""
    offers = of_python(["1.0", "1.0+cu118", "1.0+cpu"])
    assert [offer.version for offer in python.matching(offers, "==1.0")] == ["1.0+cu118", "1.0+cpu", "1.0"]
    assert [offer.version for offer in python.matching(offers, "==1.0+cpu")] == ["1.0+cpu"]
