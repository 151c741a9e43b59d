"""Path tricks into closed repositories, over a bare socket: nothing normalises what is sent.

The oracle has three parts. No answer without a token holds a byte of what the closed repositories have; none is a
success, a 304 or an error of the server; and each is the same, but for the name, as the answer to the same trick on a
name that nobody has.
"""

from __future__ import annotations

import hashlib
import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import NamedTuple

import pytest

from tests.support.archives import make_source_package
from tests.support.distributions import wheel
from tests.support.server import Live

pytestmark = pytest.mark.one_shape

R_PACKAGE = make_source_package("quartzite", "1.0", fields={"Title": "Obsidian Behind Doors"})
WHEEL_NAME, WHEEL = wheel("quartzpy", "1.0")
R_FILE = "quartzite_1.0.tar.gz"
MARKERS = [
    b"quartz",
    b"Obsidian",
    b"basalt",
    hashlib.sha256(R_PACKAGE).hexdigest().encode(),
    hashlib.md5(R_PACKAGE).hexdigest().encode(),
    hashlib.sha256(WHEEL).hexdigest().encode(),
    R_PACKAGE[20:60],
    WHEEL[20:60],
]
"""What the closed repositories have: names, texts, digests and bytes of files."""
NOBODYS = re.compile(rb"((?<!def)aul(?=t)|(?<!b)oar(?=d)).", re.IGNORECASE)
"""The ends of `vault` and `hoard`, also where a letter before is written in another way: with `z` for the last letter
nobody has that name."""
R_INDEX, R_PATH = "/vault/latest/src/contrib/PACKAGES", f"/vault/latest/src/contrib/{R_FILE}"
PY_INDEX, PY_PATH = "/vaultpy/latest/simple/quartzpy/", f"/vaultpy/latest/packages/quartzpy/{WHEEL_NAME}"


class Answer(NamedTuple):
    """One answer as it came."""

    status: int
    head: bytes
    body: bytes


@pytest.fixture
def site(live: Live) -> Live:
    """Closed repositories `vault` and `vaultpy` over sources `hoard` and `hoardpy`; open ones `pub` and `pubpy`."""
    for kind, repo, source, is_closed in (
        ("r", "pub", "shown", False),
        ("python", "pubpy", "shownpy", False),
        ("r", "vault", "hoard", True),
        ("python", "vaultpy", "hoardpy", True),
    ):
        local = "local" if kind == "r" else "local-python"
        described = {"description": "basalt", "authenticated": True} if is_closed else {}
        assert live.api("POST", "/sources", {"name": source, "type": local})[0] == 201
        assert live.api("POST", "/repos", {"name": repo, "type": kind, **described})[0] == 201
        assert live.api("POST", f"/repos/{repo}/sources", {"source": source})[0] == 200
    for source, name, data in (
        ("hoard", R_FILE, R_PACKAGE),
        ("hoardpy", WHEEL_NAME, WHEEL),
        ("shown", "plain_1.0.tar.gz", make_source_package("plain", "1.0")),
        ("shownpy", *wheel("plain", "1.0")),
    ):
        assert live.upload(source, (name, data))[0] == 200
    return live


def send(site: Live, data: bytes, *, patience: float = 10) -> bytes:
    """What comes back until the server ends the connection, or is silent for `patience` seconds."""
    host, _, port = site.address.removeprefix("http://").partition(":")
    came = []
    with closing(socket.create_connection((host, int(port)), timeout=patience)) as connection:
        connection.sendall(data)
        try:
            while piece := connection.recv(65536):
                came.append(piece)
        except (TimeoutError, ConnectionResetError):
            pass
    return b"".join(came)


def first(site: Live, data: bytes) -> bytes:
    """The first answer on a connection that stays open."""
    host, _, port = site.address.removeprefix("http://").partition(":")
    came = b""
    with closing(socket.create_connection((host, int(port)), timeout=10)) as connection:
        connection.sendall(data)
        while not _is_whole(came, is_head=data.startswith(b"HEAD")):
            came += connection.recv(65536)
    return came


