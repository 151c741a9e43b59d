"""A new user's way: from the home page to a package that R has installed, as it stood on a day of last month."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.archives import make_source_package
from tests.support.chromium import Desk
from tests.support.fake_cran import FakeCran
from tests.support.gitsite import finished
from tests.support.r import run_r
from tests.support.server import Live, sync

pytestmark = [pytest.mark.r, pytest.mark.one_shape, pytest.mark.usefixtures("rscript")]


@pytest.fixture
def stocked(live_mirrored: Live, cran: FakeCran) -> Live:
    """A mirror of two packages, one of which needs the other; both had a release in January and one in February."""
    for month, version in ((1, "1.0"), (2, "1.1")):
        for name, needs in (("teapot", "kettle"), ("kettle", "utils")):
            data = make_source_package(name, version, fields={"Imports": needs, "Title": f"A {name} for everybody"})
            cran.add(name, version, data, datetime(2024, month, 8, 9, tzinfo=UTC))
    cran.publish()
    sync(live_mirrored.app)
    # CRAN's index doesn't tell what versions need that are archived by now.
    finished(live_mirrored, live_mirrored.api("POST", "/sources/cran/describe", {})[1])
    return live_mirrored


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_from_the_home_page_to_an_installed_package(
    stocked: Live, desk_at: Callable[[str], Desk], tmp_path: Path, script: bool
) -> None:
    """Search, package, set-up, a day of the calendar; what stands there is pasted into R, and R installs that day's."""
    page = desk_at(stocked.address).page("/", script=script)
    page.get_by_role("searchbox").fill("teap")
    if not script:
        page.get_by_role("button", name="Search").click()
    page.locator("#found [data-hit]", has_text="teapot").click()
    assert "teapot" in page.locator("h1").inner_text()
    page.get_by_role("link", name="Set-up", exact=True).click()
    page.get_by_role("link", name="Month before").click()
    page.locator("#calendar-name", has_text="January 2024").wait_for()
    page.locator("a.day", has_text="20").click()
    page.locator("#result .copyline code", has_text="2024-01-20").wait_for()
    pasted = page.locator("#result pre code").first.inner_text()
    done = run_r(
        f"""
        {pasted}
        install.packages("teapot", quiet = TRUE)
        cat("@", as.character(packageVersion("teapot")), as.character(packageVersion("kettle")), "\\n")
        """,
        lib=tmp_path / "library",
    )
    assert "@ 1.0 1.0" in done.stdout
