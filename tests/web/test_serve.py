"""What package clients get over HTTP: indexes, files, conditional requests, ranges, refusals."""

from __future__ import annotations

import gzip
import hashlib
import http.client

import pytest

from tests.support.archives import make_source_package
from tests.support.server import Live

DEMO = make_source_package("demo", "1.0")
DEMO2 = make_source_package("demo", "2.0")
FIXED = "public, max-age=31536000, immutable"


@pytest.fixture
def site(live: Live) -> Live:
    """Repository `mine` over source `internal`: demo 1.0 is added by transaction 4, demo 2.0 by 5."""
    for path, body in (
        ("/sources", {"name": "internal"}),
        ("/repos", {"name": "mine"}),
        ("/repos/mine/sources", {"source": "internal"}),
    ):
        assert live.api("POST", path, body)[0] in (200, 201)
    assert live.upload("internal", ("demo_1.0.tar.gz", DEMO))[1]["transaction"] == 4
    assert live.upload("internal", ("demo_2.0.tar.gz", DEMO2))[1]["transaction"] == 5
    return live


def test_the_three_indexes_agree(site: Live) -> None:
    """PACKAGES, .gz and .rds are there, with the media types that clients want."""
    plain = site.get("/mine/latest/src/contrib/PACKAGES")
    packed = site.get("/mine/latest/src/contrib/PACKAGES.gz")
    rds = site.get("/mine/latest/src/contrib/PACKAGES.rds")
    assert [r.status for r in (plain, packed, rds)] == [200, 200, 200]
    assert gzip.decompress(packed.data) == plain.data
    assert "Content-Encoding" not in packed.headers
    assert plain.headers["Content-Type"] == "text/plain; charset=utf-8"
    text = plain.data.decode()
    assert f"Package: demo\nVersion: 2.0\n" in text  # noqa: F541
    assert f"MD5sum: {hashlib.md5(DEMO2).hexdigest()}\n" in text
    assert f"SHA256: {hashlib.sha256(DEMO2).hexdigest()}\n" in text
    assert f"Filesize: {len(DEMO2)}\n" in text
    assert "Version: 1.0" not in text
    assert rds.data[:2] == b"\x1f\x8b"


def test_every_answer_is_recognised_as_the_products(site: Live) -> None:
    """Clients recognise the server by its X-Repository-Type, on hits and on misses."""
    for path in ("/mine/latest/src/contrib/PACKAGES", "/mine/latest/src/contrib/no_1.0.tar.gz", "/nope/latest/x"):
        assert site.get(path).headers["X-Repository-Type"] == "RSPM"


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("demo_2.0.tar.gz", DEMO2),
        ("demo_1.0.tar.gz", DEMO),
        ("Archive/demo/demo_1.0.tar.gz", DEMO),
        ("Archive/demo/demo_2.0.tar.gz", DEMO2),
        ("archive/demo/demo_1.0.tar.gz", DEMO),
    ],
)
def test_both_paths_answer_for_every_version(site: Live, path: str, data: bytes) -> None:
    """A current version answers in the archive and an archived one beside the current ones, byte for byte."""
    response = site.get(f"/mine/latest/src/contrib/{path}")
    assert (response.status, response.data) == (200, data)
    assert response.headers["Content-Length"] == str(len(data))
    assert response.headers["Content-Type"] == "application/gzip"


def test_old_snapshots_show_what_was(site: Live) -> None:
    """At the transaction of the first add there is 1.0 alone; 2.0 is refused there."""
    index = site.get("/mine/4/src/contrib/PACKAGES")
    assert b"Version: 1.0" in index.data
    assert index.headers["Cache-Control"] == FIXED
    assert site.get("/mine/4/src/contrib/demo_2.0.tar.gz").status == 404
    assert site.get("/mine/4/src/contrib/demo_1.0.tar.gz").headers["Cache-Control"] == FIXED


def test_latest_is_kept_briefly(site: Live) -> None:
    """What moves is told to be kept briefly."""
    assert site.get("/mine/latest/src/contrib/PACKAGES").headers["Cache-Control"] == "public, max-age=60"


