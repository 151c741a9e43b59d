"""The fault table of upstreams: each way to misbehave, met by a first sync, a day's sync and downloads.

After each of them the same three things hold: nothing is lost (all that was served before is served byte for byte),
nothing is wrong in the store, and as soon as the upstream behaves the next sync or download mends everything by itself:
what is served then is what an installation serves that never met the fault.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from entrepot.settings import Settings
from tests.support.checks import Answers
from tests.support.fake_cran import CONTRIB, FakeCran
from tests.support.server import Clock
from tests.support.world import BIG, KEPT, SMALL, World, opened, with_history

AWAY, WRONG = "upstream-unavailable", "upstream-invalid"
BROKEN = 0
"""In place of a status: the connection breaks before the end of the file."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One row: how the upstream misbehaves, and what is said about it.

    `code` and `words` are those of the failed sync; `small` and `big` the statuses that clients get for a file that is
    shorter and one that is longer than what is held back until the hash was checked (`BROKEN` counts as the other one
    if the fault shows before the answer has begun); `patience` is the seconds of silence that we grant.
    """

    kind: str
    code: str
    words: str
    small: int
    big: int
    patience: float = 0.5


TABLE = {
    "status 500": Fault("500", AWAY, "answered 500", 503, 503),
    "status 503": Fault("503", AWAY, "answered 503", 503, 503),
    "too many requests": Fault("429", AWAY, "answered 429", 503, 503),
    "forbidden": Fault("403", WRONG, "answered 403", 502, 502),
    "nothing is there": Fault("404", WRONG, "", 502, 502),
    "connection refused": Fault("away", AWAY, "connection refused", 503, 503),
    "connection closed": Fault("refuse", AWAY, "closed without an answer", 503, 503),
    "time-out": Fault("hang", AWAY, "sent nothing for 0.5 s", 503, 503),
    "time-out in the body": Fault("slow", AWAY, "sent nothing for 0.5 s", 503, 503),
    "one byte a second": Fault("drip", AWAY, "less than 512 bytes a second", 503, 503, patience=1.2),
    "body cut short": Fault("cut", AWAY, "was cut short", 503, BROKEN),
    "chunked body cut short": Fault("cut_chunked", AWAY, "was cut short", 503, BROKEN),
    "wrong MD5": Fault("wrong_bytes", WRONG, "", 502, BROKEN),
    "HTML in place of it": Fault("html", WRONG, "", 502, 502),
    "redirect loop": Fault("loop", WRONG, "redirects more than 5 times", 502, 502),
    "redirect out of the web": Fault("redirect:file:///etc/passwd", WRONG, "redirects to a file URL", 502, 502),
}


@pytest.fixture(params=TABLE.values(), ids=TABLE.keys())
def fault(request: pytest.FixtureRequest) -> Fault:
    found: Fault = request.param
    return found


@pytest.fixture
def world(settings: Settings, stocked: FakeCran, clock: Clock, fault: Fault) -> Iterator[World]:
    with opened(settings, stocked, clock, patience=fault.patience) as made:
        yield made


@contextmanager
def misbehaving(world: World, fault: Fault, path: str = "*") -> Iterator[None]:
    """The upstream has the fault, for that path or for all, until the end of the block."""
    if fault.kind == "away":
        with world.cran.closed():
            yield
        return
    world.cran.fail(path, fault.kind)
    yield
    world.cran.heal()


def check_refused(world: World, fault: Fault) -> None:
    """A sync says what is wrong, as a job and in the state of its source."""
    job = world.sync()
    assert (job["state"], job["error"]["code"]) == ("failed", fault.code)
    assert fault.words in job["error"]["error"]
    assert world.live.api("GET", "/sources/cran")[1]["sync"]["error"] == job["error"]["error"]


def test_an_upstream(world: World, fault: Fault, unharmed: tuple[Answers, Answers]) -> None:
    """A first sync, downloads and a day's sync meet it: nothing is lost or wrong, and all of it mends by itself."""
    first_sync(world, fault, unharmed)
    for name in (SMALL, BIG):
        download(world, fault, unharmed, name)
    days_sync(world, fault, unharmed)


def first_sync(world: World, fault: Fault, unharmed: tuple[Answers, Answers]) -> None:
    """It fails in words; clients hear 503, never that there are no packages; the next one brings the whole history."""
    with misbehaving(world, fault):
        check_refused(world, fault)
        assert {status for status, _ in world.answers().values()} == {503}
        world.check_store()
    with_history(world)
    assert world.answers() == unharmed[0]
    world.check_store()


