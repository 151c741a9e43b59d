"""The upload API over real HTTP: what is taken, what is refused in which words, and that nothing is left behind."""

from __future__ import annotations

import base64
import hashlib
import http.client
import socket
from collections.abc import Iterator, Sequence
from contextlib import closing
from http.client import HTTPMessage
from pathlib import Path
from typing import NamedTuple

import pytest
from urllib3.filepost import encode_multipart_formdata

from entrepot.app import App
from entrepot.core.model import PackageName, SourceType
from entrepot.operations import browsing
from entrepot.operations.sources import create_source
from entrepot.settings import Settings
from entrepot.web.context import UPLOADS
from tests.operations.test_local import count_rows
from tests.support.distributions import bad_wheels, sdist, wheel
from tests.support.server import Live, eventually, running

FILE = wheel("demo", "1.0")
LIMIT = 100_000


class Answer(NamedTuple):
    status: int
    reason: str
    text: str
    headers: HTTPMessage


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Files of up to 100 kB."""
    return settings.model_copy(update={"python": settings.python.model_copy(update={"max_upload": LIMIT})})


@pytest.fixture
def site(app: App) -> Iterator[Live]:
    create_source(app, "team", type_=SourceType.LOCAL_PYTHON)
    with running(app) as live:
        yield live


def form(file: tuple[str, bytes] | None = FILE, **fields: str | Sequence[str] | None) -> tuple[bytes, str]:
    """(body, content type) of an upload; `fields` are more or other ones, None leaves one out, `__` means `:`."""
    told: dict[str, str | Sequence[str] | None] = {
        ":action": "file_upload",
        "protocol_version": "1",
        "metadata_version": "2.3",
        "name": "demo",
        "version": "1.0",
        "classifiers": ["Private :: Do Not Upload", "Topic :: Software Development"],
        "description": "Hällo\r\n--boundary\r\n",
        **{name.replace("__", ":"): value for name, value in fields.items()},
    }
    parts: list[tuple[str, str | tuple[str, bytes, str]]] = []
    for name, value in told.items():
        parts += [(name, one) for one in ([value] if isinstance(value, str) else value or [])]
    if file is not None:
        parts.append(("content", (file[0], file[1], "application/octet-stream")))
    return encode_multipart_formdata(parts, boundary="the-end")


def post(
    site: Live,
    body: tuple[bytes, str] | None = None,
    *,
    path: str = "/upload/pypi/team",
    login: str | None = "",
    method: str = "POST",
) -> Answer:
    """`login` is an Authorization header; empty: the right one, None: none."""
    data, kind = body or form()
    headers = {"Content-Type": kind}
    if login is not None:
        headers["Authorization"] = login or basic("__token__", site.token)
    host, _, port = site.address.removeprefix("http://").partition(":")
    with closing(http.client.HTTPConnection(host, int(port), timeout=20)) as connection:
        connection.request(method, path, data, headers)
        answer = connection.getresponse()
        return Answer(answer.status, answer.reason, answer.read().decode(), answer.headers)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def listed(app: App, name: str = "demo") -> list[str]:
    rows = browsing.open_source(app, "team", "latest").view.of_package(PackageName(name))
    return sorted(row.file.name for row in rows)


def left(site: Live) -> list[Path]:
    """What was received and not removed."""
    return list((site.app.settings.server.data_dir / "tmp").glob(f"{UPLOADS}*"))


def check_nothing_left(site: Live) -> None:
    """No row of a file, no blob, nothing in the folder for what is being received."""
    assert listed(site.app) == []
    assert list(site.app.storage.list_keys("blobs")) == []
    assert left(site) == []


def test_a_file_is_taken(site: Live) -> None:
    """With the token as Basic password or as Bearer; the whole is there at once, and nothing is left behind."""
    answer = post(site)
    assert answer[:3] == (200, "OK", "added demo-1.0-py3-none-any.whl to source team\n")
    second = wheel("demo", "1.1")
    answer = post(site, form(second, version="1.1"), path="/upload/pypi/team/", login=f"Bearer {site.token}")
    assert answer.status == 200
    assert listed(site.app) == [FILE[0], second[0]]
    assert left(site) == []


def test_the_same_file_again_is_a_success(site: Live) -> None:
    """So that a release which broke off can be repeated."""
    post(site)
    before = count_rows(site.app)
    answer = post(site)
    assert (answer.status, answer.text) == (
        200,
        "demo-1.0-py3-none-any.whl is in source team already, with the same bytes\n",
    )
    assert count_rows(site.app) == before


def test_another_file_under_the_name_is_a_conflict(site: Live) -> None:
    """409 with words that clients understand, in the reason too."""
    post(site)
    answer = post(site, form(wheel("demo", "1.0", description="other")))
    assert answer.status == 409
    assert "demo-1.0-py3-none-any.whl already exists in source 'team' with other bytes" in answer.text
    assert answer.reason.startswith("demo-1.0-py3-none-any.whl already exists")


def test_all_digests_are_checked(site: Live) -> None:
    """Those that are given; with right ones the file is taken."""
    data = FILE[1]
    right = {
        "md5_digest": hashlib.md5(data).hexdigest(),
        "sha256_digest": hashlib.sha256(data).hexdigest(),
        "blake2_256_digest": hashlib.blake2b(data, digest_size=32).hexdigest(),
    }
    for name, digest in right.items():
        answer = post(site, form(**{**right, name: digest[::-1]}))  # type: ignore[arg-type]
        assert answer.status == 400
        assert f"another {name.removesuffix('_digest')} digest than the form says" in answer.text
    check_nothing_left(site)
    assert post(site, form(**right)).status == 200  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("login", "status", "words"),
    [
        (None, 401, "a token is needed"),
        ("Digest x", 401, "not understood"),
        ("Basic !", 401, "can't be read"),
        (basic("ada", "secret"), 401, "the user name of Basic authentication is __token__"),
        (basic("__token__", "wrong"), 401, "the token is not good"),
        ("Bearer wrong", 401, "the token is not good"),
    ],
)
def test_who_may_upload(site: Live, login: str | None, status: int, words: str) -> None:
    """A 401 says how to log in; nothing of the body is kept."""
    answer = post(site, login=login)
    assert answer.status == status
    assert words in answer.text
    assert words in answer.reason
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)
    check_nothing_left(site)


BAD_FORMS: dict[str, tuple[tuple[bytes, str], int, str]] = {
    "no content": (form(None), 400, "the upload has no file"),
    "an empty file": (form((FILE[0], b"")), 400, "demo-1.0-py3-none-any.whl is empty"),
    "another action": (form(__action="submit"), 400, "only file_upload is served here"),
    "no action": (form(__action=None), 400, "there is no :action"),
    "another protocol": (form(protocol_version="2"), 400, "protocol_version is '2'"),
    "no name": (form(name=None), 400, "the form has no name"),
    "the name twice": (form(name=["demo", "demo"]), 400, "the field name twice"),
    "a name that climbs": (form(name="../demo"), 400, "the form says '../demo' '1.0'"),
    "a look-alike": (form(name="dеmo"), 400, "the form says"),
    "another name": (form(name="other"), 400, "the file's name says demo 1.0"),
    "another version": (form(version="1.0.post1"), 400, "the file's name says demo 1.0"),
    "a version that is none": (form(version="one"), 400, "the form says 'demo' 'one'"),
    "a very long name": (form(name="x" * 5000), 400, "the field name is longer than 1000 characters"),
    "a file name that climbs": (form(("../" + FILE[0], FILE[1])), 400, "not a file name"),
    "a file name that is a look-alike": (form(("dеmo-1.0-py3-none-any.whl", FILE[1])), 400, "not the name of a wheel"),
    "a file name of another kind": (form(("demo-1.0.egg", FILE[1])), 400, "neither that of a wheel nor of an sdist"),
    "another file type": (form(filetype="sdist"), 400, "is not what filetype says"),
    "not a zip": (form((FILE[0], b"<html>")), 400, "not a zip archive"),
    "a bomb": (form((FILE[0], bad_wheels()["a bomb"])), 400, "unpacks to more than"),
    "paths that climb": (form((FILE[0], bad_wheels()["a path that climbs"])), 400, "'..' part"),
    "METADATA that disagrees": (form((FILE[0], bad_wheels()["METADATA of another name"])), 400, "METADATA says other"),
    "too large": (form((FILE[0], bytes(LIMIT + 1))), 413, f"larger than {LIMIT} bytes"),
    "no form": ((b"name=demo", "application/x-www-form-urlencoded"), 400, "not a form"),
    "no boundary": ((form()[0], "multipart/form-data"), 400, "not a form"),
    "another boundary": ((form()[0], "multipart/form-data; boundary=xyz"), 400, "the form can't be read"),
    "an absurd boundary": ((form()[0], f"multipart/form-data; boundary={'x' * 300}"), 400, "the form can't be read"),
    "cut short": ((form()[0][:-200], "multipart/form-data; boundary=the-end"), 400, "cut short"),
    "nothing": ((b"", "multipart/form-data; boundary=xyz"), 400, "cut short"),
    "a header without end": (
        (b"--x\r\nContent-Disposition: " + b"y" * 9000, "multipart/form-data; boundary=x"),
        400,
        "",
    ),
}


@pytest.mark.parametrize("what", BAD_FORMS)
def test_a_bad_upload_is_refused(site: Live, what: str) -> None:
    """One line that a person can read, the right status, nothing stored and nothing left."""
    body, status, words = BAD_FORMS[what]
    answer = post(site, body)
    assert (answer.status, answer.text.count("\n")) == (status, 1)
    assert answer.text.endswith("\n")
    assert words in answer.text
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.reason != "Bad Request"
    check_nothing_left(site)


def test_a_file_that_is_too_large_is_refused_before_it_came(site: Live) -> None:
    """By its length where that is told, else as soon as too much has come."""
    head = f"POST /upload/pypi/team HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {site.token}\r\n"
    head += "Content-Type: multipart/form-data; boundary=x\r\n"
    part = b'--x\r\nContent-Disposition: form-data; name="content"; filename="demo-1.0.tar.gz"\r\n\r\n'
    host, _, port = site.address.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(head.encode() + b"Content-Length: 99999999999\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 the file is larger than 100000 bytes")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n")
        piece = part + bytes(2_000_000)
        connection.sendall(f"{len(piece):x}\r\n".encode() + piece)
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")
    check_nothing_left(site)


def test_a_client_that_goes_away_leaves_nothing(site: Live) -> None:
    """In the middle of a file."""
    body, kind = form((FILE[0], bytes(90_000)))
    head = f"POST /upload/pypi/team HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {site.token}\r\n"
    head += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    host, _, port = site.address.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(head.encode() + body[:50_000])
    eventually(lambda: left(site), lambda found: not found)
    check_nothing_left(site)


def test_sources_that_take_no_uploads(site: Live) -> None:
    """Unknown ones, mirrors and those of R, before a byte of the file is looked at."""
    create_source(site.app, "rs", type_=SourceType.LOCAL)
    for source, status, words in (
        ("nope", 404, "nope"),
        ("pypi", 400, "which takes no files"),
        ("rs", 400, "which takes no Python packages"),
    ):
        answer = post(site, path=f"/upload/pypi/{source}")
        assert (answer.status, words in answer.text) == (status, True)
    check_nothing_left(site)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/upload/pypi/team", 405),
        ("PUT", "/upload/pypi/team", 405),
        ("GET", "/upload/pypi/team%2Bsimple/demo/", 404),
        ("GET", "/upload/pypi/team/%2Bsimple/demo/", 404),
        ("POST", "/upload/pypi/", 404),
        ("POST", "/upload/cran/team", 404),
        ("POST", "/upload/pypi/team/demo", 404),
    ],
)
def test_other_requests(site: Live, method: str, path: str, status: int) -> None:
    """hatch asks for an index of devpi first and takes the 404."""
    assert post(site, method=method, path=path).status == status


def test_what_was_uploaded_is_served(site: Live) -> None:
    """At once, in the index and as a file, by a repository that subscribes to the source."""
    site.api("POST", "/repos", {"name": "py", "type": "python"})
    site.api("POST", "/repos/py/sources", {"source": "team"})
    post(site)
    name, data = sdist("demo", "1.0")
    post(site, form((name, data), filetype="sdist", pyversion="source"))
    page = site.get("/py/latest/simple/demo/", Accept="application/vnd.pypi.simple.v1+json").json()
    assert [file["filename"] for file in page["files"]] == [FILE[0], name]
    digest = hashlib.sha256(data).hexdigest()
    assert page["files"][1]["hashes"]["sha256"] == digest
    assert site.get(f"/py/latest/packages/demo/{name}").data == data
    assert site.get(f"/py/latest/packages/demo/{FILE[0]}.metadata").data.startswith(
        b"Metadata-Version: 2.3\nName: demo"
    )
