"""A browser for all tests of this folder, and for each test windows that it has to leave without faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import chromium
from tests.support.chromium import Browser, Desk, sign_in
from tests.support.showroom import Showroom, showroom


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test that asks for the showroom waits for its builds, which stand back behind all else that runs."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One for each worker. It ends with the last test of this folder, since nothing in its thread can run an event
    loop beside it."""
    if chromium.program() is None:
        pytest.skip("no chromium on PATH (make test installs it)")
    with chromium.chromium() as running:
        yield running


@pytest.fixture
def desk_at(browser: Browser) -> Iterator[Callable[[str], Desk]]:
    """Makes desks for sites by their URL; the test fails if pages did on one of them what no page may do."""
    desks: list[Desk] = []

    def make(base: str) -> Desk:
        desks.append(Desk(browser, base))
        return desks[-1]

    yield make
    for desk in desks:
        desk.close()
    faults = [fault for desk in desks for fault in desk.faults]
    if faults:
        pytest.fail("in the browser:\n" + "\n".join(faults), pytrace=False)


@pytest.fixture(scope="package")
def room(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Showroom]:
    """An installation with something on every page, for all tests of this folder that change nothing of it."""
    with showroom(tmp_path_factory.mktemp("showroom")) as made:
        yield made


@pytest.fixture(scope="module")
def workshop(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Showroom]:
    """The same without builds, for the tests of one file, which may change it."""
    with showroom(tmp_path_factory.mktemp("workshop"), builds=False) as made:
        yield made


@pytest.fixture
def desk(room: Showroom, desk_at: Callable[[str], Desk]) -> Desk:
    """Windows on the showroom, or on what a file calls `room` of its own."""
    return desk_at(room.live.address)


@pytest.fixture(scope="module")
def signed_in(room: Showroom, browser: Browser) -> dict[str, Any]:
    """The cookies of an administrator who is signed in: `desk.page(storage_state=...)`."""
    with Desk(browser, room.live.address) as desk:
        page = desk.page()
        sign_in(page, room.tokens["noor"])
        return dict(page.context.storage_state())