def _is_whole(came: bytes, *, is_head: bool) -> bool:
    head, blank, rest = came.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return bool(blank) and (is_head or length is None or len(rest) >= int(length[1]))


def answers(data: bytes) -> list[Answer]:
    """The answers of a connection. After a HEAD there must be no other."""
    found = []
    while data:
        head, blank, rest = data.partition(b"\r\n\r\n")
        assert blank, data[:200]
        status = int(head[9:12])
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        size = 0 if status in (204, 304) else int(length[1]) if length else len(rest)
        found.append(Answer(status, head, rest[:size]))
        data = rest[size:]
    return found


def request(target: str, *, method: str = "GET", protocol: str = "HTTP/1.1", headers: Iterable[str] = ()) -> bytes:
    lines = [f"{method} {target} {protocol}", "Host: localhost", "Connection: close", *headers]
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1") + b"\r\n"


def with_token(site: Live) -> str:
    return f"Authorization: Bearer {site.token}"


def of_nobody(text: bytes) -> bytes:
    """The same about names that nobody has."""
    return NOBODYS.sub(rb"\1z", text)


def _plain(came: bytes) -> bytes:
    """An answer without what differs from one second to the next."""
    return re.sub(rb"(?im)^date:.*\r\n", b"", came)


def faults(site: Live, data: bytes, *, patience: float = 10, is_twin: bool = True, is_fair: bool = True) -> list[str]:
    """What is wrong with the answer to a request without a token.

    Args:
        is_twin: whether the same on a name that nobody has is compared.
        is_fair: whether every success is a fault; else those alone that tell of what is closed.
    """
    came = send(site, data, patience=patience)
    found = [f"{data!r} tells {marker!r}" for marker in MARKERS if marker in came and marker not in data]
    statuses = [int(status) for status in re.findall(rb"(?m)^HTTP/1\.1 (\d{3}) ", came)]
    if not statuses:
        found.append(f"{data!r} has no answer")
    for status in statuses:
        if status >= 500 or (is_fair and status in (200, 206, 304)):
            found.append(f"{data!r} is answered {status}")
    if is_twin:
        other = send(site, of_nobody(data), patience=patience)
        if of_nobody(_plain(came)) != _plain(other):
            found.append(f"{data!r}: {came!r} differs from {other!r}")
    return found


def _spelled(path: str) -> Iterator[str]:
    """A path in all the ways in which a parser may take it for another."""
    repo, rest = path.removeprefix("/").split("/", 1)
    yield path
    for before in ("/", "/.", "/x/..", "/pub/..", "/pub/latest/..", "/pub/latest/../..", "/__ping__/..", "/metrics/.."):
        yield before + path
    for before in ("/%2e", "/%2E%2E", "/pub/%2e%2e", "/pub/.%2e", "/pub%2f..", "/pub%2f%2e%2e", "/pub/%252e%252e"):
        yield before + path
    for before in ("/pub/..;", "/pub;x=1/..", "/pub/%c0%ae%c0%ae", "/pub/%e0%80%ae%e0%80%ae", "/pub\\..", "/pub%5c.."):
        yield before + path
    for before in ("/%2f", "/%5c", "/;", "/%00", "/%20", "/__api__/..", "/__api__/%2e%2e", "/upload/..", "/__files__"):
        yield before + path
    for name in (repo.upper(), repo.title(), f"{repo}.", f"{repo}..", f"{repo}%20", f"%20{repo}", f"{repo}%2e"):
        yield f"/{name}/{rest}"
    for name in (
        f"{repo};x",
        f"{repo}%3bx",
        f"{repo}%00",
        f"{repo}%00.html",
        f"{repo}%0a",
        f"{repo}%0d%0a",
        f"{repo}%09",
    ):
        yield f"/{name}/{rest}"
    for name in (f"%{ord(repo[0]):02x}{repo[1:]}", f"%25{ord(repo[0]):02x}{repo[1:]}", f"%c1%b6{repo[1:]}"):
        yield f"/{name}/{rest}"
    for name in (
        f"%ef%bd%96{repo[1:]}",
        f"{repo}%ef%bc%8f",
        f"{repo}%e2%80%8b",
        f"{repo}%cc%88",
        f"{repo}\xa0",
        f"{repo}\xe9",
    ):
        yield f"/{name}/{rest}"
    for name in (
        f"{repo}%2f",
        f"{repo}%2flatest",
        f"{repo}%5c",
        f"{repo}\\",
        f"{repo}/",
        f"{repo}/.",
        f"{repo}//latest/..",
    ):
        yield f"/{name}/{rest}"
    for instead in ("%2f", "%2F", "%252f", "\\", "%5c", "//", "/./", "%ef%bc%8f", "%c0%af"):
        yield "/" + f"{repo}/{rest}".replace("/", instead)
    for after in (
        "/",
        "//",
        ".",
        "%20",
        "%2e",
        "%00",
        ";x",
        "?",
        "?x=1",
        "?%00",
        "%3f",
        "/..",
        "/.",
        "%0a",
        "#x",
        "/%2e%2e/x",
    ):
        yield path + after


