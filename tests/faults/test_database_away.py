"""A PostgreSQL that is stopped and started again under a running server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from entrepot.settings import Settings
from tests.support import postgres
from tests.support.checks import Answers
from tests.support.fake_cran import CONTRIB, FakeCran
from tests.support.server import Clock, eventually
from tests.support.world import KEPT, World, opened, package, with_history

AWAY = "database-unavailable"
INDEX = f"/cran/latest/{CONTRIB}/PACKAGES"


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> Iterator[postgres.Cluster]:
    """A PostgreSQL for this test alone."""
    if request.config.getoption("--db") != "postgres":
        pytest.skip("an embedded database does not go away")
    with postgres.cluster() as own:
        yield own


@pytest.fixture
def world(settings: Settings, cluster: postgres.Cluster, stocked: FakeCran, clock: Clock) -> Iterator[World]:
    with cluster.database() as url:
        mine = settings.model_copy(update={"database": settings.database.model_copy(update={"url": url})})
        with opened(mine, stocked, clock, patience=5) as made:
            yield with_history(made)


def test_a_database_that_is_stopped_and_started(
    world: World, cluster: postgres.Cluster, unharmed: tuple[Answers, Answers]
) -> None:
    """Clients and administrators get 503 in words and no detail; when it is back all goes on, without a restart."""
    assert world.live.api("POST", "/sources", {"name": "internal"})[0] == 201
    demo = "demo_1.0.tar.gz", package("demo", "1.0")
    kept = world.fetched(KEPT)
    cluster.stop()
    assert world.fetched(KEPT) == kept == (200, package("p00", "1.1"))
    answer = world.live.get(INDEX)
    assert (answer.status, answer.headers["Retry-After"], answer.data.count(b"\n")) == (503, "30", 1)
    assert answer.data.startswith(b"the database does not answer (")
    for status, body in (
        world.live.api("GET", "/sources"),
        world.live.api("POST", "/sources/cran/sync", {}),
        world.live.upload("internal", demo),
    ):
        assert (status, body["code"], body["payload"]) == (503, AWAY, None)
    cluster.start()
    assert world.live.get(INDEX).status == 200
    assert world.answers() == unharmed[0]
    assert world.live.upload("internal", demo)[0] == 200
    world.check_store()


def test_a_database_that_is_stopped_in_the_middle_of_a_sync(
    world: World, cluster: postgres.Cluster, unharmed: tuple[Answers, Answers]
) -> None:
    """The sync changes nothing, or is finished when the database is back; the next one mends what is missing."""
    assert [world.fetched(name)[0] for name in ("p01_1.1.tar.gz", "big_1.0.tar.gz")] == [200, 200]
    world.wait_a_day()
    path = f"{CONTRIB}/Meta/archive.rds"
    asked = world.cran.count(path)
    world.cran.fail(path, "slow", times=1, seconds=1)
    job = world.live.api("POST", "/sources/cran/sync", {})[1]["id"]
    eventually(lambda: world.cran.count(path), lambda count: count > asked)
    cluster.stop()
    assert world.live.get(INDEX).status == 503
    cluster.start()
    eventually(lambda: world.job(job)["state"], lambda state: state in ("done", "failed"), seconds=60)
    assert world.sync()["state"] == "done"
    assert world.answers("2024-03-01") == unharmed[1]
    world.check_store()
