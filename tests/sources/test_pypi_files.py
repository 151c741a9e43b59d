"""Files of a mirrored index and the metadata beside them: fetched once, checked, and there whenever they are listed."""

from __future__ import annotations

import hashlib
import json
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
import urllib3

from entrepot.core.jobs import no_log, no_report
from entrepot.db import sources as db_sources
from entrepot.settings import Settings
from entrepot.sources import wheelmetadata
from tests.support.distributions import sdist, wheel
from tests.support.fake_pypi import FakePypi, Form, Upload
from tests.support.pages import HTML, JSON, ask, download, files, links, path_of
from tests.support.process import Served
from tests.support.server import Clock, Live, eventually
from tests.support.world import check_store_soon

SPRING = datetime(2023, 4, 1, 12, tzinfo=UTC)
NOISE = {"demo/noise": random.Random(3).randbytes(600_000)}


@pytest.fixture
def live(live_proxied: Live) -> Live:
    return live_proxied


@pytest.fixture
def wheel_file(pypi: FakePypi) -> Upload:
    """A large wheel of project `demo`, whose metadata upstream offers."""
    return pypi.add(*wheel("demo", "1.0", requires=["other>=1"], extra_files=NOISE), uploaded=SPRING)


@pytest.fixture
def sdist_file(pypi: FakePypi) -> Upload:
    return pypi.add(*sdist("demo", "1.0"), uploaded=SPRING)


def offered(live: Live, name: str, snapshot: str = "latest") -> str | None:
    """The SHA-256 of a file's metadata as the page tells it."""
    told = files(live, "demo", snapshot)[name].get("core-metadata")
    return str(told["sha256"]) if told else None


def read_metadata(live: Live) -> None:
    """What a worker does with the job that the reading of a page asked for; then the page is asked for again."""
    jobs = live.api("GET", "/jobs")[1]
    assert [(job["kind"], job["state"]) for job in jobs] == [("read-metadata", "queued")]
    with live.app.db.read() as connection:
        source = db_sources.get(connection, "pypi")
    wheelmetadata.read_missing(live.app, source, report=no_report, log=no_log)


def stored(live: Live) -> int:
    return len(list(live.app.storage.list_keys("blobs")))


# --- files ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", Form)
def test_a_file_is_fetched_once(live: Live, pypi: FakePypi, form: Form) -> None:
    """By the link that the page has; the second client gets it from the store."""
    pypi.form = form
    upload = pypi.add(*wheel("demo", "1.0", extra_files=NOISE), uploaded=SPRING)
    path = path_of(files(live, "demo")[upload.name]["url"], project="demo")
    for _ in range(3):
        answer = live.get(path)
        assert (answer.status, answer.data) == (200, upload.data)
        assert upload.sha256 in answer.headers["ETag"]
        assert answer.headers["Accept-Ranges"] == "bytes"
    assert pypi.count(upload.path) == 1


def test_nothing_is_fetched_before_somebody_asks(live: Live, pypi: FakePypi, wheel_file: Upload) -> None:
    """A page alone downloads no file and no metadata."""
    files(live, "demo")
    assert {asked.path for asked in pypi.requests} == {pypi.page("demo")}


def test_forty_clients_share_one_download(live: Live, pypi: FakePypi, wheel_file: Upload) -> None:
    """Each gets the whole file while it comes."""
    files(live, "demo")
    pypi.fail(wheel_file.path, "slow", times=1, seconds=0.3)
    with ThreadPoolExecutor(40) as clients:
        answers = list(clients.map(lambda _: download(live, "demo", wheel_file.name), range(40)))
    assert {(answer.status, answer.data == wheel_file.data) for answer in answers} == {(200, True)}
    assert pypi.count(wheel_file.path) == 1


@pytest.mark.parametrize("is_stored", [False, True], ids=["not fetched yet", "stored"])
def test_ranges_and_head(live: Live, pypi: FakePypi, wheel_file: Upload, is_stored: bool) -> None:
    """As uv and pip ask for them, whether the file was fetched before or not."""
    files(live, "demo")
    name, data = wheel_file.name, wheel_file.data
    if is_stored:
        download(live, "demo", name)
    head = download(live, "demo", name, method="HEAD")
    assert (head.status, head.data, head.headers["Content-Length"]) == (200, b"", str(len(data)))
    assert head.headers["Accept-Ranges"] == "bytes"
    size = len(data)
    spans = {
        "bytes=0-99": (0, 100),
        "bytes=1000-": (1000, size),
        "bytes=-200": (size - 200, size),
        f"bytes={size - 10}-{size + 5}": (size - 10, size),
    }
    for asked, (start, end) in spans.items():
        answer = download(live, "demo", name, range=asked, accept_encoding="identity")
        assert (answer.status, answer.data) == (206, data[start:end]), asked
        assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{size}"
    assert download(live, "demo", name, range=f"bytes={size}-").status == 416
    etag = download(live, "demo", name).headers["ETag"]
    assert download(live, "demo", name, if_none_match=etag).status == 304
    assert pypi.count(wheel_file.path) == 1


