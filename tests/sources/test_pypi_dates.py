"""Dated snapshots of a mirrored index: what was uploaded by the end of a day, whatever upstream does afterwards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.support.distributions import sdist, wheel
from tests.support.fake_pypi import FakePypi, Form
from tests.support.pages import HTML, ask, download, files, page, yanked
from tests.support.server import Clock, Live, eventually

DAY = "2023-05-01"
DEMO = FakePypi.page("demo")
MIDNIGHT = datetime(2023, 5, 2, tzinfo=UTC)
TOLD = [Form.JSON, Form.HTML_WITH_TIMES, Form.HTML_WITH_API]
"""The forms of an upstream that tell upload times."""


@pytest.fixture
def live(live_proxied: Live) -> Live:
    return live_proxied


def stock(pypi: FakePypi) -> dict[str, str]:
    """Version -> file name: one a month around `DAY`, and some around the midnight that ends it."""
    times = {
        "0.1": datetime(2023, 3, 1, 8, tzinfo=UTC),
        "0.2": datetime(2023, 4, 1, 8, tzinfo=UTC),
        "0.3": datetime(2023, 5, 1, tzinfo=UTC),
        "0.4": MIDNIGHT - timedelta(microseconds=100_000),
        "0.5": MIDNIGHT,
        "0.6": datetime(2023, 6, 1, 8, tzinfo=UTC),
    }
    return {version: pypi.add(*wheel("demo", version), uploaded=at).name for version, at in times.items()}


def versions(live: Live, snapshot: str) -> list[str]:
    return sorted(file.split("-")[1] for file in files(live, "demo", snapshot))


def read_again(live: Live, clock: Clock) -> None:
    """Somebody asks for `latest` after the time until the next reading, and again until it shows what changed."""
    state = files(live, "demo")
    clock.wait(seconds=601)
    eventually(lambda: (clock.wait(seconds=1), files(live, "demo"))[1], lambda found: found != state)


@pytest.mark.parametrize("form", TOLD)
def test_a_day_lists_what_was_uploaded_by_its_end(live: Live, pypi: FakePypi, form: Form) -> None:
    """In UTC, to the tenth of a second, for each day from the first request on; nothing has to be synced before."""
    pypi.form = form
    stock(pypi)
    assert versions(live, DAY) == ["0.1", "0.2", "0.3", "0.4"]
    assert versions(live, "2023-04-30") == ["0.1", "0.2"]
    assert versions(live, "2023-05-02") == ["0.1", "0.2", "0.3", "0.4", "0.5"]
    assert versions(live, "2023-03-01") == ["0.1"]
    assert versions(live, "2024-02-29") == versions(live, "latest") == ["0.1", "0.2", "0.3", "0.4", "0.5", "0.6"]
    assert pypi.count(DEMO) == 1


def test_before_the_first_upload_there_is_no_project(live: Live, pypi: FakePypi) -> None:
    """404, as for a project that isn't there."""
    stock(pypi)
    assert ask(live, "demo", "2023-02-28").status == 404
    assert ask(live, "demo", "2005-01-01").status == 404


def test_times_are_told_as_upstream_tells_them(live: Live, pypi: FakePypi) -> None:
    """upload-time is the text of the upstream, in `latest` and at a day (PEP 700)."""
    names = stock(pypi)
    for snapshot in ("latest", "2023-05-02"):
        assert files(live, "demo", snapshot)[names["0.4"]]["upload-time"] == "2023-05-01T23:59:59.900000Z"
    assert page(live, "demo", DAY)["versions"] == ["0.1", "0.2", "0.3", "0.4"]


@pytest.mark.parametrize("form", TOLD)
def test_a_day_never_changes(live: Live, pypi: FakePypi, clock: Clock, form: Form) -> None:
    """Yanks, deletions, replaced facts, and files that come late with an old time leave it as it was, byte for byte."""
    pypi.form = form
    names = stock(pypi)
    days = (DAY, "2023-05-02", "2023-12-31", "2024-02-29")

    def shown() -> list[bytes]:
        return [ask(live, "demo", day, accept=accept).data for day in days for accept in ("*/*", HTML)]

    before = shown()
    pypi.change(names["0.3"], yanked="broken")
    read_again(live, clock)
    assert shown() == before
    pypi.remove(names["0.2"])
    read_again(live, clock)
    assert shown() == before
    pypi.add(*sdist("demo", "0.2"), uploaded=datetime(2023, 4, 2, tzinfo=UTC))
    read_again(live, clock)
    assert shown() == before
    pypi.change(names["0.1"], requires_python=">=3.11", uploaded=datetime(2023, 8, 1, tzinfo=UTC))
    read_again(live, clock)
    assert shown() == before
    pypi.remove_project("demo")
    read_again(live, clock)
    assert shown() == before
    assert versions(live, "latest") == []


