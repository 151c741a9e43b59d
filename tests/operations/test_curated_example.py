"""An administrator's January: a curated source from its list to its first update, on CRAN as it was in January 2023.

The mirror is synced each evening with CRAN's metadata of that day, as far as the list's packages, what these need and
what they suggest go; the data are shared data beside the checkout, without which the test is skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest

from entrepot.app import App
from entrepot.core.errors import WrongProposal
from entrepot.core.model import FileStatus, SourceType
from entrepot.operations import activity, browsing, proposals, sources
from entrepot.operations.proposals import Proposal, Wish
from entrepot.settings import Settings
from tests.support import real_cran
from tests.support.real_cran import RealCran
from tests.support.server import Clock, installed, sync

pytestmark = [pytest.mark.shared, pytest.mark.skipif(bool(real_cran.MISSING), reason=real_cran.MISSING)]

SOURCE = "approved"
DESIRED = ("dplyr", "tidyr", "readr", "lme4", "survival")
REQUESTED = "forcats"
LATER = "markdown"
MORNING, EVENING = timedelta(hours=10), timedelta(hours=23)


class January:
    """The administrator's days: `on` syncs every evening until the day, and stops at its morning."""

    def __init__(self, app: App, cran: RealCran, clock: Clock) -> None:
        self.app, self.cran, self.clock = app, cran, clock

    def on(self, month: int, day: int) -> None:
        morning = datetime(2023, month, day, tzinfo=UTC) + MORNING
        while (evening := self._evening_after()) < morning:
            self._sync(evening)
        self.clock.now = morning

    def evening(self) -> None:
        self._sync(self._evening_after())

    def _evening_after(self) -> datetime:
        evening = datetime.combine(self.clock.now.date(), datetime.min.time(), UTC) + EVENING
        return evening if evening > self.clock.now else evening + timedelta(days=1)

    def _sync(self, evening: datetime) -> None:
        self.clock.now = evening
        self.cran.publish(evening)
        sync(self.app)

    def propose(self, wish: Wish) -> Proposal:
        return proposals.propose(self.app, SOURCE, wish, actor="admin")

    def commit(self, proposal: Proposal) -> int:
        done = proposals.commit(self.app, SOURCE, proposal.row.id, actor="admin", snapshot=proposal.row.snapshot)[1]
        assert done.transaction is not None
        return done.transaction

    def index(self, snapshot: str | int = "latest", source: str = SOURCE) -> dict[str, str]:
        rows = browsing.open_source(self.app, source, str(snapshot)).view.current()
        return {row.file.package: row.file.version for row in rows}

    def archive(self, source: str = SOURCE) -> set[str]:
        rows = browsing.open_source(self.app, source, "latest").view.in_brief(FileStatus.ARCHIVED)
        return {f"{row.package} {row.version}" for row in rows}


@pytest.fixture
def january(settings: Settings) -> Iterator[January]:
    clock = Clock(datetime(2022, 12, 31, 12, tzinfo=UTC))
    with RealCran(real_cran.around([*DESIRED, REQUESTED, LATER])) as cran:
        upstream = settings.cran.model_copy(update={"upstream": cran.url})
        with installed(settings.model_copy(update={"cran": upstream}), clock) as app:
            yield January(app, cran, clock)


def told(proposal: Proposal) -> dict[str, str]:
    return {item.package: item.version for item in proposal.report.items}


FIRST = {
    **{"MASS": "7.3-58.1", "Matrix": "1.5-3", "R6": "2.5.1", "Rcpp": "1.0.9", "RcppEigen": "0.3.3.9.3"},
    **{"bit": "4.0.5", "bit64": "4.0.5", "boot": "1.3-28.1", "brio": "1.1.3", "callr": "3.7.3", "cli": "3.5.0"},
    **{"clipr": "0.8.0", "cpp11": "0.4.3", "crayon": "1.5.2", "desc": "1.4.2", "diffobj": "0.3.5", "digest": "0.6.31"},
    **{"dplyr": "1.0.10", "ellipsis": "0.3.2", "evaluate": "0.19", "fansi": "1.0.3", "fs": "1.5.2"},
    **{"generics": "0.1.3", "glue": "1.6.2", "hms": "1.1.2", "jsonlite": "1.8.4", "lattice": "0.20-45"},
    **{"lifecycle": "1.0.3", "lme4": "1.1-31", "magrittr": "2.0.3", "minqa": "1.2.5", "nlme": "3.1-161"},
    **{"nloptr": "2.0.3", "pillar": "1.8.1", "pkgconfig": "2.0.3", "pkgload": "1.3.2", "praise": "1.0.0"},
    **{"prettyunits": "1.1.1", "processx": "3.8.0", "progress": "1.2.2", "ps": "1.7.2", "purrr": "1.0.0"},
    **{"readr": "2.1.3", "rematch2": "2.1.2", "rlang": "1.0.6", "rprojroot": "2.0.3", "survival": "3.4-0"},
    **{"testthat": "3.1.6", "tibble": "3.1.8", "tidyr": "1.2.1", "tidyselect": "1.2.0", "tzdb": "0.3.0"},
    **{"utf8": "1.2.2", "vctrs": "0.5.1", "vroom": "1.6.0", "waldo": "0.4.0", "withr": "2.5.0"},
}
"""What the list brings on 1 January 2023."""
UPDATED = {
    **{"MASS": "7.3-58.2", "Rcpp": "1.0.10", "cli": "3.6.0", "dplyr": "1.1.0", "evaluate": "0.20", "fansi": "1.0.4"},
    **{"forcats": "1.0.0", "fs": "1.6.0", "purrr": "1.0.1", "survival": "3.5-0", "tidyr": "1.3.0", "vctrs": "0.5.2"},
    "vroom": "1.6.1",
}
"""What is newer on 30 January."""
NEW = {"stringi": "1.7.12", "stringr": "1.5.0"}
"""What tidyr 1.3.0 needs besides."""