@pytest.mark.parametrize(
    "path", ["PACKAGES", "PACKAGES.gz", "PACKAGES.rds", "Meta/archive.rds", "Meta/current.rds", "demo_2.0.tar.gz"]
)
def test_conditional_requests_heads_and_ranges(site: Live, path: str) -> None:
    """Every entity has a strong ETag, answers 304 to it, gives HEAD the same headers, and serves ranges."""
    url = f"/mine/latest/src/contrib/{path}"
    whole = site.get(url)
    etag = whole.headers["ETag"]
    assert etag.startswith('"')
    unchanged = site.get(url, If_None_Match=f'"other", {etag}')
    assert (unchanged.status, unchanged.data, unchanged.headers["ETag"]) == (304, b"", etag)
    assert site.get(url, If_None_Match='"other"').status == 200
    head = site.get(url, "HEAD")
    assert (head.status, head.data) == (200, b"")
    assert {k: v for k, v in head.headers.items() if k != "date"} == {
        k: v for k, v in whole.headers.items() if k != "date"
    }
    assert "Last-Modified" in whole.headers
    part = site.get(url, Range="bytes=5-9")
    assert (part.status, part.data) == (206, whole.data[5:10])
    assert part.headers["Content-Range"] == f"bytes 5-9/{len(whole.data)}"
    assert site.get(url, Range="bytes=-4").data == whole.data[-4:]
    assert site.get(url, Range="bytes=3-").data == whole.data[3:]
    beyond = site.get(url, Range=f"bytes={len(whole.data)}-")
    assert (beyond.status, beyond.headers["Content-Range"]) == (416, f"bytes */{len(whole.data)}")
    assert site.get(url, Range="bytes=0-1", If_Range='"other"').status == 200


def test_files_honour_if_modified_since(site: Live) -> None:
    """A file never changes under its date; an index may, within a second, so it listens to ETags alone."""
    file = site.get("/mine/latest/src/contrib/demo_2.0.tar.gz")
    assert (
        site.get("/mine/latest/src/contrib/demo_2.0.tar.gz", If_Modified_Since=file.headers["Last-Modified"]).status
        == 304
    )
    index = site.get("/mine/latest/src/contrib/PACKAGES")
    assert site.get("/mine/latest/src/contrib/PACKAGES", If_Modified_Since=index.headers["Last-Modified"]).status == 200


def test_a_compressed_twin_for_those_who_ask(live: Live) -> None:
    """A large plain index comes compressed to a client that accepts gzip, with an ETag of its own."""
    live.api("POST", "/sources", {"name": "many"})
    live.api("POST", "/repos", {"name": "r"})
    live.api("POST", "/repos/r/sources", {"source": "many"})
    files = [(f"p{n}_1.0.tar.gz", make_source_package(f"p{n}", "1.0")) for n in range(10)]
    assert live.upload("many", *files)[0] == 200
    plain = live.get("/r/latest/src/contrib/PACKAGES")
    packed = live.get("/r/latest/src/contrib/PACKAGES", Accept_Encoding="gzip, deflate")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["Vary"] == "accept-encoding"
    assert gzip.decompress(packed.data) == plain.data
    assert packed.headers["ETag"] != plain.headers["ETag"]
    assert live.get("/r/latest/src/contrib/PACKAGES", Accept_Encoding="gzip;q=0").data == plain.data


def test_an_empty_repository_has_empty_indexes(live: Live) -> None:
    """A repository without packages is no error."""
    live.api("POST", "/repos", {"name": "none"})
    for path in ("PACKAGES", "PACKAGES.gz", "PACKAGES.rds", "Meta/archive.rds"):
        assert live.get(f"/none/latest/src/contrib/{path}").status == 200
    assert live.get("/none/latest/src/contrib/PACKAGES").data.strip() == b""


@pytest.mark.parametrize(
    "path",
    [
        "/nope/latest/src/contrib/PACKAGES",
        "/mine/soon/src/contrib/PACKAGES",
        "/mine/2024-13-01/src/contrib/PACKAGES",
        "/mine/999/src/contrib/PACKAGES",
        "/mine/0/src/contrib/PACKAGES",
        "/mine/latest/src/contrib/PACKAGES.xz",
        "/mine/latest/src/contrib/nope_1.0.tar.gz",
        "/mine/latest/src/contrib/demo_9.9.tar.gz",
        "/mine/latest/src/contrib/Archive/other/demo_1.0.tar.gz",
        "/mine/latest/src/contrib/../contrib/PACKAGES",
        "/mine/latest//src/contrib/PACKAGES",
        "/mine/latest/src%2fcontrib/PACKAGES",
        "/mine/latest/src/contrib/%2e%2e/contrib/PACKAGES",
        "/mine/latest/bin/windows/contrib/4.2/PACKAGES",
        "/mine/latest/src/contrib/demo_2.0.tar.gz%00",
    ],
)
def test_what_is_not_there_is_404_in_one_line(site: Live, path: str) -> None:
    """Unknown repositories, snapshots, packages and odd paths: 404 and one readable line."""
    connection = http.client.HTTPConnection(site.address.removeprefix("http://"))
    try:
        connection.request("GET", path)  # as it is; other clients would tidy it up
        response = connection.getresponse()
        body = response.read().decode()
    finally:
        connection.close()
    assert (response.status, response.headers["Content-Type"]) == (404, "text/plain; charset=utf-8")
    assert body.count("\n") == 1


