"""Set-up, calendar, compare and check as pages: what they say and where they lead, as without script."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.support.archives import make_source_package
from tests.support.distributions import wheel
from tests.support.server import Clock, Live

pytestmark = pytest.mark.one_shape
UI = "/__ui__/repos/mine"


def package(name: str, version: str, license: str = "GPL-3") -> tuple[str, bytes]:
    return f"{name}_{version}.tar.gz", make_source_package(name, version, fields={"License": license})


@pytest.fixture
def site(live: Live, clock: Clock) -> Live:
    """The repository `mine`, with changes on 1 and 3 March; it is the 5th."""
    live.api("POST", "/sources", {"name": "internal"})
    live.api("POST", "/repos", {"name": "mine"})
    live.api("POST", "/repos/mine/sources", {"source": "internal"})
    live.upload("internal", package("abc", "1.0"), package("xyz", "1.0"))
    clock.wait(days=2)
    live.upload("internal", package("abc", "2.0", "MIT + file LICENSE"), package("new", "0.1"))
    clock.wait(days=2)
    return live


def get(site: Live, path: str) -> tuple[int, str]:
    answer = site.get(path)
    return answer.status, answer.data.decode()


def shown(site: Live, path: str) -> str:
    status, text = get(site, path)
    assert status == 200, text
    return text


def words(text: str) -> str:
    """What a page says, without its marks, in one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())


def days(text: str) -> dict[int, str | None]:
    """Of the calendar of a page: day -> its link, or None if it can't be used."""
    found: dict[int, str | None] = {}
    for tag, number in re.findall(r"<((?:a|span) class=\"day[^>]*)><span>(\d+)</span>", text):
        href = re.search(r'href="([^"]*)"', tag)
        found[int(number)] = html.unescape(href[1]) if href else None
    return found