def test_the_eight_steps_of_a_month(january: January) -> None:
    """The source shows what was reviewed, of the day to which it is pinned, whatever CRAN publishes meanwhile."""
    # 1 January: the source is made; it is pinned to that day and empty.
    january.on(1, 1)
    january.evening()
    made, _ = sources.create_source(january.app, SOURCE, type_=SourceType.CURATED_CRAN)
    assert (made.snapshot, made.packages, january.index()) == ("2023-01-01", 0, {})

    # 2 January: the list becomes a proposal with all that is needed, for people to review; nothing is changed.
    january.on(1, 2)
    first = january.propose(Wish("add", packages=DESIRED))
    assert (first.row.snapshot, told(first)) == ("2023-01-01", FIRST)
    assert {item.package for item in first.report.items if item.reason == "asked for"} == set(DESIRED)
    reviewed = {item.package: (item.license, item.needs_compilation, item.reason) for item in first.report.items}
    assert reviewed["minqa"] == ("GPL-2", "yes", "lme4")
    assert reviewed["bit"] == ("GPL-2 | GPL-3", "no", "readr > vroom > bit64")
    assert (first.report.leaving, first.report.missing) == ((), ())
    assert january.index() == {}

    # 15 January: it was approved, and is committed by its id. CRAN has newer versions by now, the source has those.
    january.on(1, 15)
    assert january.index(source="cran")["purrr"] == "1.0.1"
    committed = january.commit(first)
    assert january.index() == FIRST
    assert "dplyr 1.0.9" in january.archive()

    # 20 January: one more package is asked for. It is proposed as of 1 January, so that it goes with the others.
    january.on(1, 20)
    second = january.propose(Wish("add", packages=(REQUESTED,)))
    assert (second.row.snapshot, told(second)) == ("2023-01-01", FIRST | {"forcats": "0.5.2"})
    assert {item.package for item in second.report.items if item.change != "unchanged"} == {REQUESTED}
    added = january.commit(second)
    assert january.index() == FIRST | {"forcats": "0.5.2"}

    # 30 January: the approved packages are to be updated, all at once; a proposal tells each change.
    january.on(1, 30)
    january.evening()
    third = january.propose(Wish("update"))
    changes = {item.package: (item.previous, item.version) for item in third.report.items if item.change != "unchanged"}
    before = january.index()
    assert third.row.snapshot == "2023-01-30"
    assert changes == {name: (before.get(name), version) for name, version in (UPDATED | NEW).items()}
    assert [(left.package, left.version, left.change) for left in third.report.leaving] == [
        (name, before[name], "archived") for name in sorted(UPDATED)
    ]
    assert january.index() == before

    # 1 February: the update was approved, and is committed as it was on 30 January.
    january.on(2, 1)
    assert january.index(source="cran")["nlme"] == "3.1-162"
    updated = january.commit(third)
    after = FIRST | UPDATED | NEW
    assert january.index() == after
    assert {f"{name} {before[name]}" for name in UPDATED} <= january.archive()

    # From then on packages are added as of 30 January.
    january.on(2, 3)
    assert january.index(source="cran")["markdown"] == "1.5"
    later = january.propose(Wish("add", packages=(LATER,)))
    assert later.row.snapshot == "2023-01-30"
    assert told(later) == after | {"commonmark": "1.8.1", "markdown": "1.4", "mime": "0.12", "xfun": "0.36"}

    # Each step was one transaction, and what it showed can be had as long as the source is there.
    assert [january.index(at) for at in (committed, added, updated)] == [FIRST, FIRST | {"forcats": "0.5.2"}, after]
    rows, total = activity.list_transactions(january.app, source=SOURCE, page=browsing.Page())
    assert ([row.transaction.id for row in rows], total) == ([updated, added, committed, made.transaction], 4)
    assert [row.transaction.day for row in rows] == [
        date(2023, 2, 1),
        date(2023, 1, 20),
        date(2023, 1, 15),
        date(2023, 1, 1),
    ]
    with pytest.raises(WrongProposal, match=f"was committed as transaction {updated}"):
        january.commit(third)
