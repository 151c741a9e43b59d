"""Usage statistics as the API tells them: to whom, in which order, as CSV, and how old they are."""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from entrepot.core.model import PackageName
from entrepot.core.usage import Client, Download, download
from entrepot.operations import usage
from entrepot.settings import Settings
from entrepot.web.api.metrics import harmless
from tests.support.server import Clock, Live, eventually, installed, running
from tests.support.usage import DEMO, FILE, R42, rows, stock


@pytest.fixture
def unmetered(settings: Settings, clock: Clock) -> Iterator[Live]:
    """A site that counts nothing."""
    off = settings.model_copy(update={"usage": settings.usage.model_copy(update={"enabled": False})})
    with installed(off, clock) as app, running(app) as live:
        stock(live)
        yield live


def test_turned_off_nothing_is_counted_and_all_say_so(unmetered: Live) -> None:
    """No row, no thread; status, list, export and package say that it is off, and records tell of no downloads."""
    for _ in range(3):
        assert unmetered.get(FILE, User_Agent=R42).data == DEMO
    assert rows(unmetered.app) == []
    assert "usage" not in {thread.name for thread in threading.enumerate()}
    assert unmetered.api("GET", "/status")[1]["metrics_enabled"] is False
    for path in ("/metrics/packages", "/metrics/packages.csv", "/metrics/days", "/repos/mine/packages/demo/downloads"):
        status, told = unmetered.api("GET", path)
        assert (status, told["code"]) == (404, "usage-off")
    assert unmetered.api("GET", "/repos/mine/packages/demo")[1]["downloads"] == 0
    assert usage.recent_downloads(unmetered.app, [1]) == {}


@pytest.fixture
def used(live: Live) -> Live:
    """Downloads of demo and large from `mine`, and from `secret`, which is closed, by R and by uv."""
    stock(live)
    site, app = live, live.app
    assert site.api("POST", "/repos", {"name": "secret", "authenticated": True})[0] == 201
    assert site.api("POST", "/repos", {"name": "py", "type": "python"})[0] == 201
    ids = {name: site.api("GET", f"/repos/{name}")[1]["id"] for name in ("mine", "secret", "py")}
    source = site.api("GET", "/sources/internal")[1]["id"]
    for repo, name, version, times, client in (
        ("mine", "demo", "1.0", 3, Client("R", "4.2")),
        ("mine", "demo", "0.9", 1, Client("renv", "4.4")),
        ("mine", "large", "1.0", 9, Client("curl")),
        ("secret", "hidden", "1.0", 50, Client("R", "4.2")),
        ("py", "demo", "7.0", 2, Client("uv", "3.12")),
    ):
        for _ in range(times):
            app.usage.note(download(ids[repo], source, PackageName(name), version, "source"), client)
    assert app.usage.flush()
    return site


def test_the_most_downloaded_packages_are_those_that_one_may_see(used: Live) -> None:
    """By number, over all repositories, of a type or of one; closed repositories for those who may read them alone."""

    def top(query: str = "", token: str = "") -> list[tuple[str, str, int]]:
        status, found = used.api("GET", f"/metrics/packages{query}", token=token)
        assert status == 200, found
        return [(row["name"], row["type"], row["downloads"]) for row in found]

    demo, large, numpy, hidden = ("demo", "R", 4), ("large", "R", 9), ("demo", "Python", 2), ("hidden", "R", 50)
    assert top() == [large, demo, numpy]
    assert top(token=used.token) == [hidden, large, demo, numpy]
    assert top("?_sourceType=r") == [large, demo]
    assert top("?_sourceType=python&_days=7") == [numpy]
    assert top("?_sourceType=bioconductor") == []
    assert top("?repo=mine&_limit=1&_page=2") == [demo]
    assert top("?repo=secret", token=used.token) == [hidden]
    assert used.api("GET", "/metrics/packages?repo=secret", token="")[0] == 401
    assert used.api("GET", "/metrics/packages.csv?repo=secret", token="")[0] == 401
    assert used.api("GET", "/metrics/days?repo=secret", token="")[0] == 401
    assert used.api("GET", "/repos/secret/packages/hidden/downloads", token="")[0] == 401
    response = used.pool.request("GET", f"{used.address}/__api__/metrics/packages?_limit=1")
    assert (response.headers["X-Total-Count"], len(response.json())) == ("3", 1)