ELSEWHERE = [
    f"/packages/vaultpy/latest/quartzpy/{WHEEL_NAME}",
    f"/packages//vaultpy/latest/quartzpy/{WHEEL_NAME}",
    f"/packages/vaultpy/latest/%71uartzpy/{WHEEL_NAME}",
    f"/packages/%2e%2e/vaultpy/latest/packages/quartzpy/{WHEEL_NAME}",
    f"/vaultpy/latest/packages/quartzpy/{WHEEL_NAME}.metadata",
    "/vaultpy/latest/simple/",
    "/vaultpy/latest/pypi/quartzpy/json",
    "/vaultpy/2024-03-01/simple/quartzpy/",
    "/vaultpy/1/simple/",
    "/vaultpy/0/simple/",
    "/vaultpy/9999999999999999999999/simple/",
    "/vaultpy/-1/simple/",
    "/vault",
    "/vault/",
    "/vault/latest",
    "/vault/latest/",
    "/vault/2024-03-01/src/contrib/PACKAGES.rds",
    "/vault/latest/src/contrib/PACKAGES.gz",
    "/vault/latest/src/contrib/Meta/archive.rds",
    f"/vault/latest/src/contrib/Archive/quartzite/{R_FILE}",
    "/vault/packages",
    "/vault/config.yaml",
    "/__linux__/vault/latest/src/contrib/PACKAGES",
    "/__linux__/bookworm/vault/latest/src/contrib/PACKAGES",
    "/vault/__linux__/bookworm/latest/src/contrib/PACKAGES",
    f"/vault/__linux__/bookworm/latest/src/contrib/{R_FILE}",
    f"/vault/__linux__/bookworm/latest/src/contrib/{R_FILE}?r_version=4.4&arch=x86_64",
    "/vault/__linux__/%2e%2e/latest/src/contrib/PACKAGES",
    "/vault/__linux__/bookworm-x86_64-4.4/latest/src/contrib/PACKAGES",
    "/vault/__LINUX__/bookworm/latest/src/contrib/PACKAGES",
    "/vault/latest/bin/linux/4.4-bookworm/contrib/4.4/PACKAGES",
    "/vault/latest/bin/windows/contrib/4.4/PACKAGES",
    "/vault/__linux__",
]
"""Other paths of the closed repositories."""


def check(site: Live, requests: Iterable[bytes], *, is_fair: bool = True, is_twin: bool = True) -> None:
    found = [fault for data in requests for fault in faults(site, data, is_fair=is_fair, is_twin=is_twin)]
    assert found == []


def test_with_a_token_the_same_paths_are_there(site: Live) -> None:
    """What the tricks below look for can be had, so that they could find it."""
    for path in (R_INDEX, R_PATH, PY_INDEX, PY_PATH, ELSEWHERE[0], "/vault/latest"):
        (answer,) = answers(send(site, request(path, headers=[with_token(site)])))
        assert answer.status == 200, path
        assert any(marker in answer.body for marker in MARKERS), path


@pytest.mark.parametrize("path", [R_INDEX, R_PATH, PY_INDEX, PY_PATH])
def test_no_spelling_of_a_path_leads_in(site: Live, path: str) -> None:
    """However a path into a closed repository is written, it is refused, as for a name that nobody has."""
    check(site, map(request, _spelled(path)))


