"""Binary packages over HTTP: given at the addresses of source packages where they fit, and said so in each answer."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from tests.support.archives import make_source_package
from tests.support.binaries import ARM64, X86_64, make_binary
from tests.support.server import Live

SOURCE = make_source_package("demo", "1.0")
PURE = make_source_package("pure", "1.0")
BINARY = make_binary("demo", "1.0", platform=X86_64)
PURE_BINARY = make_binary("pure", "1.0")
WINDOWS = make_binary("demo", "1.0", suffix=".zip", r="4.4.1")
R42 = "R (4.2.2 x86_64-pc-linux-gnu x86_64 linux-gnu)"
R44 = "R (4.4.1 x86_64-pc-linux-gnu x86_64 linux-gnu)"
ARM = "R (4.2.2 aarch64-unknown-linux-gnu aarch64 linux-gnu)"
DEMO = "src/contrib/demo_1.0.tar.gz"
LINUX = "/mine/__linux__/bookworm/latest/"
pytestmark = pytest.mark.one_shape


def add_binary(live: Live, name: str, data: bytes, **fields: str) -> dict[str, Any]:
    answer = live.pool.request(
        "POST",
        f"{live.address}/__api__/sources/internal/binaries",
        headers={"Authorization": f"Bearer {live.token}"},
        fields=[("files", (name, data, "application/gzip")), *fields.items()],
    )
    assert answer.status == 200, answer.data
    added: dict[str, Any] = answer.json()
    return added


@pytest.fixture
def site(live: Live) -> Live:
    """Repository `mine` over `internal`: demo and pure 1.0 by transaction 4, then their binaries for bookworm."""
    for path, body in (
        ("/sources", {"name": "internal"}),
        ("/repos", {"name": "mine"}),
        ("/repos/mine/sources", {"source": "internal"}),
    ):
        assert live.api("POST", path, body)[0] in (200, 201)
    files = [("demo_1.0.tar.gz", SOURCE), ("pure_1.0.tar.gz", PURE)]
    assert live.upload("internal", *files)[1]["transaction"] == 4
    added = add_binary(live, f"demo_1.0_R_{X86_64}.tar.gz", BINARY, distribution="bookworm")
    assert added["platform"] == {
        "os": "linux",
        "distribution": "bookworm",
        "r_version": "4.2",
        "arch": "x86_64",
        "binary_tag": "4.2-bookworm",
    }
    add_binary(live, "pure_1.0.tar.gz", PURE_BINARY, distribution="debian12")
    return live


def counted(live: Live, metric: str) -> float:
    lines = live.get("/metrics").data.decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(metric))


CASES = [
    (LINUX + DEMO, R42, "4.2-bookworm", None),
    (LINUX + DEMO, "R/4.2.3 " + R42, "4.2-bookworm", None),
    (LINUX + "src/contrib/Archive/demo/demo_1.0.tar.gz", R42, "4.2-bookworm", None),
    (LINUX + "src/contrib/pure_1.0.tar.gz", R42, "4.2-bookworm", None),
    (LINUX + "src/contrib/pure_1.0.tar.gz", ARM, "4.2-bookworm", None),
    (LINUX + DEMO + "?r_version=4.2&arch=x86_64", "curl/8", "4.2-bookworm", None),
    (LINUX + DEMO + "?r_version=4.2.1&arch=amd64", R44, "4.2-bookworm", None),
    (LINUX + DEMO, R44, None, "no-binary"),
    (LINUX + DEMO, ARM, None, "no-binary"),
    (LINUX + DEMO, "curl/8", None, "no-r-version"),
    (LINUX + DEMO, "", None, "no-r-version"),
    (LINUX + DEMO, "R/4.2.2", None, "unknown-architecture"),
    (LINUX + DEMO, "R (4.2.2 s390x-ibm-linux-gnu s390x linux-gnu)", None, "unknown-architecture"),
    (LINUX + DEMO + "?r_version=new", R42, None, "unknown-r-version"),
    ("/mine/__linux__/slackware/latest/" + DEMO, R42, None, "unknown-distribution"),
    ("/mine/__linux__/noble/latest/" + DEMO, R42, None, "no-binary"),
    ("/mine/__linux__/bookworm/4/" + DEMO, R42, None, "no-binary"),
]


def test_the_client_decides(site: Live) -> None:
    """A binary for that R and processor, else the source and why; the same again from memory, and for HEAD."""
    for path, agent, tag, fallback in CASES:
        told = (path, agent, tag, fallback)
        form = PURE_BINARY if "pure" in path and tag else PURE if "pure" in path else BINARY if tag else SOURCE
        metric = "entrepot_binary_routing_" + ("binary_total" if tag else f'fallback_total{{reason="{fallback}"}}')
        before = counted(site, metric)
        for method in ("GET", "GET", "HEAD"):
            answer = site.get(path, method, **{"user-agent": agent})
            assert (answer.status, answer.data) == (200, b"" if method == "HEAD" else form), told
            assert answer.headers["Content-Length"] == str(len(form)), told
            assert answer.headers["X-Package-Type"] == ("binary" if tag else "source"), told
            assert answer.headers.get("X-Package-Binary-Tag") == tag, told
            assert answer.headers.get("X-Package-Binary-Fallback") == fallback, told
            assert answer.headers["Vary"].lower() == "user-agent", told
        assert counted(site, metric) == before + 3, told


def test_each_client_its_own_from_memory(site: Live) -> None:
    """Finished answers are told apart by what of the User-Agent counts."""
    for _ in range(3):
        for agent, data in ((R42, BINARY), (R44, SOURCE), ("curl/8", SOURCE), (R42 + " libcurl/8", BINARY)):
            assert site.get(LINUX + DEMO, **{"user-agent": agent}).data == data


def test_a_long_user_agent(site: Live) -> None:
    """Of 10 kB the beginning is read; what says nothing there gets the source."""
    assert site.get(LINUX + DEMO, **{"user-agent": R42 + " x" * 5000}).data == BINARY
    long = site.get(LINUX + DEMO, **{"user-agent": "x " * 5000 + R42})
    assert (long.status, long.data) == (200, SOURCE)
    assert long.headers["X-Package-Binary-Fallback"] == "no-r-version"


def test_ranges_and_conditions(site: Live) -> None:
    """Each form has its own ETag, and a 304 for the one is none for the other."""
    binary = site.get(LINUX + DEMO, **{"user-agent": R42})
    source = site.get(LINUX + DEMO, **{"user-agent": R44})
    assert binary.headers["ETag"] != source.headers["ETag"]
    for agent, mine, other in ((R42, binary, source), (R44, source, binary)):
        headers = {"user-agent": agent, "if-none-match": mine.headers["ETag"]}
        assert site.get(LINUX + DEMO, **headers).status == 304
        headers["if-none-match"] = other.headers["ETag"]
        assert site.get(LINUX + DEMO, **headers).data == mine.data
        part = site.get(LINUX + DEMO, **{"user-agent": agent, "range": "bytes=10-19"})
        assert (part.status, part.data) == (206, mine.data[10:20])


def test_the_index_is_that_of_the_sources(site: Live) -> None:
    """Byte for byte and with its ETag, whoever asks."""
    for name in ("PACKAGES", "PACKAGES.gz", "PACKAGES.rds", "Meta/archive.rds"):
        plain = site.get(f"/mine/latest/src/contrib/{name}")
        routed = site.get(f"{LINUX}src/contrib/{name}", **{"user-agent": R42})
        assert (routed.status, routed.data, routed.headers["ETag"]) == (200, plain.data, plain.headers["ETag"])
        assert "X-Package-Type" not in routed.headers


def test_sources_stay_sources(site: Live) -> None:
    """Without `__linux__` nothing depends on the client."""
    answer = site.get("/mine/latest/" + DEMO, **{"user-agent": R42})
    assert answer.data == SOURCE
    assert answer.headers["X-Package-Type"] == "source"
    assert "Vary" not in answer.headers


def test_by_address(site: Live) -> None:
    """`bin/linux/bookworm-x86_64/4.2` is a repository in which the path alone counts."""
    base = "/mine/latest/bin/linux/bookworm-x86_64/4.2/src/contrib/"
    answer = site.get(base + "demo_1.0.tar.gz", **{"user-agent": R44})
    assert answer.data == BINARY
    assert answer.headers["X-Package-Binary-Tag"] == "4.2-bookworm"
    assert "Vary" not in answer.headers
    assert site.get(base + "PACKAGES").data == site.get("/mine/latest/src/contrib/PACKAGES").data
    arm = "/mine/latest/bin/linux/bookworm-aarch64/4.2/src/contrib/"
    assert site.get(arm + "pure_1.0.tar.gz").data == PURE_BINARY
    assert site.get(arm + "demo_1.0.tar.gz").headers["X-Package-Binary-Fallback"] == "no-binary"


def test_addresses_of_nothing_name_what_there_is(site: Live) -> None:
    """No other binaries are given for a platform that has none, and no sources."""
    for platform in ("bookworm-x86_64/4.1", "noble-x86_64/4.2", "bookworm-sparc/4.2", "x-x86_64/4.2"):
        answer = site.get(f"/mine/latest/bin/linux/{platform}/{DEMO}")
        assert answer.status == 404, platform
        assert "bin/linux/bookworm-x86_64/4.2" in answer.data.decode()


def test_the_list_of_binaries(site: Live) -> None:
    """Of a distribution and a version of R, of all architectures."""
    add_binary(site, "demo_1.0.tar.gz", make_binary("demo", "1.0", platform=ARM64), distribution="bookworm")
    packed = site.get("/mine/latest/bin/linux/4.2-bookworm/contrib/4.2/PACKAGES.gz")
    text = gzip.decompress(packed.data).decode()
    assert [line for line in text.splitlines() if line.startswith("Package")] == ["Package: demo", "Package: pure"]
    assert site.get("/mine/4/bin/linux/4.2-bookworm/contrib/4.2/PACKAGES.gz").status == 404
    assert site.get("/mine/latest/bin/linux/4.2-bookworm/contrib/4.4/PACKAGES.gz").status == 404


def test_windows(site: Live) -> None:
    """A file that was added is in the index of its folder, with how it was built; older snapshots have no folder."""
    transaction = add_binary(site, "demo_1.0.zip", WINDOWS)["transaction"]
    folder = "bin/windows/contrib/4.4"
    index = site.get(f"/mine/latest/{folder}/PACKAGES").data.decode()
    assert index.startswith("Package: demo\nVersion: 1.0\n")
    assert "Built: R 4.4.1; ; 2023-11-14 22:13:20 UTC; windows\n" in index
    file = site.get(f"/mine/{transaction}/{folder}/demo_1.0.zip")
    assert (file.status, file.data) == (200, WINDOWS)
    assert file.headers["X-Package-Binary-Tag"] == "4.4-win"
    assert site.get(f"/mine/{transaction - 1}/{folder}/PACKAGES").status == 404


def test_python_repositories_have_no_binaries(site: Live) -> None:
    """Below `__linux__` there is nothing there."""
    assert site.api("POST", "/repos", {"name": "py", "type": "python"})[0] == 201
    assert site.get("/py/__linux__/bookworm/latest/simple/").status == 404


def test_refusals_of_uploads(site: Live) -> None:
    """One file with a plain name, from who may write."""
    url = f"{site.address}/__api__/sources/internal/binaries"
    two = [("files", (f"demo_1.{n}.zip", WINDOWS, "application/zip")) for n in range(2)]
    token = {"Authorization": f"Bearer {site.token}"}
    assert site.pool.request("POST", url, headers=token, fields=two).status == 422
    assert site.pool.request("POST", url, fields=two[:1]).status == 401
    odd = [("files", ("../demo_1.0.zip", WINDOWS, "application/zip"))]
    assert site.pool.request("POST", url, headers=token, fields=odd).status == 422
    gone = site.api(
        "POST",
        "/sources/internal/binaries/remove",
        {"name": "demo", "version": "1.0", "distribution": "bookworm", "r_version": "4.2"},
    )
    assert (gone[0], gone[1][0]["platform"]["arch"]) == (200, "x86_64")
    assert site.get(LINUX + DEMO, **{"user-agent": R42}).data == SOURCE