@pytest.mark.parametrize(
    ("query", "status"),
    [("_days=0", 422), ("_days=99999", 422), ("_days=x", 422), ("_sourceType=vsx", 422), ("repo=nothing", 401)],
)
@pytest.mark.parametrize("path", ["/metrics/packages", "/metrics/packages.csv", "/metrics/days"])
def test_what_can_not_be_asked_is_refused(used: Live, path: str, query: str, status: int) -> None:
    """A number of days, a type or a repository that there isn't is refused in words; of a closed one no more."""
    found, told = used.api("GET", f"{path}?{query}", token="")
    assert (found, bool(told["error"])) == (status, True)


def test_each_day_has_a_sum(used: Live) -> None:
    """Of all that the caller may read, days without downloads too; oldest first."""

    def days(query: str, token: str = "") -> list[tuple[str, int]]:
        status, found = used.api("GET", f"/metrics/days{query}", token=token)
        assert status == 200, found
        return [(row["date"], row["downloads"]) for row in found]

    assert days("?_days=2") == [("2024-02-29", 0), ("2024-03-01", 15)]
    assert days("?_days=1", used.token) == [("2024-03-01", 65)]
    assert days("?_days=1&repo=mine") == [("2024-03-01", 13)]
    assert len(days("")) == usage.RECENT


def test_all_counts_can_be_exported(used: Live) -> None:
    """As CSV, a line for each day, repository, package, version and client; of what the caller may read."""
    answer = used.get("/__api__/metrics/packages.csv?_days=7")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="downloads-7-days.csv"'
    head, *lines = csv.reader(io.StringIO(answer.data.decode(), newline=""))
    assert head == [
        *("date", "repository", "type", "source", "package", "version", "file_type"),
        *("client", "language_version", "downloads"),
    ]
    day = "2024-03-01"
    assert sorted(lines) == [
        [day, "mine", "R", "internal", "demo", "0.9", "source", "renv", "4.4", "1"],
        [day, "mine", "R", "internal", "demo", "1.0", "source", "R", "4.2", "3"],
        [day, "mine", "R", "internal", "large", "1.0", "source", "curl", "", "9"],
        [day, "py", "Python", "internal", "demo", "7.0", "source", "uv", "3.12", "2"],
    ]
    whole = used.pool.request(
        "GET", f"{used.address}/__api__/metrics/packages.csv", headers={"Authorization": f"Bearer {used.token}"}
    )
    assert whole.data.count(b"\n") == 6