@pytest.mark.parametrize("large", [False, True], ids=["a small file", "a large file"])
def test_a_wrong_file_is_neither_served_nor_stored(live: Live, pypi: FakePypi, large: bool) -> None:
    """Nobody gets a whole file whose hash is another than the page says; the right one is fetched when it is there."""
    upload = pypi.add(*wheel("demo", "1.0", extra_files=NOISE if large else None), uploaded=SPRING)
    pypi.fail(upload.path, "wrong_bytes")
    files(live, "demo")
    for _ in range(2):
        try:
            answer = download(live, "demo", upload.name)
            assert answer.status == 502
            assert not large or b"SHA-256" in answer.data
        except urllib3.exceptions.ProtocolError:
            assert large
    assert stored(live) == 0
    pypi.heal()
    assert download(live, "demo", upload.name).data == upload.data
    check_store_soon(live.app)


def test_a_file_that_upstream_lost(live: Live, pypi: FakePypi, wheel_file: Upload) -> None:
    """Listed, but gone: 502, not 404, which a resolver would take for a fact."""
    files(live, "demo")
    pypi.fail(wheel_file.path, "404")
    answer = download(live, "demo", wheel_file.name)
    assert (answer.status, answer.data.count(b"\n")) == (502, 1)


def test_files_that_are_not_listed(live: Live, pypi: FakePypi, wheel_file: Upload) -> None:
    """404 without a question to upstream but that for the page."""
    for name in ("demo-2.0-py3-none-any.whl", "demo-1.0.tar.gz", "demo", "demo-1.0-py3-none-any.whl.asc", "..%2Fx"):
        assert download(live, "demo", name).status == 404, name
    assert download(live, "other", wheel_file.name).status == 404
    assert download(live, "demo", f"{wheel_file.name}.metadata.metadata").status == 404
    assert {asked.path for asked in pypi.requests} <= {pypi.page("demo"), pypi.page("other")}


def test_a_file_that_moved_upstream(live: Live, pypi: FakePypi, clock: Clock, wheel_file: Upload) -> None:
    """Another URL for the same file: it is fetched where it is now, and that is no change of the project."""
    ask(live, "demo")
    before = live.api("GET", "/sources/pypi/transactions")[1]
    served = pypi.find(pypi.page("demo"))
    assert served is not None
    moved = served.data.replace(wheel_file.path.encode(), b"elsewhere/demo.whl")
    pypi.put(pypi.page("demo"), moved, headers=served.headers)
    pypi.put("elsewhere/demo.whl", wheel_file.data)
    pypi.fail(wheel_file.path, "404")
    clock.wait(seconds=601)
    eventually(lambda: (ask(live, "demo"), pypi.count(pypi.page("demo")))[1], lambda count: count == 2)
    got = eventually(lambda: download(live, "demo", wheel_file.name), lambda answer: answer.status == 200)
    assert got.data == wheel_file.data
    assert live.api("GET", "/sources/pypi/transactions")[1] == before


def test_a_file_without_any_hash(live: Live, pypi: FakePypi, wheel_file: Upload) -> None:
    """Of an index that tells none: fetched and checked as an archive; its hash is told from the next change on."""
    page = pypi.page("demo")
    pypi.put(page, f'<html><body><a href="../../{wheel_file.path}">{wheel_file.name}</a></body></html>'.encode())
    assert files(live, "demo")[wheel_file.name]["hashes"] == {}
    pypi.fail(wheel_file.path, "html", times=1)
    try:
        assert download(live, "demo", wheel_file.name).status == 502
    except urllib3.exceptions.ProtocolError:
        pytest.fail("a short answer is held back until it is checked")
    assert stored(live) == 0
    assert download(live, "demo", wheel_file.name).data == wheel_file.data
    check_store_soon(live.app)