def test_no_other_place_leads_in(site: Live) -> None:
    """Dated snapshots, the places of binary packages, files below the server's own folder: all are refused."""
    check(site, map(request, ELSEWHERE))


def test_kept_answers_are_for_those_with_a_token_alone(site: Live) -> None:
    """After somebody with a token had everything, which is kept now, nobody without one gets any of it."""
    paths = [R_INDEX, R_PATH, PY_INDEX, PY_PATH, *ELSEWHERE]
    for path in paths * 2:
        send(site, request(path, headers=[with_token(site)]))
        send(site, request(path, headers=[with_token(site), "Accept: application/vnd.pypi.simple.v1+json"]))
    assert R_INDEX.encode() in site.hot
    assert PY_INDEX.encode() in site.hot
    accepts = ["text/html", "application/vnd.pypi.simple.v1+json", "application/vnd.pypi.simple.v1+html", "*/*", "x"]
    check(site, [request(path, headers=[f"Accept: {accept}"]) for path in paths for accept in accepts])
    # Alone on a connection that stays open, which is how finished answers are given out.
    for path in paths:
        for method in ("GET", "HEAD"):
            data = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
            found = first(site, data)
            assert int(found[9:12]) in (401, 404), path
            assert of_nobody(_plain(found)) == _plain(first(site, of_nobody(data))), path
    spelled = [trick for path in (R_INDEX, PY_INDEX) for trick in _spelled(path)]
    check(site, map(request, spelled), is_twin=False)


def test_no_condition_or_range_tells_that_a_file_is_there(site: Live) -> None:
    """Neither 304 nor 206 nor 416, with the very ETag and time of the file, by any method."""
    headers = ["Range: bytes=0-10", "Range: bytes=-1", "Range: bytes=99999999-", "If-None-Match: *", "If-Match: *"]
    headers += [
        "If-Modified-Since: Wed, 01 Jan 2098 00:00:00 GMT",
        "If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT",
    ]
    for path in (R_INDEX, R_PATH, PY_INDEX, PY_PATH):
        (answer,) = answers(send(site, request(path, headers=[with_token(site)])))
        etag = re.search(rb"(?i)\r\netag: (\S+)", answer.head)
        assert etag is not None
        told = etag[1].decode()
        own = [f"If-None-Match: {told}", f"If-None-Match: W/{told}", f"If-Range: {told}\r\nRange: bytes=0-10"]
        check(site, [request(path, method=method, headers=[h]) for h in headers + own for method in ("GET", "HEAD")])


def test_no_method_leads_in(site: Live) -> None:
    """A method that isn't there is refused in the same words everywhere."""
    methods = [
        "HEAD",
        "OPTIONS",
        "POST",
        "PUT",
        "PATCH",
        "DELETE",
        "TRACE",
        "PROPFIND",
        "COPY",
        "SEARCH",
        "PURGE",
        "LOCK",
    ]
    check(site, [request(path, method=method) for method in methods for path in (R_INDEX, R_PATH, PY_PATH)])


def test_no_header_of_a_front_server_leads_in(site: Live) -> None:
    """Headers that name another path, method, host or sender are not believed."""
    told = [f"{name}: {R_INDEX}" for name in ("X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Path", "Referer")]
    told += [
        "X-HTTP-Method-Override: GET",
        "X-Forwarded-Prefix: /pub",
        "X-Script-Name: /pub",
        "X-Forwarded-User: admin",
    ]
    told += [
        "X-Forwarded-For: 127.0.0.1",
        "X-Real-IP: ::1",
        "Forwarded: for=127.0.0.1",
        "Host: pub",
        "Remote-User: admin",
    ]
    told += [
        "Cookie: entrepot_session=x",
        "Cookie: entrepot_session=; __Host-entrepot_session=",
        "Proxy-Authorization: Basic eDp4",
    ]
    check(site, [request(R_INDEX, headers=[header]) for header in told])
    check(site, [request("/pub/latest/src/contrib/PACKAGES", headers=[header]) for header in told], is_fair=False)