def post(site: Live, path: str, **fields: str) -> tuple[int, str]:
    answer = site.pool.request(
        "POST",
        site.address + path,
        body=urlencode(fields),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    return answer.status, answer.data.decode()


# --- the calendar ---


def test_days_that_can_be_used_are_links(site: Live) -> None:
    """From the first to the last; the others say why not; those with changes say of how many packages."""
    text = shown(site, f"{UI}/setup")
    found = days(text)
    assert [day for day, url in found.items() if url is not None] == [1, 2, 3, 4]
    assert found[3] == f"{UI}/setup?environment=r&os=linux&snapshot=2024-03-03"
    assert len(found) == 31
    said = words(text)
    assert "1 2 : 2 packages changed 2 : no changes 3 2 : 2 packages changed" in said
    assert "5 : can't be used: that day is not over" in said
    assert "Every day from 2024-03-01 to 2024-03-04 can be used." in said


def test_the_month_of_the_chosen_day(site: Live) -> None:
    """It is shown, unless another one is asked for; months beside what can be used become the nearest."""
    for query in ("", "snapshot=2024-03-02", "snapshot=latest&month=2024-03", "month=1990-01", "month=2999-12"):
        assert "March 2024" in words(shown(site, f"{UI}/setup?{query}"))
    for wrong in ("month=2024-13", "month=0000-01", "month=soon", "month=2024-00", "month=%00", "month=9999-12"):
        assert "March 2024" in words(shown(site, f"{UI}/calendar?{wrong}"))


def test_ways_to_other_months(site: Live, clock: Clock) -> None:
    """As far as there is something to use: a step of a year ends where that does."""
    assert "data-way" not in shown(site, f"{UI}/calendar")
    clock.wait(days=60)
    site.upload("internal", package("late", "1.0"))
    clock.wait(days=2)
    text = shown(site, f"{UI}/calendar?month=2024-03")
    ways = dict(re.findall(r'data-way="(\w+)" href="([^"]*)"', text))
    assert ways == {"after": f"{UI}/calendar?month=2024-04", "year_after": f"{UI}/calendar?month=2024-05"}
    assert days(text)[31] is not None
    text = shown(site, f"{UI}/calendar?month=2024-05")
    assert dict(re.findall(r'data-way="(\w+)" href="([^"]*)"', text)) == {
        "before": f"{UI}/calendar?month=2024-04",
        "year_before": f"{UI}/calendar?month=2024-03",
    }


def test_a_repository_without_days(site: Live) -> None:
    """It has a calendar on which nothing can be chosen, and says why."""
    site.api("POST", "/repos", {"name": "empty"})
    text = shown(site, "/__ui__/repos/empty/setup")
    assert set(days(text).values()) == {None}
    assert "No day can be used yet" in words(text)
    assert "/empty/latest" in text


def test_a_day_leads_back_to_the_page(site: Live) -> None:
    """The calendar changes one parameter of the page that somebody came from, and forgets its page of a list."""
    back = f"{UI}/packages?search=x+y&page=3&snapshot=2024-03-01"
    found = days(shown(site, f"{UI}/calendar?{urlencode({'back': back})}"))
    assert found[2] == f"{UI}/packages?search=x+y&snapshot=2024-03-02"
    back = f"{UI}/compare?from=2024-03-01&to=2024-03-02"
    found = days(shown(site, f"{UI}/calendar?{urlencode({'back': back, 'field': 'to'})}"))
    assert found[4] == f"{UI}/compare?from=2024-03-01&to=2024-03-04"


@pytest.mark.parametrize(
    "back",
    [
        "https://elsewhere.example/__ui__/repos/mine/packages",
        "//elsewhere.example/__ui__/repos/mine/packages",
        "/\\elsewhere.example",
        "/__ui__/repos/other/packages",
        "/__ui__/repos/mine/../../../evil",
        "/__ui__/repos/mine",
        "/__ui__/repos/mine//evil",
        "/__ui__/repos/minex/packages",
        "/__ui__/repos/mine/calendar",
        "javascript:alert(1)",
        "/__logout__",
        "",
    ],
)
def test_a_day_leads_nowhere_else(site: Live, back: str) -> None:
    """What is no page of the repository is not gone back to."""
    text = shown(site, f"{UI}/calendar?{urlencode({'back': back, 'field': 'password'})}")
    assert days(text)[2] == f"{UI}/packages?snapshot=2024-03-02"
    buttons = re.findall(r'<a class="button" href="([^"]*)">', text)
    assert buttons == [f"{UI}/packages", f"{UI}/packages"]


# --- the set-up ---


def test_the_texts_are_those_of_the_api(site: Live) -> None:
    """For each choice what `entrepot setup` prints, each text once to read and once to copy."""
    for query in ("environment=renv", "distribution=jammy&snapshot=2024-03-02", "environment=connect&os=windows"):
        (_, told) = site.api("GET", f"/repos/mine/setup?{query}")
        text = shown(site, f"{UI}/setup?{query}")
        read = [html.unescape(code) for code in re.findall(r"<code[^>]*>([^<]*)</code>", text)]
        copied = [html.unescape(code) for code in re.findall(r'data-copy="([^"]*)"', text)]
        assert copied == [told["repository_url"], *(block["text"] for block in told["blocks"])]
        assert [code for code in read if code in copied] == copied


def test_choices_are_kept(site: Live) -> None:
    """What was chosen is chosen in the answer's form, and each day keeps it."""
    text = shown(site, f"{UI}/setup?environment=pak&os=linux&distribution=jammy&snapshot=2024-03-02")
    chosen = re.findall(r'<option value="([^"]*)" selected>', text)
    assert chosen == ["pak", "linux", "jammy"]
    assert '<input type="hidden" name="snapshot" value="2024-03-02">' in text
    assert re.search(r'<a class="day[^"]*" href="[^"]*2024-03-02" aria-current="date"', text)
    url = days(text)[4]
    assert url is not None
    assert parse_qs(urlsplit(url).query) == {
        "environment": ["pak"],
        "os": ["linux"],
        "distribution": ["jammy"],
        "snapshot": ["2024-03-04"],
    }


def test_no_distribution_without_linux(site: Live) -> None:
    """Whoever changes the system alone, without script, is not told that two things don't go together."""
    text = shown(site, f"{UI}/setup?os=windows&distribution=jammy")
    assert '<select id="f-distribution"' not in text
    assert "__linux__" not in text


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("snapshot=2031-01-01", 404, "2024-03-04, the nearest day that can be used"),
        ("snapshot=1990-01-01", 404, "2024-03-01, the nearest day that can be used"),
        ("snapshot=987654", 404, "mine can be used as of every day from 2024-03-01 to 2024-03-04"),
        ("snapshot=soon", 404, "mine can be used as of every day from 2024-03-01 to 2024-03-04"),
        ("environment=emacs", 422, "for 'mine' there are r, renv, pak"),
        ("distribution=plan9", 422, "Distributions are"),
        ("bioc_version=3.18", 422, "Name a repository of type bioconductor"),
        ("snapshot=%22%3E%3Cscript%3Ealert(1)%3C/script%3E", 404, "is not a snapshot"),
    ],
)
def test_what_can_not_be_set_up(site: Live, query: str, status: int, said: str) -> None:
    """The page says why and what goes, and has its form and its calendar."""
    found, text = get(site, f"{UI}/setup?{query}")
    assert found == status
    assert said.lower() in words(text).lower()
    assert "<script>" not in text
    assert days(text)[2] is not None
    assert 'id="choices"' in text