def test_the_legacy_json(live: Live, pypi: FakePypi, wheel_file: Upload, sdist_file: Upload) -> None:
    """/pypi/demo/json and /pypi/demo/1.0/json tell files, digests and times; URLs lead to us."""
    for path in ("demo/json", "demo/1.0/json"):
        answer = live.get(f"/pypi/latest/pypi/{path}")
        assert answer.status == 200, answer.data
        told: dict[str, Any] = answer.json()
        assert {file["filename"]: file["digests"]["sha256"] for file in told["urls"]} == {
            upload.name: upload.sha256 for upload in (wheel_file, sdist_file)
        }
        assert told["urls"][0]["upload_time_iso_8601"].startswith("2023-04-01T12:00:00")
        urls = [urljoin(f"http://x/pypi/latest/pypi/{path}", file["url"]) for file in told["urls"]]
        assert [urlsplit(url).path.startswith("/packages/pypi/latest/demo/") for url in urls] == [True, True]
        assert (told["info"]["name"], told["info"]["version"]) == ("demo", "1.0")
    assert live.get("/pypi/latest/pypi/demo/9.9/json").status == 404


# --- metadata ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", Form)
def test_metadata_that_upstream_offers(live: Live, pypi: FakePypi, form: Form) -> None:
    """It is told with its hash in each form, fetched once, and what it is upstream; the wheel is left alone."""
    pypi.form = form
    upload = pypi.add(*wheel("demo", "1.0", requires=["other>=1"]), uploaded=SPRING)
    assert offered(live, upload.name) == upload.metadata_hash
    html = links(ask(live, "demo", accept=HTML).data)[upload.name]
    assert html["core-metadata"] == html["dist-info-metadata"] == f"sha256={upload.metadata_hash}"
    for _ in range(2):
        answer = download(live, "demo", f"{upload.name}.metadata")
        assert (answer.status, answer.data) == (200, upload.metadata)
    assert download(live, "demo", f"{upload.name}.metadata", method="HEAD").status == 200
    assert pypi.count(f"{upload.path}.metadata") == 1
    assert pypi.count(upload.path) == 0


def test_metadata_that_upstream_does_not_offer(
    live: Live, pypi: FakePypi, clock: Clock, wheel_file: Upload, sdist_file: Upload
) -> None:
    """It is read out of the wheel by ranges after a while, and told from then on; never of a transaction before."""
    pypi.change(wheel_file.name, has_metadata=False)
    assert offered(live, wheel_file.name) is None
    (first,) = live.api("GET", "/sources/pypi/transactions")[1]
    read_metadata(live)
    assert offered(live, wheel_file.name) == wheel_file.metadata_hash
    assert pypi.sent[wheel_file.path] < len(wheel_file.data) / 4
    assert {"Range" in asked.headers for asked in pypi.requests if asked.path == wheel_file.path} == {True}
    answer = download(live, "demo", f"{wheel_file.name}.metadata")
    assert (answer.status, answer.data) == (200, wheel_file.metadata)
    assert offered(live, sdist_file.name) is None
    assert download(live, "demo", f"{sdist_file.name}.metadata").status == 404
    assert first["id"] > 0
    check_store_soon(live.app)


def test_a_server_reads_metadata_by_itself(settings: Settings, pypi: FakePypi) -> None:
    """The real program: some seconds after the first page the metadata that upstream doesn't offer is told."""
    upload = pypi.add(*wheel("demo", "1.0", extra_files=NOISE), uploaded=SPRING, has_metadata=False)
    upstream = settings.pypi.model_copy(update={"upstream": pypi.upstream})
    with Served(settings.model_copy(update={"pypi": upstream})) as server:
        url = f"{server.address}/pypi/latest/simple/demo/"

        def told() -> object:
            answer = urllib3.request("GET", url, headers={"Accept": JSON}, retries=False)
            return answer.json()["files"][0].get("core-metadata")

        assert eventually(told, bool, seconds=40) == {"sha256": upload.metadata_hash}
        document = urllib3.request("GET", f"{url}../../packages/demo/{upload.name}.metadata", retries=False)
        assert (document.status, document.data) == (200, upload.metadata)
    assert pypi.sent[upload.path] < len(upload.data) / 4


def test_metadata_of_a_wheel_that_was_fetched(live: Live, pypi: FakePypi, clock: Clock, wheel_file: Upload) -> None:
    """Who downloads a wheel without metadata upstream lets it be told, where the upstream gives no ranges."""
    pypi.change(wheel_file.name, has_metadata=False)
    pypi.fail(wheel_file.path, "no_ranges")
    files(live, "demo")
    assert download(live, "demo", wheel_file.name).data == wheel_file.data
    pypi.add(*wheel("demo", "1.1"))
    clock.wait(seconds=601)
    told = eventually(lambda: (clock.wait(seconds=1), offered(live, wheel_file.name))[1], bool)
    assert told == wheel_file.metadata_hash
    assert download(live, "demo", f"{wheel_file.name}.metadata").data == wheel_file.metadata