def test_what_happened_after_the_first_reading_has_its_own_day(live: Live, pypi: FakePypi, clock: Clock) -> None:
    """A yank shows from the day on which it was seen; a late file with an old time too, not before."""
    names = stock(pypi)
    ask(live, "demo")
    clock.wait(days=1)
    pypi.change(names["0.3"], yanked="broken")
    late = pypi.add(*sdist("demo", "0.2"), uploaded=datetime(2023, 4, 2, tzinfo=UTC)).name
    read_again(live, clock)
    clock.wait(days=2)
    assert not yanked(files(live, "demo", "2024-02-29")[names["0.3"]])
    assert late not in files(live, "demo", "2024-02-29")
    assert yanked(files(live, "demo", "2024-03-02")[names["0.3"]]) == "broken"
    assert late in files(live, "demo", "2024-03-02")


def test_a_day_after_the_last_reading_needs_a_new_one(live: Live, pypi: FakePypi, clock: Clock) -> None:
    """What was read on Friday does not answer for Saturday: upstream is asked first, and only once."""
    stock(pypi)
    ask(live, "demo")
    clock.wait(days=2)
    new = pypi.add(*wheel("demo", "1.0"), uploaded=clock.now - timedelta(days=1)).name
    assert new in files(live, "demo", "2024-03-02")
    assert pypi.count(DEMO) == 2
    assert new not in files(live, "demo", "2024-03-01")
    with pypi.closed():
        assert new in files(live, "demo", "2024-03-02")
        clock.wait(days=1)
        answer = ask(live, "demo", "2024-03-03")
        assert (answer.status, answer.headers["Cache-Control"]) == (503, "no-store")
    assert new in files(live, "demo", "2024-03-03")


def test_a_file_from_the_day_can_be_had(live: Live, pypi: FakePypi, clock: Clock) -> None:
    """Also its metadata, also after it was deleted upstream, once somebody had it; one that came later is not there."""
    names = stock(pypi)
    old, new = pypi.upload(names["0.2"]), pypi.upload(names["0.6"])
    for name in (old.name, f"{old.name}.metadata"):
        assert download(live, "demo", name, DAY).status == 200
    for name in (new.name, f"{new.name}.metadata"):
        assert download(live, "demo", name, DAY).status == 404
        assert download(live, "demo", name).status == 200
    pypi.remove(old.name)
    read_again(live, clock)
    assert download(live, "demo", old.name).status == 404
    assert download(live, "demo", old.name, DAY).data == old.data
    assert download(live, "demo", f"{old.name}.metadata", DAY).data == old.metadata


@pytest.mark.parametrize("day", ["2024-03-01", "2024-03-02", "2030-01-01"])
def test_a_day_that_is_not_over(live: Live, pypi: FakePypi, day: str) -> None:
    """It is refused with the last day that can be had."""
    stock(pypi)
    answer = ask(live, "demo", day)
    assert answer.status == 404
    assert b"2024-02-29" in answer.data
    assert pypi.requests == []


def test_no_day(live: Live, pypi: FakePypi) -> None:
    """What is no date is no snapshot."""
    stock(pypi)
    for day in ("2023-02-30", "2023-5-1", "20230501T00", "yesterday"):
        assert ask(live, "demo", day).status in (404, 422), day


def test_dates_where_nobody_tells_times(live: Live, pypi: FakePypi) -> None:
    """`latest` has the files; a date says that dates are not available there."""
    pypi.form = Form.HTML
    names = stock(pypi)
    assert set(files(live, "demo")) == set(names.values())
    answer = ask(live, "demo", DAY)
    assert answer.status == 404
    assert b"dates are not available" in answer.data


def test_one_file_without_a_time(live: Live, pypi: FakePypi) -> None:
    """It is in `latest` alone; the others have their days."""
    names = stock(pypi)
    pypi.change(names["0.2"], uploaded=None)
    assert versions(live, DAY) == ["0.1", "0.3", "0.4"]
    assert versions(live, "2024-02-29") == ["0.1", "0.3", "0.4", "0.5", "0.6"]
    assert versions(live, "latest") == ["0.1", "0.2", "0.3", "0.4", "0.5", "0.6"]


def test_an_upload_time_of_the_future(live: Live, pypi: FakePypi, clock: Clock) -> None:
    """A clock that goes wrong upstream: the file counts as uploaded when it was seen."""
    name = pypi.add(*wheel("demo", "1.0"), uploaded=clock.now + timedelta(days=900)).name
    assert list(files(live, "demo")) == [name]
    assert ask(live, "demo", "2024-02-29").status == 404
    clock.wait(days=2)
    assert list(files(live, "demo", "2024-03-01")) == [name]


def test_a_day_is_cached_for_good(live: Live, pypi: FakePypi) -> None:
    """What can't change may be kept by everybody; `latest` is asked for again."""
    stock(pypi)
    assert "immutable" in ask(live, "demo", DAY).headers["Cache-Control"]
    assert "immutable" not in ask(live, "demo").headers["Cache-Control"]


def test_an_api_that_fails(live: Live, pypi: FakePypi) -> None:
    """An HTML upstream whose JSON API is down: nothing is recorded without its time, and soon all is well."""
    pypi.form = Form.HTML_WITH_API
    stock(pypi)
    pypi.fail(FakePypi.api("demo"), "503")
    assert ask(live, "demo").status == 503
    pypi.heal()
    assert versions(live, DAY) == ["0.1", "0.2", "0.3", "0.4"]
    assert versions(live, "latest") == ["0.1", "0.2", "0.3", "0.4", "0.5", "0.6"]