def test_an_export_of_many_rows_has_each_once(used: Live, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """It comes in pieces that begin where the last one ended, whatever the rows are."""
    monkeypatch.setattr(usage, "AT_ONCE", 7)
    for n in range(100):
        one = download(1 + n % 3, 1 + n % 2, PackageName(f"P{n % 7}"), f"{n % 5}.0", "source")
        used.app.usage.note(one, Client("R", f"4.{n % 4}"))
        if n == 50:
            assert used.app.usage.flush()
            clock.wait(days=1)
    written = {row[:-1] for row in rows(used.app)}
    answer = used.pool.request(
        "GET", f"{used.address}/__api__/metrics/packages.csv", headers={"Authorization": f"Bearer {used.token}"}
    )
    lines = list(csv.DictReader(io.StringIO(answer.data.decode(), newline="")))
    told = [tuple(line[name] for name in line if name != "downloads") for line in lines]
    assert len(told) == len(set(told))
    fields = ("package", "version", "file_type", "client", "language_version")
    live_ones = {repo["id"] for repo in used.api("GET", "/repos")[1]}
    assert {1, 2, 3} <= live_ones
    assert {tuple(line[name] for name in fields) for line in lines} == written


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(cell: str) -> None:
    """What a spreadsheet would compute is text; numbers stay numbers."""
    assert harmless(cell) == f"'{cell}"
    assert harmless("demo") == "demo"
    assert harmless(-3) == -3


def test_a_package_has_its_downloads(used: Live, clock: Clock) -> None:
    """By day, version, client and language in its own list; the sum of the last 30 days in its record and in lines."""
    assert used.api("GET", "/repos/mine/packages/demo/downloads?_days=1", token="") == (
        200,
        {
            "name": "demo",
            "total": 4,
            "days": [{"date": "2024-03-01", "downloads": 4}],
            "versions": [{"version": "1.0", "downloads": 3}, {"version": "0.9", "downloads": 1}],
            "clients": [{"client": "R", "downloads": 3}, {"client": "renv", "downloads": 1}],
            "languages": [
                {"language": "R", "version": "4.2", "downloads": 3},
                {"language": "R", "version": "4.4", "downloads": 1},
            ],
        },
    )
    large = used.api("GET", "/repos/mine/packages/large/downloads")[1]
    assert large["languages"] == [{"language": "", "version": "", "downloads": 9}]
    assert len(large["days"]) == usage.RECENT
    assert used.api("GET", "/repos/mine/packages/never/downloads")[1]["total"] == 0
    assert used.api("GET", "/repos/py/packages/a%20b/downloads")[0] == 404
    assert used.api("GET", "/repos/mine/packages/%00/downloads")[0] == 404
    assert used.api("GET", "/repos/mine/packages/demo")[1]["downloads"] == 4
    body = {"repo": "mine", "names": ["demo", "large"]}
    lines = used.pool.request("POST", f"{used.address}/__api__/filter/packages", json=body).data.splitlines()
    assert [b'"downloads":4' in line for line in lines] == [True, False]
    assert b'"downloads":9' in lines[1]
    clock.wait(days=30)
    assert used.api("GET", "/repos/mine/packages/demo")[1]["downloads"] == 0


@pytest.fixture
def demo(used: Live) -> Download:
    """Of what demo 1.0 is counted as in `mine`."""
    return download(used.api("GET", "/repos/mine")[1]["id"], 1, PackageName("demo"), "1.0", "source")


def test_sums_that_are_quickly_made_are_ten_seconds_old(
    used: Live, demo: Download, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks again at once is given the same, and after ten seconds the new ones."""
    monkeypatch.setattr(usage, "QUICK", 60)
    app, mine = used.app, [demo.repository_id]
    assert usage.recent_downloads(app, mine) == {"large": 9, "demo": 4}
    app.usage.note(demo, Client("R", "4.2"))
    assert app.usage.flush()
    clock.wait(seconds=9)
    assert usage.recent_downloads(app, mine)["demo"] == 4
    clock.wait(seconds=1)
    assert usage.recent_downloads(app, mine)["demo"] == 5


def test_sums_that_take_long_are_made_behind_who_asks(
    used: Live, demo: Download, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for them, but for the first and for those who come a day later."""
    monkeypatch.setattr(usage, "QUICK", -1)
    monkeypatch.setattr(usage, "SLOW_FRESH", timedelta(days=0.5))
    app, mine = used.app, [demo.repository_id]
    assert usage.recent_downloads(app, mine)["demo"] == 4
    app.usage.note(demo, Client("R", "4.2"))
    assert app.usage.flush()
    clock.wait(hours=11)
    assert usage.recent_downloads(app, mine)["demo"] == 4
    clock.wait(hours=1)
    assert usage.recent_downloads(app, mine)["demo"] == 4
    assert eventually(lambda: usage.recent_downloads(app, mine)["demo"], lambda number: number == 5)
    app.usage.note(demo, Client("R", "4.2"))
    assert app.usage.flush()
    clock.wait(days=1)
    assert usage.recent_downloads(app, mine)["demo"] == 6


def test_behind_the_ranking_packages_are_counted_one_by_one(used: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where more names were downloaded than a ranking has, a record still tells its own number."""
    monkeypatch.setattr(usage, "MOST_RANKED", 1)
    mine = used.api("GET", "/repos/mine")[1]["id"]
    assert usage.recent_downloads(used.app, [mine]) == {"large": 9}
    assert usage.downloads_of(used.app, "mine", [PackageName(name) for name in ("demo", "large", "none")]) == {
        "demo": 4,
        "large": 9,
        "none": 0,
    }
