"""The fault table of upstreams, for an index of Python packages: met by pages, the list of names, files and metadata.

After each of them the same three things hold: nothing that was served before is lost or changed, nothing is wrong in
the store, and as soon as the upstream behaves all mends by itself. A project that isn't known is 502 or 503 then,
never 404: a resolver would take that for a fact.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest

from entrepot.settings import Settings
from tests.support import pages
from tests.support.distributions import wheel
from tests.support.fake_pypi import LIST, FakePypi, Upload
from tests.support.server import Clock, eventually
from tests.support.world import KNOWN, NEXT, PythonWorld, check_store_soon, opened_python, stock_pypi

AWAY, WRONG = "upstream-unavailable", "upstream-invalid"
BROKEN = 0
"""In place of a status: the connection breaks before the end of the file."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One row: how the upstream misbehaves, and what is said about it.

    `code` is that of the failed sync of names, `words` what a failed page says; `page` its status; `small` and `big`
    those of files that are shorter and longer than what is held back until the hash was checked (`BROKEN` counts as the
    other if the fault shows before the answer has begun); `patience` is the seconds of silence that we grant.
    """

    kind: str
    code: str
    words: str
    page: int
    small: int
    big: int
    patience: float = 0.5


TABLE = {
    "status 500": Fault("500", AWAY, "answered 500", 503, 503, 503),
    "status 503": Fault("503", AWAY, "answered 503", 503, 503, 503),
    "too many requests": Fault("429", AWAY, "answered 429", 503, 503, 503),
    "forbidden": Fault("403", WRONG, "answered 403", 502, 502, 502),
    "connection refused": Fault("away", AWAY, "connection refused", 503, 503, 503),
    "connection closed": Fault("refuse", AWAY, "closed without an answer", 503, 503, 503),
    "time-out": Fault("hang", AWAY, "sent nothing for 0.5 s", 503, 503, 503),
    "time-out in the body": Fault("slow", AWAY, "sent nothing for 0.5 s", 503, 503, 503),
    "one byte a second": Fault("drip", AWAY, "less than 512 bytes a second", 503, 503, 503, patience=1.2),
    "body cut short": Fault("cut", AWAY, "was cut short", 503, 503, BROKEN),
    "chunked body cut short": Fault("cut_chunked", AWAY, "was cut short", 503, 503, BROKEN),
    "other bytes": Fault("wrong_bytes", WRONG, "", 502, 502, BROKEN),
    "HTML in place of it": Fault("html", WRONG, "", 502, 502, 502),
    "redirect loop": Fault("loop", WRONG, "redirects more than 5 times", 502, 502, 502),
    "redirect out of the web": Fault(
        "redirect:file:///etc/passwd", WRONG, "redirects to a file URL", 502, 502, 502
    ),
}  # fmt: skip


@pytest.fixture(params=TABLE.values(), ids=TABLE.keys())
def fault(request: pytest.FixtureRequest) -> Fault:
    found: Fault = request.param
    return found


@pytest.fixture
def world(settings: Settings, pypi: FakePypi, clock: Clock, fault: Fault) -> Iterator[PythonWorld]:
    stock_pypi(pypi)
    with opened_python(settings, pypi, clock, patience=fault.patience) as made:
        yield made


@contextmanager
def misbehaving(world: PythonWorld, fault: Fault, path: str = "*") -> Iterator[None]:
    """The upstream has the fault, for that path or for all, until the end of the block."""
    if fault.kind == "away":
        with world.pypi.closed():
            yield
        return
    world.pypi.fail(path, fault.kind)
    yield
    world.pypi.heal()


def test_an_upstream(world: PythonWorld, fault: Fault) -> None:
    """First pages, the list, files, metadata and later readings meet it: nothing is lost or wrong, and all mends."""
    first_page(world, fault)
    list_of_names(world, fault)
    for upload in world.pypi.uploads(NEXT):
        download(world, fault, upload)
    metadata(world, fault)
    later_reading(world, fault)


def shown(page: tuple[int, bytes]) -> dict[str, str]:
    """File name -> SHA-256 of a page."""
    assert page[0] == 200
    return {file["filename"]: file["hashes"]["sha256"] for file in json.loads(page[1])["files"]}


def upstream_has(world: PythonWorld, project: str) -> dict[str, str]:
    return {upload.name: upload.sha256 for upload in world.pypi.uploads(project)}


def first_page(world: PythonWorld, fault: Fault) -> None:
    """It is refused in a line, at `latest` and at a day, with nothing recorded; then it is there."""
    with misbehaving(world, fault):
        for snapshot in ("latest", "2024-02-29"):
            status, body = world.page(KNOWN, snapshot)
            assert (status, body.count(b"\n")) == (fault.page, 1)
            assert fault.words.encode() in body
        assert world.live.api("GET", "/sources/pypi/transactions")[1] == []
        check_store_soon(world.app)
    for project in (KNOWN, NEXT):
        assert shown(world.page(project)) == upstream_has(world, project)
    kept = world.pypi.uploads(KNOWN)[0]
    assert world.fetched(kept) == (200, kept.data)
    assert world.fetched(kept, ".metadata") == (200, kept.metadata)
    check_store_soon(world.app)


def list_of_names(world: PythonWorld, fault: Fault) -> None:
    """A sync fails in words and changes nothing, be it the first or a later one; the next one brings the list."""
    for _ in range(2):
        before = world.answers()
        with misbehaving(world, fault, LIST):
            job = world.sync()
            assert (job["state"], job["error"]["code"]) == ("failed", fault.code)
            assert fault.words in job["error"]["error"]
            assert world.answers() == before
        assert world.sync()["state"] == "done"
    assert pages.names(world.live) == world.pypi.names


def download(world: PythonWorld, fault: Fault, upload: Upload) -> None:
    """The client hears of it, and never gets a whole wrong file; the next request gets the right one."""
    before = world.answers()
    is_big = len(upload.data) > 100_000
    with misbehaving(world, fault):
        status, body = world.fetched(upload)
        assert status in ({fault.big, fault.big or fault.small} if is_big else {fault.small})
        assert status == BROKEN or body.count(b"\n") == 1
        assert world.answers() == before
        check_store_soon(world.app)
    assert world.fetched(upload) == (200, upload.data)
    check_store_soon(world.app)


def metadata(world: PythonWorld, fault: Fault) -> None:
    """Where the document alone is bad, it comes out of the wheel, or is told to be away; then it is the right one."""
    first, _, big = world.pypi.uploads(NEXT)
    for upload in (first, big):
        path = f"{upload.path}.metadata"
        if fault.kind != "away":
            with misbehaving(world, fault, path):
                status, body = world.fetched(upload, ".metadata")
                assert (status, body) == (200, upload.metadata) or (status, fault.page) == (503, 503)
                check_store_soon(world.app)
        assert world.fetched(upload, ".metadata") == (200, upload.metadata)
    with misbehaving(world, fault):
        known = world.pypi.uploads(KNOWN)[2]
        status, body = world.fetched(known, ".metadata")
        assert (status, body.count(b"\n")) == (fault.page, 1)
    assert world.fetched(known, ".metadata") == (200, known.metadata)
    check_store_soon(world.app)


def later_reading(world: PythonWorld, fault: Fault) -> None:
    """A known page stays as it is, at `latest` and at its days; after that it has the news."""
    before = world.answers()
    new = world.pypi.add(*wheel(KNOWN, "3.0"), uploaded=world.clock.now)
    world.clock.wait(seconds=601)
    with misbehaving(world, fault):
        count = len(world.pypi.requests)
        assert world.answers() == before
        if fault.kind != "away":
            eventually(lambda: len(world.pypi.requests), lambda found: found > count)
        world.clock.wait(seconds=31)
        assert world.answers() == before
    found = eventually(
        lambda: (world.clock.wait(seconds=31), shown(world.page(KNOWN)))[1], lambda files: new.name in files
    )
    assert found == upstream_has(world, KNOWN)
    days = [path for path in before if path.startswith("/pypi/2024")]
    assert {path: world.get(path) for path in days} == {path: before[path] for path in days}
    check_store_soon(world.app)


# --- faults of their own kind --------------------------------------------------------------------------------------


def test_an_upstream_that_has_nothing_any_more(settings: Settings, pypi: FakePypi, clock: Clock) -> None:
    """404 for pages means deleted: gone from `latest`, there at each day; what comes back is there again."""
    stock_pypi(pypi)
    with opened_python(settings, pypi, clock) as world:
        world.page(KNOWN)
        before = world.page(KNOWN, "2024-02-29")
        pypi.fail("*", "404")
        assert world.page(NEXT)[0] == 404
        job = world.sync()
        assert (job["state"], job["error"]["code"]) == ("failed", WRONG)
        clock.wait(seconds=601)
        eventually(lambda: (clock.wait(seconds=1), world.page(KNOWN))[1], lambda page: page[0] == 404)
        assert world.page(KNOWN, "2024-02-29") == before
        pypi.heal()
        clock.wait(seconds=601)
        eventually(lambda: (clock.wait(seconds=1), world.page(KNOWN))[1], lambda page: page[0] == 200)
        assert shown(world.page(KNOWN)) == upstream_has(world, KNOWN)
        assert shown(world.page(NEXT)) == upstream_has(world, NEXT)
        check_store_soon(world.app)


def test_redirects_to_another_host(settings: Settings, pypi: FakePypi, clock: Clock) -> None:
    """They are followed, for pages, the list, files and metadata; the login of the first host is never told there."""
    stock_pypi(pypi)
    with FakePypi() as other, opened_python(settings, pypi, clock, login="me:secret@") as world:
        tree = dict(pypi._files)
        for path, served in tree.items():
            other.put(path, served.data, served.modified, headers=served.headers)
            pypi.fail(path, f"redirect:{other.url.replace('127.0.0.1', 'localhost')}/{path}")
        assert shown(world.page(KNOWN)) == upstream_has(world, KNOWN)
        for upload in pypi.uploads(KNOWN):
            assert world.fetched(upload) == (200, upload.data)
        assert world.fetched(pypi.uploads(KNOWN)[0], ".metadata")[0] == 200
        assert world.sync()["state"] == "done"
        assert {asked.headers.get("Authorization") for asked in pypi.requests} == {"Basic bWU6c2VjcmV0"}
        assert other.requests
        assert {asked.headers.get("Authorization") for asked in other.requests} == {None}
        check_store_soon(world.app)


def test_the_login_of_the_upstream_is_told_to_nobody(settings: Settings, pypi: FakePypi, clock: Clock) -> None:
    """Neither in a page nor in an error, nor to another host that has the files."""
    stock_pypi(pypi)
    with FakePypi() as other, opened_python(settings, pypi, clock, login="me:secret@") as world:
        moved = pypi.uploads(KNOWN)[0]
        page = pypi.find(pypi.page(KNOWN))
        assert page is not None
        elsewhere = other.url.replace("127.0.0.1", "localhost")
        pypi.put(pypi.page(KNOWN), page.data.replace(b"../../files", f"{elsewhere}/files".encode()))
        other.put(moved.path, moved.data)
        status, body = world.page(KNOWN)
        assert status == 200
        assert b"secret" not in body
        assert world.fetched(moved) == (200, moved.data)
        assert {asked.headers.get("Authorization") for asked in other.requests} == {None}
        pypi.fail("*", "403")
        assert b"secret" not in world.page(NEXT)[1]


def test_a_file_that_changes_under_its_name(settings: Settings, pypi: FakePypi, clock: Clock) -> None:
    """What was served stays what it is; the new one is another transaction, and the old day has the old file."""
    stock_pypi(pypi)
    with opened_python(settings, pypi, clock) as world:
        world.page(KNOWN)
        old = pypi.uploads(KNOWN)[0]
        assert world.fetched(old) == (200, old.data)
        _, data = wheel(KNOWN, "1.0", extra_files={"other": b"bytes"})
        new = pypi.add(old.name, data, uploaded=old.uploaded)
        assert hashlib.sha256(data).hexdigest() == new.sha256 != old.sha256
        assert world.fetched(old) == (200, old.data)
        clock.wait(seconds=601)
        eventually(lambda: (clock.wait(seconds=1), world.fetched(new))[1], lambda got: got == (200, new.data))
        assert world.get(f"/pypi/2024-02-29/packages/{KNOWN}/{old.name}") == (200, old.data)
        clock.wait(seconds=timedelta(days=2).total_seconds())
        assert world.get(f"/pypi/2024-03-01/packages/{KNOWN}/{old.name}")[0] == 200
        check_store_soon(world.app)