def test_python_has_what_it_needs(site: Live) -> None:
    """Neither a distribution nor a version of Bioconductor, and the clients of Python."""
    text = shown(site, "/__ui__/repos/pypi/setup?environment=uv")
    assert "/etc/uv/uv.toml" in words(text)
    assert 'name="distribution"' not in text
    assert 'name="os"' not in text
    assert 'name="bioc_version"' not in text


def test_a_page_at_a_snapshot_that_can_not_be_served(site: Live) -> None:
    """Whatever page it is of, it leads to the same page at one that can: the nearest day where a day was asked for."""
    cases = {
        "snapshot=2031-01-01": ["search=a&snapshot=2024-03-04", "search=a"],
        "snapshot=1990-01-01": ["search=a&snapshot=2024-03-01", "search=a"],
        "snapshot=987654": ["search=a", "search=a&snapshot=2024-03-04", "search=a&snapshot=2024-03-01"],
        "snapshot=soon": ["search=a", "search=a&snapshot=2024-03-04", "search=a&snapshot=2024-03-01"],
    }
    for query, ways in cases.items():
        status, text = get(site, f"{UI}/packages?search=a&{query}")
        links = [html.unescape(url) for url in re.findall(r'<li><a href="([^"]*)">', text.partition("</h2>")[2])]
        back = urlencode({"back": f"{UI}/packages?search=a"})
        assert (status, links) == (404, [*(f"{UI}/packages?{way}" for way in ways), f"{UI}/calendar?{back}"])
    site.api("POST", "/repos", {"name": "empty"})
    status, text = get(site, "/__ui__/repos/empty/packages?snapshot=2024-03-01")
    assert (status, "No day can be used yet" in text) == (404, True)


# --- compare ---


def rows(text: str) -> list[str]:
    return [words(row) for row in re.findall(r"<tr>\s*<th scope=\"row\">.*?</tr>", text, re.DOTALL)]


def test_two_snapshots_side_by_side(site: Live) -> None:
    """How many packages came and went, and each of them with what matters."""
    text = shown(site, f"{UI}/compare?from=2024-03-01")
    said = words(text)
    assert "From 2024-03-01 (2 packages) to latest (3 packages)" in said
    assert "all 2 added 1 updated 1" in said
    assert rows(text) == [
        "abc updated 1.0 2.0 major version licence: GPL-3 → MIT + file LICENSE",
        "new added 0.1",
    ]
    assert f'href="{UI}/packages/abc"' in text
    assert rows(shown(site, f"{UI}/compare?from=2024-03-01&change=added")) == ["new added 0.1"]
    assert rows(shown(site, f"{UI}/compare?from=2024-03-01&only=license")) == [rows(text)[0]]
    assert "No change is of that kind." in words(shown(site, f"{UI}/compare?from=2024-03-01&only=source"))
    assert "Nothing differs." in words(shown(site, f"{UI}/compare?from=2024-03-01&to=2024-03-02"))


def test_nothing_is_compared_unasked(site: Live) -> None:
    """The page begins with the snapshot that somebody looked at, and with what is often asked."""
    text = shown(site, f"{UI}/compare?snapshot=2024-03-02")
    assert re.search(r'id="f-from" name="from" value="2024-03-02"', text)
    assert rows(text) == []
    site.app.clock.wait(days=10)  # type: ignore[attr-defined]
    links = re.findall(rf'href="({UI}/compare\?from=[^"]*)">([^<]*)<', shown(site, f"{UI}/compare"))
    assert links == [(f"{UI}/compare?from=2024-03-07", "the last 7 days")]


def test_many_changes_come_in_pages(site: Live) -> None:
    """A hundred on each."""
    site.upload("internal", *(package(f"p{number:03}", "1.0") for number in range(150)))
    first, second = (shown(site, f"{UI}/compare?from=2024-03-03&page={number}") for number in (1, 2))
    assert [len(rows(text)) for text in (first, second)] == [100, 50]
    assert (rows(first)[0], rows(second)[-1]) == ("p000 added 1.0", "p149 added 1.0")
    assert "Page 1 of 2" in words(first)


