"""Days as snapshots, in a calendar: of a month each day with what changed on it, and where it leads.

    month = await month_of(turn, repo["name"], days, chosen=snapshot, link_to=lambda day: ...)

for a template that has `{% from "_calendar.html" import calendar with context %}`. The month is the parameter `month`.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.responses import Response

from entrepot.web.ui.paths import Value, link
from entrepot.web.ui.turns import Turn, get

FIELDS = ("snapshot", "from", "to")
"""Parameters of pages that a day can be chosen for."""
_MONTH = re.compile(r"([0-9]{4})-([0-9]{2})")
_STRENGTHS = (1, 10, 40, 120)
"""Packages that changed on a day, from which on it stands out more."""
_MOST_QUERY = 50


@dataclass(frozen=True, slots=True)
class Day:
    """A day of a month.

    Attributes:
        url: where it leads; None: it can't be used, and `why` is the key of the text that says why.
        changes: how many packages changed on it; None: some did, and nobody counted them.
        strength: 0 where nothing changed, up to 4.
    """

    day: date
    url: str | None
    why: str
    changes: int | None
    strength: int
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Month:
    """A month by weeks from Monday on; None stands for days of other months.

    Attributes:
        first, last: the days that can be used; None while there is none.
        focus: the day that has the focus when somebody comes to the calendar by keyboard.
        ways: `year_before`, `before`, `after`, `year_after` -> the month there, None: nothing of it can be used.
    """

    start: date
    weeks: list[list[Day | None]]
    first: date | None
    last: date | None
    focus: date | None
    ways: Mapping[str, str | None]

    @property
    def name(self) -> str:
        return f"{self.start:%Y-%m}"

    @property
    def changed(self) -> int:
        """How many of its days have changes."""
        return sum(1 for week in self.weeks for each in week if each is not None and each.strength)


async def month_of(
    turn: Turn, repo: str, days: Mapping[str, Any], *, chosen: str, link_to: Callable[[date], str]
) -> Month:
    """The month that the page is asked for, else that of the chosen day, else the newest one.

    Args:
        days: of the API, `/repos/{repo}/days`.
        chosen: the snapshot that the page is of.
    """
    first, last = _day(days["first"]), _day(days["last"])
    today = date.fromisoformat(days["today"])
    start = _start(turn.asked("month"), chosen, first, last) or today.replace(day=1)
    end = _later(start, 1) - timedelta(days=1)
    rows = []
    if first is not None:
        wanted: dict[str, Value] = {"from": start.isoformat(), "to": end.isoformat(), "counts": True}
        rows = await turn.api.get("repos", repo, "transaction-dates", **wanted)
    changes = {date.fromisoformat(row["alias"]): row["packages"] for row in rows}

    def made(day: date) -> Day | None:
        if day.month != start.month:
            return None
        why = _why_not(day, first, last, today)
        number = changes.get(day, 0) if not why else 0
        url = link_to(day) if not why else None
        return Day(day, url, why, number, _strength(number), chosen == day.isoformat())

    weeks = [[made(day) for day in week] for week in calendar.Calendar().monthdatescalendar(start.year, start.month)]
    ways = {name: _way(start, months, first, last) for name, months in _WAYS.items()}
    return Month(start, weeks, first, last, _focus(weeks), ways)


_WAYS = {"year_before": -12, "before": -1, "after": 1, "year_after": 12}


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _start(asked: str, chosen: str, first: date | None, last: date | None) -> date | None:
    """The first day of the month to show, which is one that has a day that can be used if there is any."""
    for text in (asked, chosen[:7]):
        match = _MONTH.fullmatch(text)
        if match and 1 <= int(match[2]) <= 12 and int(match[1]) > 0:
            found = date(int(match[1]), int(match[2]), 1)
            return min(max(found, first.replace(day=1)), last.replace(day=1)) if first and last else found
    return last.replace(day=1) if last else None


def _later(start: date, months: int) -> date:
    """The first day of a month so many months later; the first or the last that there is, if that is none."""
    number = min(max(start.year * 12 + start.month - 1 + months, 12), 9999 * 12 + 10)
    return date(number // 12, number % 12 + 1, 1)


def _way(start: date, months: int, first: date | None, last: date | None) -> str | None:
    """The month so many months later, or the nearest to it with a day that can be used; None: there is none there."""
    if first is None or last is None:
        return None
    to = min(max(_later(start, months), first.replace(day=1)), last.replace(day=1))
    return f"{to:%Y-%m}" if to != start else None


def _why_not(day: date, first: date | None, last: date | None, today: date) -> str:
    if day >= today:
        return "calendar.not_over"
    if first is None or last is None or day < first:
        return "calendar.nothing_yet"
    return "calendar.not_confirmed" if day > last else ""


def _strength(changes: int | None) -> int:
    return 1 if changes is None else sum(changes >= least for least in _STRENGTHS)


def _focus(weeks: list[list[Day | None]]) -> date | None:
    usable = [each for week in weeks for each in week if each is not None and each.url is not None]
    chosen = next((each.day for each in usable if each.is_chosen), None)
    return chosen or (usable[-1].day if usable else None)


# --- a page of its own, from which a day leads back to where somebody came from ---


async def show(turn: Turn) -> Response:
    """`GET /repos/{repo}/calendar?back=PATH&field=snapshot`: another snapshot for a page of that repository."""
    repo = await turn.api.get("repos", turn.path["repo"])
    field = turn.asked("field", "snapshot")
    field = field if field in FIELDS else "snapshot"
    path, query = _back(turn.asked("back"), repo["name"])

    def link_to(snapshot: date | str | None) -> str:
        changed = [(name, value) for name, value in query if name not in (field, "page")]
        wanted = [(field, str(snapshot))] if snapshot is not None else []
        text = urlencode([*changed, *wanted])
        return path + (f"?{text}" if text else "")

    chosen = dict(query).get(field, "latest")
    version = dict(query).get("bioc_version")
    days = await turn.api.get("repos", repo["name"], "days", bioc_version=version)
    month = await month_of(turn, repo["name"], days, chosen=chosen, link_to=link_to)
    return turn.page(
        "calendar.html",
        repo=repo,
        snapshot=chosen if field == "snapshot" else "latest",
        active="",
        month=month,
        chosen=chosen,
        back=link_to(chosen if chosen != "latest" else None),
        latest=link_to("latest" if field == "from" else None),
    )


def _back(text: str, repo: str) -> tuple[str, list[tuple[str, str]]]:
    """Path and query of a page of a repository; its packages in place of anything else."""
    parts = urlsplit(text) if text.isprintable() and "\\" not in text else urlsplit("")
    names = parts.path.removeprefix(f"{link('repos')}/").split("/")
    is_ours = parts.path.startswith(f"{link('repos')}/") and not (parts.scheme or parts.netloc)
    is_page = names[0] == repo and names[1:2] not in ([], ["calendar"]) and not {"", ".", ".."}.intersection(names)
    if not is_ours or not is_page:
        return link("repos", repo, "packages"), []
    return link("repos", *names), parse_qsl(parts.query)[:_MOST_QUERY]


ROUTES = [get("/repos/{repo}/calendar", show)]
