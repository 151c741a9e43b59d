"""`setup` from the terminal and over HTTP: the same texts, with the address by which the server was asked."""

from __future__ import annotations

import pytest

from entrepot.settings import Settings
from tests.cli.conftest import Entrepot
from tests.support.server import Clock, Live, installed, running

pytestmark = pytest.mark.one_shape


@pytest.fixture
def live_server(live: Live) -> Live:
    return live


def test_what_to_paste(entrepot: Entrepot, live_server: Live) -> None:
    """The URL, then each text under a line that says where it goes."""
    url = f"{live_server.address}/cran/latest"
    assert entrepot.said("setup", "--repo=cran", "--environment=connect") == [
        f"Repository URL: {url}",
        "",
        "# Connect (/etc/rstudio-connect/rstudio-connect.gcfg)",
        '[RPackageRepository "CRAN"]',
        f'URL = "{url}"',
        "",
        "# What becomes of other URLs of this server in content: auto is the default; force-source, force-binary, "
        "force-portable, none (/etc/rstudio-connect/rstudio-connect.gcfg)",
        "[R]",
        "PositPackageManagerURLRewriting = auto",
    ]


def test_the_same_over_http(entrepot: Entrepot, live_server: Live) -> None:
    """With every flag."""
    words = ("--environment=r", "--os=Linux", "--distribution=bookworm", "--snapshot=latest")
    found = entrepot.json("setup", "--repo=cran", *words)
    assert found["repository_url"] == f"{live_server.address}/cran/__linux__/bookworm/latest"
    query = "environment=r&os=linux&distribution=bookworm&snapshot=latest"
    assert live_server.api("GET", f"/repos/cran/setup?{query}") == (200, found)


def test_the_address_of_the_configuration(settings: Settings, clock: Clock) -> None:
    """It is the one that people use, however the server was asked."""
    server = settings.server.model_copy(update={"address": "https://packages.example.org/r"})
    with installed(settings.model_copy(update={"server": server}), clock) as app, running(app) as live:
        found = live.api("GET", "/repos/pypi/setup?environment=pip")[1]
    assert found["repository_url"] == "https://packages.example.org/r/pypi/latest/simple"


def test_wrong_words(entrepot: Entrepot) -> None:
    code, said = entrepot.failed("setup", "--repo=cran", "--environment=pip")
    assert code == 2
    assert said[0] == "Error: repository 'cran' has R packages, which pip doesn't install"
    assert said[1].startswith("Hint: for 'cran' there are r, renv, pak")
    assert entrepot.failed("setup", "--repo=nothere")[0] == 4