def test_no_form_of_a_request_line_leads_in(site: Live) -> None:
    """Absolute targets, other versions of HTTP, `*`, an authority, bare words: refused, or as the usual form."""
    targets = [f"http://localhost{R_INDEX}", f"http://a:b@localhost{R_INDEX}", f"https://localhost{R_INDEX}"]
    targets += [
        f"http://[::1]{R_INDEX}",
        f"ftp://localhost{R_INDEX}",
        f"http:{R_INDEX}",
        f"http:/{R_INDEX}",
        "vault/latest",
    ]
    targets += [
        f"//localhost{R_INDEX}",
        f"?{R_INDEX}",
        f"/?{R_INDEX}",
        "*",
        "/*",
        "vault:80",
        "http://vault",
        "http://",
    ]
    for target in targets:
        check(site, [request(target)], is_fair="?" not in target, is_twin=target not in ("http://",))
        check(site, [request(target, method="OPTIONS")], is_fair=False)
    for protocol in ("HTTP/1.0", "HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "HTTP/3", "ICY", ""):
        check(site, [request(R_INDEX, protocol=protocol)])
    check(
        site, [b"GET " + R_INDEX.encode() + b"\r\n\r\n", b"GET\t" + R_INDEX.encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n"]
    )


def test_no_login_carries_over_on_a_connection(site: Live) -> None:
    """A request with a token and one without on the same connection, in one piece: the second is refused."""
    for path in (R_INDEX, R_PATH, PY_INDEX, PY_PATH):
        allowed = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{with_token(site)}\r\n\r\n".encode()
        for data in (allowed + request(path), allowed * 3 + request(path)):
            *first, last = answers(send(site, data))
            assert [answer.status for answer in first] == [200] * (len(data.split(b"GET ")) - 2)
            assert last.status == 401


def test_no_login_carries_over_to_a_later_request(site: Live) -> None:
    """The same where the second request comes after the first was answered."""
    host, _, port = site.address.removeprefix("http://").partition(":")
    for path in (R_INDEX, PY_PATH):
        with closing(socket.create_connection((host, int(port)), timeout=10)) as connection:
            for header, status in ((with_token(site) + "\r\n", b"200"), ("", b"401"), ("", b"401")):
                connection.sendall(f"HEAD {path} HTTP/1.1\r\nHost: localhost\r\n{header}\r\n".encode())
                head = b""
                while b"\r\n\r\n" not in head:
                    head += connection.recv(65536)
                    if status == b"401" and b"content-length" in head:
                        break
                assert head[9:12] == status


def test_an_open_request_before_a_closed_one_opens_nothing(site: Live) -> None:
    """Pipelined behind requests for an open repository, the closed one is refused."""
    shown = b"GET /pub/latest/src/contrib/PACKAGES HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for count in (1, 5):
        for _ in range(2):  # the second time the open answer is a kept one
            *first, last = answers(send(site, shown * count + request(R_INDEX)))
            assert [answer.status for answer in first] == [200] * count
            assert last.status == 401


def test_smuggled_requests_get_no_more_than_others(site: Live) -> None:
    """Bodies of which two parsers may see different ends hide nothing that gets in: each part is judged by itself."""
    inner = f"GET {R_INDEX} HTTP/1.1\r\nHost: localhost\r\n\r\n"
    chunk = f"{len(inner):x}\r\n{inner}\r\n0\r\n\r\n"
    heads = [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding:\tchunked",
        "Transfer-Encoding:\x0bchunked",
        "Transfer-Encoding: chunked, identity",
        "X: y\r\n Transfer-Encoding: chunked",
        "Transfer-Encoding:\r\n chunked",
        f"Content-Length: 0\r\nContent-Length: {len(inner)}",
        f"Content-Length: {len(inner)}\r\nContent-Length: 0",
        "Content-Length: 0, 4",
        "Content-Length: +4",
        "Content-Length: 0x4",
        "Content-Length: -1",
        "Content-Length : 0",
        f"Content-Length: {2**64 + 4}",
        "Content-Length:\r\n 0",
        f"{with_token(site)}\nX: y",
    ]
    found = []
    for method in ("GET", "POST"):
        for head in heads:
            for body in (inner, f"0\r\n\r\n{inner}", chunk):
                data = f"{method} /pub/latest HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n{body}".encode("latin-1")
                found += faults(site, data, patience=0.2, is_twin=False, is_fair=False)
    assert [fault for fault in found if "no answer" not in fault] == []


def test_odd_heads_lead_nowhere(site: Live) -> None:
    """Line ends, blanks and colons in odd places, and a second Host."""
    lines = [
        f"GET {R_INDEX} HTTP/1.1\nHost: localhost\nConnection: close\n\n",
        f"\r\n\r\nGET {R_INDEX} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        f"GET {R_INDEX} HTTP/1.1\r\nHost: localhost\r\nHost: pub\r\nConnection: close\r\n\r\n",
        f"GET {R_INDEX} HTTP/1.1\r\nConnection: close\r\n\r\n",
        f"GET  {R_INDEX} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        f" GET {R_INDEX} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        f"get {R_INDEX} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        f"GET {R_INDEX} HTTP/1.1\r\nHost: localhost\r\nAuthorization: \r\nConnection: close\r\n\r\n",
        f"GET {R_INDEX} HTTP/1.1\r\nHost: localhost\r\nAuthorization:Bearer\r\nConnection: close\r\n\r\n",
        f"GET {R_INDEX} HTTP/1.1\r\n: x\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        f"GET {R_INDEX} HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ]
    found = [fault for line in lines for fault in faults(site, line.encode(), patience=1)]
    assert [fault for fault in found if "no answer" not in fault] == []


def test_another_repositorys_files_are_not_had_through_an_open_one(site: Live) -> None:
    """Neither by their names nor by their hashes: an open repository gives what its own index lists."""
    sha, md5 = hashlib.sha256(WHEEL).hexdigest(), hashlib.md5(WHEEL).hexdigest()
    r_sha = hashlib.sha256(R_PACKAGE).hexdigest()
    paths = [
        f"/pub/latest/src/contrib/{R_FILE}",
        f"/pub/latest/src/contrib/../../../vault/latest/src/contrib/{R_FILE}",
        f"/pub/latest/src/contrib/Archive/quartzite/{R_FILE}",
        f"/pub/__linux__/bookworm/latest/src/contrib/{R_FILE}",
        f"/pubpy/latest/packages/quartzpy/{WHEEL_NAME}",
        f"/pubpy/latest/packages/plain/{WHEEL_NAME}",
        f"/pubpy/latest/packages/plain/../quartzpy/{WHEEL_NAME}",
        f"/pubpy/latest/packages/{sha[:2]}/{sha[2:4]}/{sha[4:]}/{WHEEL_NAME}",
        f"/pubpy/latest/packages/{sha}/{WHEEL_NAME}",
        f"/packages/pubpy/latest/quartzpy/{WHEEL_NAME}",
        f"/packages/pubpy/latest/{sha}/{WHEEL_NAME}",
        f"/packages/{sha[:2]}/{sha[2:4]}/{sha[4:]}/{WHEEL_NAME}",
        "/pubpy/latest/simple/quartzpy/",
        "/pubpy/latest/pypi/quartzpy/json",
        f"/blobs/{r_sha[:2]}/{r_sha}",
        f"/files/blobs/{r_sha[:2]}/{r_sha}",
        f"/__files__/blobs/{r_sha[:2]}/{r_sha}",
        f"/__files__/{r_sha}",
        f"/pub/latest/{r_sha}",
        f"/pub/latest/blobs/{r_sha[:2]}/{r_sha}",
        f"/pubpy/latest/packages/quartzpy/{WHEEL_NAME}.metadata",
        f"/pubpy/latest/packages/plain/{WHEEL_NAME}#md5={md5}",
    ]
    check(site, map(request, paths))


def test_no_path_of_the_api_leads_in(site: Live) -> None:
    """By name or number, with odd spellings of either, below every route that tells of a repository or a source."""
    ids = {each["name"]: each["id"] for each in site.api("GET", "/repos")[1]}
    sources = {each["name"]: each["id"] for each in site.api("GET", "/sources")[1]}
    below = ["", "/packages", "/packages/quartzite", "/packages/quartzite/releases", "/sources", "/transactions"]
    below += ["/transaction-dates", "/first-transaction", "/binaries", "/diff?from=latest", "/setup", "/sysreqs"]
    below += ["/packages/quartzite/binaries", "/packages/quartzite/sysreqs"]
    named = ["vault", "vaultpy", "VAULT", "vault.", "vault%20", "%76ault", "vault%00", "vault%0a", "pub%2f..%2fvault"]
    named += ["pub/../vault", "/vault", "./vault", "pub%5c..%5cvault", "vault;x", "pub,vault", "vault%2f..%2fpub"]
    check(site, [request(f"/__api__/repos/{name}{rest}") for name in named for rest in below])
    of_source = ["", "/packages", "/packages/quartzite", "/packages/quartzite/releases", "/transactions", "/describe"]
    of_source += ["/diff?from=latest", "/proposals", "/git-builders", "/git-builds", "/proposals/1"]
    of_name = ["hoard", "hoardpy", "HOARD", "%68oard", "hoard%20", "hoard%00", "shown%2f..%2fhoard", "shown/../hoard"]
    check(site, [request(f"/__api__/sources/{name}{rest}") for name in of_name for rest in of_source])
    numbers = [f"{written}{rest}" for written in _numbers(ids["vault"]) for rest in below]
    nobodys = [f"{written}{rest}" for written in _numbers(ids["vault"] + 70) for rest in below]
    _same(site, "/__api__/repos/", numbers, nobodys, (str(ids["vault"]), str(ids["vault"] + 70)))
    numbers = [f"{written}{rest}" for written in _numbers(sources["hoard"]) for rest in of_source]
    nobodys = [f"{written}{rest}" for written in _numbers(sources["hoard"] + 70) for rest in of_source]
    _same(site, "/__api__/sources/", numbers, nobodys, (str(sources["hoard"]), str(sources["hoard"] + 70)))


def _numbers(id_: int) -> list[str]:
    """A number in ways in which a parser may read it, with a digit of another script at last."""
    forms = ("%d", "%03d", "+%d", "%%20%d", "%d%%20", "-%d", "%d.0", "%de0", "0x%x", "%d_")
    return [*(form % id_ for form in forms), f"%D9%A{id_ % 10}"]


def _same(site: Live, before: str, numbers: list[str], nobodys: list[str], ids: tuple[str, str]) -> None:
    """Numbers of what is closed are answered as those that nothing has."""
    for one, other in zip(numbers, nobodys, strict=True):
        came = send(site, request(before + one))
        assert int(came[9:12]) not in (200, 304), one
        assert int(came[9:12]) < 500, one
        assert not [marker for marker in MARKERS if marker in came and marker not in one.encode()], one
        assert _without(came, ids[0]) == _without(send(site, request(before + other)), ids[1]), one


def _without(came: bytes, id_: str) -> bytes:
    """An answer without its number and what follows from its length."""
    body = re.sub(rb"(?i)\r\ncontent-length: \d+", b"", _plain(came))
    return re.sub(rb"0*%s|0x[0-9a-f]+" % id_.encode(), b"ID", body)


def test_lists_and_pages_tell_nothing_of_what_is_closed(site: Live) -> None:
    """Lists, counters, the log of jobs, the description of the API and the pages name nothing that is closed."""
    paths = ["/", "/metrics", "/__ping__", "/__login__", "/__device__", "/robots.txt", "/favicon.ico", "/index.html"]
    lists = ["repos", "sources", "jobs", "git-builders", "build-targets", "binary-builds", "status", "openapi.json"]
    lists += [f"transactions/{id_}" for id_ in range(25)] + [f"jobs/{id_}" for id_ in range(5)]
    lists += [f"transactions/{id_}/log" for id_ in range(25)] + [
        "bioconductor/versions",
        "sysreqs/rules",
        "audit",
        "tokens",
    ]
    for path in [*paths, *(f"/__api__/{each}" for each in lists)]:
        came = send(site, request(path))
        told = [word for word in (*MARKERS, b"vault", b"hoard") if word in came]
        assert not told, path
        assert int(came[9:12]) < 500, path


@pytest.mark.parametrize("path", ["/filter/packages", "/repos/vault/sysreqs", "/repos/vault/check"])
def test_questions_with_a_body_tell_nothing(site: Live, path: str) -> None:
    """What is asked by POST about a closed repository is refused as what is asked by GET."""
    bodies = [{"repo": "vault", "snapshot": "latest", "_limit": 10}, {"repo": "vault", "packages": ["quartzite"]}, {}]
    bodies += [
        {"packages": ["quartzite"]},
        {"repo": "pub", "names": ["quartzite"]},
        {"text": "quartzite", "kind": "names"},
    ]
    for body in bodies:
        for of in (lambda text: text, lambda text: of_nobody(text.encode()).decode()):
            response = site.pool.request(
                "POST",
                f"{site.address}/__api__{of(path)}",
                json={key: of(value) if isinstance(value, str) else value for key, value in body.items()},
            )
            assert response.status < 500
            told = [word for word in MARKERS[1:] if word in response.data]
            assert not told


def test_uploads_by_tricks_are_refused(site: Live) -> None:
    """The door for publishing takes nothing without a token, for whatever spelling of a source, and tells nothing."""
    names = [
        "hoardpy",
        "HOARDPY",
        "hoardpy.",
        "%68oardpy",
        "hoardpy%00",
        "hoardpy%20",
        "hoardpy%2f",
        "x%2f..%2fhoardpy",
    ]
    names += [
        "../pypi/hoardpy",
        "./hoardpy",
        "/hoardpy",
        "hoardpy/",
        "hoardpy//",
        "hoardpy;x",
        "hoardpy%0a",
        "hoard",
        "hoardpy?x",
    ]
    names += [
        "%ef%bd%88oardpy",
        "hoardpy%5c",
        "hoardpy+shown",
        "hoardpy,shownpy",
        "..%2f..%2f__api__%2fsources%2fhoardpy",
    ]
    body = '--b\r\nContent-Disposition: form-data; name=":action"\r\n\r\nfile_upload\r\n--b--\r\n'
    headers = ["Content-Type: multipart/form-data; boundary=b", f"Content-Length: {len(body)}"]
    paths = [f"/upload/pypi/{name}" for name in names] + [
        "/upload/hoardpy",
        "/upload//pypi/hoardpy",
        "/%75pload/pypi/hoardpy",
    ]
    check(site, [request(path, method="POST", headers=headers) + body.encode() for path in paths])
    check(site, [request(path) for path in paths])


def test_a_repository_that_is_closed_stays_not_open_for_a_moment(site: Live) -> None:
    """What was kept of it while it was open is given to nobody without a token from the next request on."""
    path = "/pub/latest/src/contrib/PACKAGES"
    for _ in range(2):
        assert answers(send(site, request(path)))[0].status == 200
    assert path.encode() in site.hot
    assert site.api("PATCH", "/repos/pub", {"authenticated": True})[0] == 200
    (answer,) = answers(send(site, request(path)))
    assert answer.status == 401
    assert answers(send(site, request(path, headers=[with_token(site)])))[0].status == 200


def test_answers_of_closed_repositories_are_kept_by_nobody_else(site: Live) -> None:
    """What those with a token get says so to caches; what others get is not kept at all."""
    for path in (R_INDEX, R_PATH, PY_INDEX, PY_PATH, "/vault/latest", "/vault/latest/src/contrib/no_1.0.tar.gz"):
        for _ in range(2):  # made, then kept
            (answer,) = answers(send(site, request(path, headers=[with_token(site)])))
            told = answer.head.lower()
            assert b"public" not in told, path
            assert b"cache-control: private" in told or b"cache-control: no-store" in told, path
            assert re.search(rb"\r\nvary: [^\r]*authorization", told), path
        (refused,) = answers(send(site, request(path)))
        assert b"cache-control: no-store" in refused.head.lower(), path
        assert b"www-authenticate: basic" in refused.head.lower(), path