@pytest.mark.parametrize("ranges", ["", "no_ranges"], ids=["with ranges", "without ranges"])
def test_announced_metadata_that_upstream_lacks(live: Live, pypi: FakePypi, wheel_file: Upload, ranges: str) -> None:
    """A 404 for announced metadata is a hard failure of pip and uv: it comes out of the wheel instead."""
    files(live, "demo")
    pypi.fail(f"{wheel_file.path}.metadata", "404")
    if ranges:
        pypi.fail(wheel_file.path, ranges)
    answer = download(live, "demo", f"{wheel_file.name}.metadata")
    assert (answer.status, answer.data) == (200, wheel_file.metadata)
    if not ranges:
        assert pypi.sent[wheel_file.path] < len(wheel_file.data) / 4


def test_metadata_that_is_not_what_was_announced(live: Live, pypi: FakePypi, wheel_file: Upload) -> None:
    """Other bytes than the hash says are not passed on; the wheel has the right ones."""
    files(live, "demo")
    pypi.fail(f"{wheel_file.path}.metadata", "wrong_bytes")
    assert download(live, "demo", f"{wheel_file.name}.metadata").data == wheel_file.metadata


def test_a_wrong_hash_of_metadata(live: Live, pypi: FakePypi, wheel_file: Upload) -> None:
    """Where neither upstream's document nor the wheel's has the announced hash, nothing wrong is served or kept."""
    pypi.change(wheel_file.name, metadata_hash="0" * 64)
    files(live, "demo")
    answer = download(live, "demo", f"{wheel_file.name}.metadata")
    assert (answer.status, answer.data.count(b"\n")) == (502, 1)
    assert stored(live) == 0


def test_what_is_offered_can_be_had(live: Live, pypi: FakePypi, clock: Clock) -> None:
    """Each file and each metadata document of a page with all kinds of files, by its hash, now and at a date."""
    pypi.add(*wheel("demo", "1.0"), uploaded=SPRING)
    pypi.add(*wheel("demo", "1.1"), uploaded=SPRING, has_metadata=False)
    pypi.add(*sdist("demo", "1.1"), uploaded=SPRING)
    pypi.add(*sdist("demo", "1.2", is_zip=True), uploaded=SPRING)
    pypi.add("demo-1.3-py3-none-any.whl", b"not a wheel", uploaded=SPRING, project="demo", has_metadata=False)
    files(live, "demo")
    read_metadata(live)
    assert offered(live, "demo-1.1-py3-none-any.whl")
    for snapshot in ("latest", "2023-05-01"):
        found = files(live, "demo", snapshot)
        assert len(found) == 5
        for name, file in found.items():
            path = path_of(file["url"], project="demo", snapshot=snapshot)
            answer = live.get(path)
            assert (answer.status, hashlib.sha256(answer.data).hexdigest()) == (200, file["hashes"]["sha256"])
            assert file["size"] == len(answer.data)
            document = live.get(f"{path}.metadata")
            if told := file.get("core-metadata"):
                assert (document.status, hashlib.sha256(document.data).hexdigest()) == (200, told["sha256"]), name
            else:
                assert document.status == 404, name
    check_store_soon(live.app)


def test_a_damaged_wheel_does_not_stop_the_rest(live: Live, pypi: FakePypi, clock: Clock, wheel_file: Upload) -> None:
    """Metadata that can't be read out of one wheel is not tried for ever, and the next wheels have theirs."""
    broken = pypi.add("demo-2.0-py3-none-any.whl", b"PK not a wheel" * 99, uploaded=SPRING, has_metadata=False)
    good = pypi.change(wheel_file.name, has_metadata=False)
    files(live, "demo")
    read_metadata(live)
    assert offered(live, good.name) == good.metadata_hash
    assert offered(live, broken.name) is None
    asked = pypi.count(broken.path)
    read_metadata(live)
    assert pypi.count(broken.path) == asked


def test_a_file_below_the_servers_own_folder(live: Live, pypi: FakePypi, wheel_file: Upload) -> None:
    """`/packages/REPOSITORY/SNAPSHOT/PROJECT/FILE`, as the JSON API names it, is the same file."""
    told = json.loads(live.get("/pypi/latest/pypi/demo/json").data)
    (url,) = {each["url"] for each in told["urls"] if each["filename"] == wheel_file.name}
    assert url == f"{live.address}/packages/pypi/latest/demo/{wheel_file.name}"
    assert live.get(url.removeprefix(live.address)).data == wheel_file.data
    assert live.get(f"/packages/pypi/latest/{wheel_file.name}").status == 404
