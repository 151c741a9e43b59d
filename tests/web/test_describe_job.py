"""The describe job through the API: asked for, watched, cancelled, tried again, gone on with."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.archives import make_source_package
from tests.support.fake_cran import FakeCran
from tests.support.server import Clock, Live, eventually, sync

ARCHIVE = "src/contrib/Archive"
FIRST, SECOND = datetime(2024, 2, 2, 9, tzinfo=UTC), datetime(2024, 2, 3, 9, tzinfo=UTC)
URL = "/sources/cran/describe"
SIZE = 60


@pytest.fixture
def mirror(live_mirrored: Live, cran: FakeCran) -> Live:
    """A running server, synced with a CRAN of sixty packages that have an archived version each."""
    for number in range(SIZE):
        name = f"p{number:02}"
        for version, day in (("1.0", FIRST), ("1.1", SECOND)):
            cran.add(name, version, make_source_package(name, version, fields={"Imports": "utils"}), day)
    cran.publish()
    sync(live_mirrored.app)
    cran.requests.clear()
    return live_mirrored


def asked(live: Live, **days: str) -> dict[str, Any]:
    status, job = live.api("POST", URL, {key.rstrip("_"): day for key, day in days.items()})
    assert status == 202, job
    assert isinstance(job, dict)
    return job


def left(live: Live) -> int:
    number = live.api("GET", URL)[1]["incomplete"]
    assert isinstance(number, int)
    return number


def over(live: Live, job: dict[str, Any]) -> dict[str, Any]:
    """The job once it is."""

    def look() -> dict[str, Any]:
        found = live.api("GET", f"/jobs/{job['id']}")[1]
        assert isinstance(found, dict)
        return found

    return eventually(look, lambda found: found["state"] in ("done", "failed", "cancelled"))


def heads(cran: FakeCran) -> int:
    return sum(request.path.startswith(ARCHIVE) for request in cran.requests)


def test_a_describe_job(mirror: Live) -> None:
    """The job reads what is missing in its days; the numbers before and after, the result, the log."""
    assert mirror.api("GET", f"{URL}?from=2024-02-02&to=2024-02-02") == (
        200,
        {"from": "2024-02-02", "to": "2024-02-02", "incomplete": SIZE, "versions": SIZE},
    )
    job = asked(mirror, from_="2024-02-02", to="2024-02-10")
    assert (job["kind"], job["source"]) == ("describe", "cran")
    done = over(mirror, job)
    days = {"from": "2024-02-02", "to": "2024-02-10"}
    assert (done["state"], done["result"]) == ("done", {**days, "described": SIZE, "faulty": 0, "faults": []})
    assert left(mirror) == 0
    assert "reading descriptions" in [line["text"] for line in mirror.api("GET", f"/jobs/{job['id']}/logs")[1]]
    index = mirror.get("/cran/2024-02-02/src/contrib/PACKAGES")
    assert index.data.count(b"Imports: utils") == SIZE
    assert "X-Entrepot-Incomplete" not in index.headers


@pytest.mark.parametrize(
    ("days", "words"),
    [
        ({"from": "2024-02-30"}, "from: not a day"),
        ({"from": "02.02.2024"}, "YYYY-MM-DD"),
        ({"to": 1706832000}, "YYYY-MM-DD"),
        ({"from": "2024-02-03", "to": "2024-02-02"}, "ends before it begins"),
        ({"to": "2023-12-31"}, "nothing before 2024-02-02"),
        ({"until": "2024-02-02"}, "until"),
    ],
)
def test_days_that_mean_nothing(mirror: Live, days: dict[str, Any], words: str) -> None:
    """What is no day, or no range of days, is 422 in words, for the job and for the numbers."""
    status, answer = mirror.api("POST", URL, days)
    assert (status, words in str(answer)) == (422, True), answer
    if "until" not in days:
        query = "&".join(f"{key}={day}" for key, day in days.items())
        assert mirror.api("GET", f"{URL}?{query}")[0] == 422


def test_who_may_ask(mirror: Live) -> None:
    """The job needs the token, the numbers don't; a source of one's own has neither."""
    assert mirror.api("POST", URL, {}, token="")[0] == 401
    assert mirror.api("GET", URL, token="")[0] == 200
    mirror.api("POST", "/sources", {"name": "internal"})
    assert [mirror.api(method, "/sources/internal/describe", {})[0] for method in ("GET", "POST")] == [422, 422]
    assert mirror.api("POST", "/sources/none/describe", {})[0] == 404


def test_one_job_for_the_same_days(mirror: Live, cran: FakeCran) -> None:
    """Who asks again for the same days gets the job that waits or runs; for other days there is another."""
    cran.fail("*", "hang", seconds=3)
    first = asked(mirror, from_="2024-02-02", to="2024-02-10")
    assert asked(mirror, from_="2024-02-02", to="2024-02-10")["id"] == first["id"]
    other = asked(mirror, from_="2024-02-03", to="2024-02-10")
    assert other["id"] != first["id"]
    cran.heal()
    assert [over(mirror, job)["state"] for job in (first, other)] == ["done", "done"]
    assert asked(mirror, from_="2024-02-02", to="2024-02-10")["id"] > other["id"]


def test_a_cancelled_job_leaves_what_it_wrote(mirror: Live, cran: FakeCran, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that is cancelled ends soon, and the next one asks upstream for the rest alone."""
    monkeypatch.setattr("entrepot.sources.describe.BATCH", 10)
    for number in range(20):
        cran.fail(f"{ARCHIVE}/p{number:02}/p{number:02}_1.0.tar.gz", "hang", seconds=30)
    job = asked(mirror)
    eventually(lambda: left(mirror), lambda number: number <= 30)
    began = time.monotonic()
    mirror.api("POST", f"/jobs/{job['id']}/cancel", {})
    assert over(mirror, job)["state"] == "cancelled"
    assert time.monotonic() - began < 10
    rest = left(mirror)
    assert 20 <= rest <= 30
    cran.heal()
    cran.requests.clear()
    assert over(mirror, asked(mirror))["result"]["described"] == rest
    assert heads(cran) == rest


def test_an_upstream_that_is_away_is_tried_again(mirror: Live, cran: FakeCran, clock: Clock) -> None:
    """A job whose upstream is away waits for another try; who asks for it by hand has it tried at once."""
    cran.fail("*", 503)
    job = asked(mirror)
    waiting = _waiting(mirror, job)
    assert waiting["error"]["code"] == "upstream-unavailable"
    assert waiting["due"] > clock().isoformat()[:19]
    cran.heal()
    assert asked(mirror)["id"] == job["id"]
    assert over(mirror, job)["state"] == "done"
    assert left(mirror) == 0


def _waiting(live: Live, job: dict[str, Any]) -> dict[str, Any]:
    """The job once it waits for its next try."""
    found = eventually(lambda: live.api("GET", f"/jobs/{job['id']}")[1], lambda found: found["due"], seconds=30)
    assert isinstance(found, dict)
    return found
