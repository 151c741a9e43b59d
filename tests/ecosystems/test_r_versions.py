"""R's names, versions and their order."""

from __future__ import annotations

import functools
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.core.errors import Invalid, InvalidName
from entrepot.ecosystems.r.versions import check_name, check_version, ranks, version_key
from tests.support.r import run_r

VERSIONS = st.from_regex(r"[0-9]{1,4}([.-][0-9]{1,4}){1,4}", fullmatch=True)


@pytest.mark.parametrize("name", ["R6", "data.table", "a1", "A..b", "Rcpp"])
def test_a_good_name(name: str) -> None:
    """Letters, digits and dots."""
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "R", "6R", "a.", ".a", "a_b", "a-b", "é1", "ab\n", "a/b", "..", "a b", "ab\0", "x" * 101, "a\u0661"]
)
def test_a_bad_name(name: str) -> None:
    """Anything else is no name, least of all what could be a path."""
    with pytest.raises(InvalidName):
        check_name(name)


@pytest.mark.parametrize("version", ["1.0", "0.0-1", "1.2.3.9000", "2024.01.31", "1-2-3", "00.1"])
def test_a_good_version(version: str) -> None:
    """Two or more numbers."""
    assert check_version(version) == version


@pytest.mark.parametrize(
    "version", ["", "1", "1.", ".1", "1..0", "1.0a", "1.0\n", "v1.0", "1.0/2", "1.\u0661", "1." * 60]
)
def test_a_bad_version(version: str) -> None:
    """Anything else is no version."""
    with pytest.raises(Invalid):
        check_version(version)


def test_the_order_of_versions() -> None:
    """By numbers, a longer one after its beginning, dots and dashes alike; what R can't read comes first."""
    ordered = ["", "x", "1.0beta", "0.9", "0.10", "1", "1.0", "1.0-1", "1.0.2", "1.1", "10.0"]
    assert sorted(set(ordered), key=version_key) == ordered
    assert version_key("1.0-1") == version_key("1.0.1") == version_key("1.00-01")


@given(st.lists(st.one_of(VERSIONS, st.text()), max_size=6))
def test_any_versions_can_be_sorted(versions: list[str]) -> None:
    """The order is total and depends on nothing but the versions."""
    once = sorted(versions, key=lambda version: (version_key(version), version))
    assert sorted(set(versions), key=lambda version: (version_key(version), version)) == list(dict.fromkeys(once))


def test_an_absurdly_long_version_can_be_sorted() -> None:
    """A version of a million digits costs neither time nor an error."""
    assert version_key("9" * 1_000_000) < version_key("0.1")


@pytest.mark.r
def test_r_compares_the_same(rscript: Path, tmp_path: Path) -> None:
    """For 3,000 pairs the order is that of `compareVersion`, and `package_version` is never of the opposite opinion.

    (Before 4.4 it holds 1.0 and 1.0.0 for equal.)
    """
    chance = random.Random(1)
    versions = ["".join(_random_version(chance)) for _ in range(3000)]
    (tmp_path / "versions").write_text("\n".join(versions))
    done = run_r(f"""
        x <- readLines("{tmp_path}/versions")
        y <- c(x[-1L], x[1L])
        order <- mapply(compareVersion, x, y, USE.NAMES = FALSE)
        x <- package_version(x); y <- package_version(y)
        stopifnot(order * ((x > y) - (x < y)) >= 0)
        cat(order, sep = "\\n")""")
    pairs = zip(versions, versions[1:] + versions[:1], strict=True)
    ours = [(version_key(x) > version_key(y)) - (version_key(x) < version_key(y)) for x, y in pairs]
    assert ours == list(map(int, done.stdout.split()))


@functools.cache
def _parts() -> list[str]:
    return ["0", "1", "2", "10", "01", "9000", "20240131"]


def _random_version(chance: random.Random) -> list[str]:
    parts = [chance.choice(_parts())]
    for _ in range(chance.randint(1, 3)):
        parts += [chance.choice(".-"), chance.choice(_parts())]
    return parts


@given(st.lists(VERSIONS | st.sampled_from(["1.0-1", "1.0.1", "?"])))
def test_places_in_the_order(versions: list[str]) -> None:
    """Versions compare by their places as by their keys."""
    places = ranks(versions)
    for a in versions:
        for b in versions:
            assert (places[a] < places[b]) == (version_key(a) < version_key(b))
