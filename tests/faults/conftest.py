"""What every fault meets, and what an installation serves that met none."""

from __future__ import annotations

import pytest

from entrepot.settings import Settings
from tests.support.checks import Answers
from tests.support.fake_cran import FakeCran
from tests.support.server import Clock
from tests.support.world import BIG, SMALL, opened, stock, with_history


@pytest.fixture
def stocked(cran: FakeCran) -> FakeCran:
    stock(cran)
    return cran


@pytest.fixture(scope="session")
def unharmed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Answers, Answers]:
    """What is served without any fault: after the first sync, and after the next day's."""
    values = {"server": {"data_dir": tmp_path_factory.mktemp("unharmed")}, "cran": {"sync_schedule": ""}}
    with FakeCran() as cran, opened(Settings.model_validate(values), cran, Clock(), patience=5) as world:
        stock(cran)
        first = with_history(world).answers()
        assert [world.fetched(name)[0] for name in (SMALL, BIG)] == [200, 200]
        world.check_store()
        world.wait_a_day()
        assert world.sync()["state"] == "done"
        return first, world.answers("2024-03-01")