@pytest.mark.parametrize(
    ("query", "status", "link"),
    [
        ("from=2031-01-01", 404, "from=2024-03-04"),
        ("from=2024-03-01&to=2031-01-01", 404, "from=2024-03-01&to=2024-03-04"),
        ("from=1990-01-01&to=2024-03-02&change=added", 404, "to=2024-03-02&change=added&from=2024-03-01"),
        ("from=soon", 404, None),
        ("from=2024-03-01&to=987654", 404, None),
        ("from=2024-03-01&change=moved", 422, None),
    ],
)
def test_what_can_not_be_compared(site: Live, query: str, status: int, link: str | None) -> None:
    """The page says why, and leads to the same with the nearest day."""
    found, text = get(site, f"{UI}/compare?{query}")
    assert found == status
    links = re.findall(r'href="([^"]*)">[^<]*the nearest day that can be used<', text)
    assert [parse_qs(urlsplit(html.unescape(each)).query) for each in links] == ([parse_qs(link)] if link else [])
    assert 'name="from"' in text


# --- check ---


def test_a_list_and_what_to_do(site: Live) -> None:
    """What is missing comes first, each with what may be done; the list stays in the form."""
    given = "abc==1.0\nabc==1.5\nabcd\nutils\nnothinglikeit\n"
    status, text = post(site, f"{UI}/check", list=given, snapshot="")
    said = words(text)
    assert status == 200
    assert "Some of it can't be served. 1 served 1 with R 3 missing Read as requirements, against mine" in said
    assert rows(text) == [
        "abc==1.5 line 2 missing Take another version: the next lower version is 1.0 , "
        "the next higher version is 2.0 .",
        "abcd line 3 missing Did you mean abc ?",
        "nothinglikeit line 5 missing No source of this repository has a package of that name: look at its spelling, "
        "add it to a source, or subscribe to one that has it.",
        "abc==1.0 line 1 1.0 from internal archived",
        "utils line 4 comes with R",
    ]
    assert f'href="{UI}/packages/abc?version=2.0"' in text
    assert f">\n{given}</textarea>" in text


def test_a_list_of_which_all_is_there(site: Live) -> None:
    """It is said at once, and as of which snapshot."""
    status, text = post(site, f"{UI}/check", list="abc\n", snapshot="2024-03-02")
    assert (status, "All of it can be served." in text) == (200, True)
    assert rows(text) == ["abc line 1 1.0 from internal"]
    assert 'name="snapshot" type="text" value="2024-03-02"' in text


def test_a_list_of_python_packages(live: Live) -> None:
    """Files are told by their hashes, and constraints have a field."""
    live.api("POST", "/sources", {"name": "py", "type": "local-python"})
    live.api("POST", "/repos", {"name": "mine", "type": "python"})
    live.api("POST", "/repos/mine/sources", {"source": "py"})
    live.upload("py", wheel("demo", "1.0"))
    hashes = f"demo==1.0 --hash=sha256:{'0' * 64}"
    _, text = post(live, f"{UI}/check", list=hashes, constraints="demo>=0.5")
    assert "none of its files has one of the 1 hashes" in words(text)
    assert ">\ndemo&gt;=0.5</textarea>" in text
    assert 'name="constraints"' not in shown(live, "/__ui__/repos/cran/check")


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({}, 422, "The list is empty"),
        ({"list": "???"}, 422, "line 1"),
        ({"list": "abc", "snapshot": "2031-01-01"}, 404, "this repository has the days 2024-03-01 to 2024-03-04"),
        ({"list": "abc==1\n" * 20_000}, 413, "more than 10000 packages"),
        ({"list": "x" * 5_000_000}, 413, "larger than 4194304 bytes"),
        ({"list": "a\0b"}, 422, "This is not text"),
    ],
)
def test_what_can_not_be_checked(site: Live, fields: dict[str, Any], status: int, said: str) -> None:
    """The page says why, and has the form again, with the list if it is short."""
    found, text = post(site, f"{UI}/check", **fields)
    assert (found, said.lower() in words(text).lower()) == (status, True), words(text)
    if len(fields.get("list", "")) < 4_000_000:
        assert 'name="list"' in text
        is_long = len(fields.get("list", "")) > 20_000
        assert ("The list isn&#39;t shown again" in text or "The list isn't shown again" in text) == is_long


def test_hostile_lists_are_shown_as_they_are(site: Live) -> None:
    """What a list has is text on the page."""
    _, text = post(site, f"{UI}/check", list="</textarea><script>alert(1)</script>\n", snapshot='"><img src=x>')
    assert "<script>" not in text
    assert "<img" not in text
