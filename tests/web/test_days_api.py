"""`/days`, `/transaction-dates` and `/setup/choices` of the JSON API: shapes, ranges, errors."""

from __future__ import annotations

import pytest

from tests.support.archives import make_source_package
from tests.support.server import Clock, Live


def package(name: str, version: str) -> tuple[str, bytes]:
    return f"{name}_{version}.tar.gz", make_source_package(name, version)


@pytest.fixture
def site(live: Live, clock: Clock) -> Live:
    """The repository `mine`, with changes on 1 and 3 March; it is the 5th."""
    live.api("POST", "/sources", {"name": "internal"})
    live.api("POST", "/repos", {"name": "mine"})
    live.api("POST", "/repos/mine/sources", {"source": "internal"})
    live.upload("internal", package("abc", "1.0"), package("xyz", "1.0"))
    clock.wait(days=2)
    live.upload("internal", package("abc", "2.0"))
    clock.wait(days=2)
    return live


def dates(site: Live, query: str) -> list[str]:
    status, rows = site.api("GET", f"/repos/mine/transaction-dates?{query}", token="")
    assert status == 200
    return [row["alias"] for row in rows]


def test_which_days_can_be_used(site: Live) -> None:
    """The first and the last, and today; null where there is none yet."""
    assert site.api("GET", "/repos/mine/days", token="") == (
        200,
        {"first": "2024-03-01", "last": "2024-03-04", "today": "2024-03-05"},
    )
    site.api("POST", "/repos", {"name": "empty"})
    assert site.api("GET", "/repos/empty/days")[1] == {"first": None, "last": None, "today": "2024-03-05"}
    assert site.api("GET", "/repos/none/days")[1]["code"] == "repository-not-found"


def test_days_of_a_range(site: Live) -> None:
    """Both ends count; a range alone changes no shape."""
    assert dates(site, "") == ["2024-03-01", "2024-03-03"]
    assert dates(site, "from=2024-03-02") == ["2024-03-03"]
    assert dates(site, "to=2024-03-02") == ["2024-03-01"]
    assert dates(site, "from=2024-03-01&to=2024-03-03&_order=desc") == ["2024-03-03", "2024-03-01"]
    assert dates(site, "from=2024-03-04&to=2024-03-01") == []
    (_, rows) = site.api("GET", "/repos/mine/transaction-dates?from=2024-03-03")
    assert rows == [{"alias": "2024-03-03", "date": "2024-03-03T00:00:00Z", "id": rows[0]["id"]}]
    answer = site.get("/__api__/repos/mine/transaction-dates?from=2024-03-02&to=2024-03-31")
    assert answer.headers["X-Total-Count"] == "1"


def test_days_with_their_numbers(site: Live) -> None:
    """How many packages changed on each, if that is asked for."""
    status, rows = site.api("GET", "/repos/mine/transaction-dates?from=2024-03-01&to=2024-03-31&counts=true")
    assert (status, [(row["alias"], row["packages"]) for row in rows]) == (200, [("2024-03-01", 2), ("2024-03-03", 1)])


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("from=yesterday", "from: "),
        ("to=2024-02-30", "to: "),
        ("counts=true", "a year at most"),
        ("counts=true&from=2024-01-01", "a year at most"),
        ("counts=true&from=2023-01-01&to=2024-01-02", "a year at most"),
    ],
)
def test_wrong_ranges(site: Live, query: str, words: str) -> None:
    """What is no day is a 422 that names the parameter, and so is counting for ever."""
    status, error = site.api("GET", f"/repos/mine/transaction-dates?{query}")
    assert (status, error["code"], words in error["error"]) == (422, "invalid", True)


def test_what_a_set_up_can_be_of(site: Live) -> None:
    """Of each type of repository what `/setup` takes, and nothing else."""
    (_, mine) = site.api("GET", "/repos/mine/setup/choices", token="")
    assert mine["environments"][:2] == ["r", "renv"]
    assert mine["systems"] == ["linux", "windows", "macos"]
    assert (mine["bioc_versions"], mine["cran_repo"]) == ([], None)
    jammy = next(each for each in mine["distributions"] if each["name"] == "jammy")
    assert jammy == {"name": "jammy", "display": "Ubuntu 22.04 (Jammy)", "binaries": False}
    (_, status) = site.api("GET", "/status")
    shown = [each["name"] for each in status["distros"] if each["os"] == "linux" and not each["hidden"]]
    assert [each["name"] for each in mine["distributions"]] == shown
    for environment in mine["environments"]:
        for each in mine["distributions"]:
            query = f"environment={environment}&distribution={each['name']}"
            assert site.api("GET", f"/repos/mine/setup?{query}")[0] == 200, query
    (_, pypi) = site.api("GET", "/repos/pypi/setup/choices")
    assert (pypi["environments"][0], pypi["distributions"], pypi["bioc_versions"]) == ("pip", [], [])
    assert all(site.api("GET", f"/repos/pypi/setup?environment={each}")[0] == 200 for each in pypi["environments"])
    assert site.api("GET", "/repos/none/setup/choices")[1]["code"] == "repository-not-found"
