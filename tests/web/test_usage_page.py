"""The page of a repository's usage, and the picture of downloads over time, as without script."""

from __future__ import annotations

import csv
import html
import io
import re
from datetime import date, timedelta

import pytest

from entrepot.core.model import PackageName
from entrepot.core.usage import Client, download
from entrepot.settings import Settings
from entrepot.web.ui.rendering import _environment
from tests.support.server import Clock, Live, installed, running

pytestmark = pytest.mark.one_shape
PAGE = "/__ui__/repos/mine/usage"


def words(text: str) -> str:
    """What a page says, without its marks, in one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())


@pytest.fixture
def site(live: Live, clock: Clock) -> Live:
    """`mine` with 60 packages, p00 downloaded 60 times and so on, ten days ago; and one download today."""
    assert live.api("POST", "/repos", {"name": "mine"})[0] == 201
    mine = live.api("GET", "/repos/mine")[1]["id"]
    for n in range(60):
        one = download(mine, 1, PackageName(f"p{n:02}"), "1.0", "source")
        for _ in range(60 - n):
            live.app.usage.note(one, Client("R", "4.2"))
    assert live.app.usage.flush()
    clock.wait(days=10)
    live.app.usage.note(download(mine, 1, PackageName("today"), "1.0", "source"), Client("pip", "3.12"))
    assert live.app.usage.flush()
    return live


def shown(site: Live, query: str = "") -> str:
    answer = site.get(PAGE + query)
    assert answer.status == 200, answer.data
    return answer.data.decode()


def ranked(text: str) -> list[tuple[str, int]]:
    """The packages of the page with their numbers, in order."""
    rows = re.findall(r'<th scope="row"><a href="[^"]*">([^<]*)</a></th><td class="number">([0-9,]+)</td>', text)
    return [(name, int(number.replace(",", ""))) for name, number in rows]


def test_packages_come_in_the_order_of_their_downloads(site: Live) -> None:
    """Fifty a page, with their places and links to their pages; the next page goes on."""
    first = shown(site)
    assert ranked(first) == [(f"p{n:02}", 60 - n) for n in range(50)]
    assert 'href="/__ui__/repos/mine/packages/p00"' in first
    assert "61 packages were downloaded" in words(first)
    (following,) = re.findall(r'rel="next" href="([^"]*)"', first)
    answer = site.get(html.unescape(following))
    rest = [(f"p{n}", 60 - n) for n in range(50, 59)]
    assert ranked(answer.data.decode()) == [*rest, ("p59", 1), ("today", 1)]
    assert '<td class="number">51</td>' in answer.data.decode()
    assert "The list ends before this page." in words(shown(site, "?page=9"))


@pytest.mark.parametrize(
    ("query", "packages", "total"),
    [("?days=7", 1, 1), ("", 50, 1831), ("?days=90", 50, 1831), ("?days=365", 50, 1831), ("?days=12", 50, 1831)],
)
def test_days_can_be_chosen(site: Live, query: str, packages: int, total: int) -> None:
    """Over 7, 30, 90 or 365 days; anything else is 30. The picture tells the sum of the same days."""
    text = shown(site, query)
    assert len(ranked(text)) == packages
    assert f"All downloads: {total:,}" in words(text)
    chosen = re.findall(r'aria-current="true">([^<]*)<', text)
    assert f"{query.partition('days=')[2] if query in ('?days=7', '?days=90', '?days=365') else 30} days" in chosen


def test_all_numbers_can_be_had_as_csv(site: Live) -> None:
    """The link leads to the numbers of this repository and these days."""
    (url,) = re.findall(r'<a href="([^"]*)" download>', shown(site, "?days=7"))
    lines = list(csv.DictReader(io.StringIO(site.get(html.unescape(url)).data.decode(), newline="")))
    assert [(line["repository"], line["package"], line["client"]) for line in lines] == [("mine", "today", "pip")]


def test_without_downloads_it_says_so(live: Live) -> None:
    """An empty list is words."""
    answer = live.get("/__ui__/repos/cran/usage?days=7")
    assert "Nothing was downloaded in the last 7 days." in words(answer.data.decode())
    assert "<svg class=" not in answer.data.decode()


def test_turned_off_it_says_so(settings: Settings, clock: Clock) -> None:
    """The page is there, and tells what would turn it on."""
    off = settings.model_copy(update={"usage": settings.usage.model_copy(update={"enabled": False})})
    with installed(off, clock) as app, running(app) as live:
        answer = live.get("/__ui__/repos/cran/usage")
    assert answer.status == 200
    assert "Usage statistics are turned off on this server." in words(answer.data.decode())


def test_of_a_repository_that_there_is_not_it_is_404(site: Live) -> None:
    """As every page of a repository."""
    assert site.get("/__ui__/repos/nothing/usage").status == 404


def plotted(days: list[tuple[date, int]], label: str = "Downloads") -> str:
    source = '{% import "_plot.html" as plots with context %}{{ plots.plot(days, label) }}'
    values = [{"date": day.isoformat(), "downloads": number} for day, number in days]
    return _environment().from_string(source).render(days=values, label=label)


@pytest.mark.parametrize(
    ("days", "step"), [(1, 1), (7, 1), (30, 1), (120, 1), (121, 7), (365, 7), (841, 30), (3660, 30)]
)
def test_a_plot_has_a_bar_for_each_day_week_or_month(days: int, step: int) -> None:
    """Its bars and the rows of its table tell the same, all of it, and the last ends with the last day."""
    first = date(2021, 1, 1)
    numbers = [(first + timedelta(days=n), n % 5 + 1) for n in range(days)]
    text = plotted(numbers)
    bars = re.findall(r"<rect [^>]*><title>([^<]*): ([0-9,]+)</title></rect>", text)
    rows = re.findall(r'<tr><th scope="row">([^<]*)</th><td class="number">([0-9,]+)</td></tr>', text)
    assert bars == rows[::-1]
    assert len(bars) == -(-days // step)
    assert sum(int(number.replace(",", "")) for _, number in bars) == sum(number for _, number in numbers)
    assert bars[-1][0].endswith(numbers[-1][0].isoformat())
    assert len(text) < 60_000


def test_the_highest_bar_is_as_high_as_the_picture_and_none_is_lost() -> None:
    """Heights are shares of the highest; one download among a million is still seen, and no download is no bar."""
    first = date(2024, 1, 1)
    text = plotted([(first, 1_000_000), (first + timedelta(days=1), 500_000), (first + timedelta(days=2), 1)])
    assert re.findall(r'height="([0-9.]+)" fill', text) == ["100.00", "50.00", "1.00"]
    assert "1,000,000" in text
    quiet = plotted([(first, 0), (first + timedelta(days=1), 0)], label="<script>")
    assert "<rect" not in quiet
    assert "&lt;script&gt;" in quiet