def download(world: World, fault: Fault, unharmed: tuple[Answers, Answers], name: str) -> None:
    """The client hears of it, and never gets a whole wrong file; the next request gets the right one."""
    with misbehaving(world, fault):
        status, body = world.fetched(name)
        assert status in ({fault.small} if name == SMALL else {fault.big, fault.big or fault.small})
        assert status == BROKEN or body.count(b"\n") == 1
        assert fault.kind != "wrong_bytes" or status == BROKEN or b"MD5" in body
        assert world.answers() == unharmed[0]
        world.check_store()
    right = world.cran.find(f"{CONTRIB}/{name}")
    assert right is not None
    assert world.fetched(name) == (200, right.data)
    world.check_store()


def days_sync(world: World, fault: Fault, unharmed: tuple[Answers, Answers]) -> None:
    """It fails in words and changes nothing, also if the fault is met in its middle; the next one brings the day."""
    world.wait_a_day()
    paths = ["*", f"{CONTRIB}/Meta/archive.rds", f"{CONTRIB}/Meta/current.rds"]
    if fault.kind == "404":
        paths.pop()  # an upstream without it is a mirror too
    for path in paths:
        with misbehaving(world, fault, path):
            check_refused(world, fault)
            assert world.answers() == unharmed[0]
            world.check_store()
    assert world.sync()["state"] == "done"
    assert world.answers("2024-03-01") == unharmed[1]
    world.check_store()


# --- faults of the index alone -------------------------------------------------------------------------------------


def test_an_index_that_lost_more_than_half(
    settings: Settings, stocked: FakeCran, clock: Clock, unharmed: tuple[Answers, Answers]
) -> None:
    """It is refused with the numbers and changes nothing; a whole one heals it by itself, force accepts the loss."""
    with opened(settings, stocked, clock) as world:
        with_history(world)
        clock.wait(days=1)
        lose_more_than_half(stocked)
        job = world.sync()
        assert (job["state"], job["error"]["code"]) == ("failed", WRONG)
        assert "has 15 packages instead of 31; nothing was changed" in job["error"]["error"]
        assert "--force" in job["error"]["hint"]
        assert (job["error"]["payload"]["had"], job["error"]["payload"]["has"]) == (31, 15)
        assert world.answers() == unharmed[0]
        world.check_store()
        stocked.publish()
        assert world.sync()["state"] == "done"
        assert world.answers() == unharmed[0]
        lose_more_than_half(stocked)
        result = world.sync(force=True)["result"]
        assert result["archived"] + result["removed"] == 16
        assert world.fetched(KEPT) == (404, world.fetched(KEPT)[1])
        stocked.publish()
        assert world.sync()["result"]["added"] == 16
        assert world.answers() == unharmed[0]
        world.check_store()


def lose_more_than_half(cran: FakeCran) -> None:
    """16 of the 31 packages are no longer in the index, those that come first."""
    served = cran.find(f"{CONTRIB}/PACKAGES")
    assert served is not None
    entries = served.data.split(b"\n\n")
    cran.put(f"{CONTRIB}/PACKAGES.gz", gzip.compress(b"\n\n".join(entries[16:])))


# --- redirects -----------------------------------------------------------------------------------------------------


def test_redirects_to_another_host(
    settings: Settings, stocked: FakeCran, clock: Clock, unharmed: tuple[Answers, Answers]
) -> None:
    """They are followed, for indexes and files, and the login of the first host is never told to the second."""
    with FakeCran() as other, opened(settings, stocked, clock, login="me:secret@") as world:
        tree = dict(stocked._files)
        for path, served in tree.items():
            other.put(path, served.data, served.modified)
            stocked.fail(path, f"redirect:{other.url.replace('127.0.0.1', 'localhost')}/{path}")
        assert with_history(world).answers() == unharmed[0]
        assert world.fetched(BIG) == (200, tree[f"{CONTRIB}/{BIG}"].data)
        assert {asked.headers.get("Authorization") for asked in stocked.requests} == {"Basic bWU6c2VjcmV0"}
        assert other.requests
        assert {asked.headers.get("Authorization") for asked in other.requests} == {None}
        world.check_store()