def test_a_date_names_the_range(site: Live) -> None:
    """Today is refused with words; tomorrow, today is served and stays as it is."""
    refused = site.get("/mine/2024-03-01/src/contrib/PACKAGES")
    assert refused.status == 404
    site.app.clock.wait(days=1)  # type: ignore[attr-defined]
    served = site.get("/mine/2024-03-01/src/contrib/PACKAGES")
    assert served.status == 200
    assert served.data == site.get("/mine/5/src/contrib/PACKAGES").data
    assert "the days 2024-03-01 to 2024-03-01" in site.get("/mine/2024-03-02/src/contrib/PACKAGES").data.decode()
    assert site.upload("internal", ("demo_3.0.tar.gz", make_source_package("demo", "3.0")))[0] == 200
    again = site.get("/mine/2024-03-01/src/contrib/PACKAGES")
    assert (again.data, again.headers["ETag"]) == (served.data, served.headers["ETag"])


@pytest.mark.parametrize("end", ["delete", "rename"])
def test_a_name_given_anew_does_not_answer_for_the_old_one(site: Live, end: str) -> None:
    """The URLs of a repository that was deleted or renamed are not answered by a later one of its name."""
    if end == "delete":
        site.api("DELETE", "/repos/mine")
    else:
        assert site.api("PATCH", "/repos/mine", {"name": "ours"})[0] == 200
        assert site.get("/ours/5/src/contrib/PACKAGES").status == 200
    site.api("POST", "/repos", {"name": "mine"})
    site.api("POST", "/repos/mine/sources", {"source": "internal"})
    assert site.get("/mine/latest/src/contrib/PACKAGES").status == 200
    assert site.get("/mine/5/src/contrib/PACKAGES").status == 404


def test_the_root_of_a_repository_answers(site: Live) -> None:
    """renv reads the root of a repository's URL."""
    for path in ("/mine", "/mine/", "/mine/latest", "/mine/latest/", "/mine/5"):
        assert site.get(path).status == 200


def test_writing_methods_are_refused(site: Live) -> None:
    """Packages are read with GET and HEAD."""
    response = site.get("/mine/latest/src/contrib/PACKAGES", "DELETE")
    assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")


def test_ping(live: Live) -> None:
    """The probe for load balancers."""
    assert (live.get("/__ping__").status, live.get("/__ping__").data) == (200, b"pong\n")


def test_precedence_and_the_old_order_at_the_old_transaction(site: Live) -> None:
    """Of two sources with one name the first wins in listing and download; after a reorder the other, and the old
    transaction keeps the old order."""
    other = make_source_package("demo", "9.0")
    site.api("POST", "/sources", {"name": "second"})
    assert site.upload("second", ("demo_9.0.tar.gz", other))[0] == 200
    site.api("POST", "/repos/mine/sources", {"source": "second"})
    before = site.api("GET", "/transactions/7")[1]["id"]
    assert b"Version: 2.0" in site.get("/mine/latest/src/contrib/PACKAGES").data
    assert site.get("/mine/latest/src/contrib/demo_9.0.tar.gz").status == 404
    status, repo = site.api("PUT", "/repos/mine/sources", {"sources": ["second", "internal"]})
    assert (status, repo["sources"]) == (200, ["second", "internal"])
    assert b"Version: 9.0" in site.get("/mine/latest/src/contrib/PACKAGES").data
    assert site.get("/mine/latest/src/contrib/demo_9.0.tar.gz").data == other
    assert site.get("/mine/latest/src/contrib/Archive/demo/demo_1.0.tar.gz").status == 404
    assert b"Version: 2.0" in site.get(f"/mine/{before}/src/contrib/PACKAGES").data
    assert site.get(f"/mine/{before}/src/contrib/demo_9.0.tar.gz").status == 404


def test_meta_files_are_rds(site: Live) -> None:
    """The archive's index tells the archived version (R itself reads it in the client tests)."""
    from entrepot.ecosystems.r import archive

    rows = archive.parse_archive(site.get("/mine/latest/src/contrib/Meta/archive.rds").data)
    assert [(row.package, row.version, row.size) for row in rows] == [("demo", "1.0", len(DEMO))]
    current = archive.parse_current(site.get("/mine/latest/src/contrib/Meta/current.rds").data)
    assert list(current) == ["demo_2.0.tar.gz"]
