"""The client of the JSON API: uploads, pages, prefixes and servers in trouble."""

from __future__ import annotations

import contextlib
import socket
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from entrepot.client import ApiError, Client, Multipart
from entrepot.core.errors import Invalid, InvalidName, ServerUnreachable
from tests.cli.stub import Stub, form, running


@pytest.fixture
def client(stub: Stub) -> Iterator[Client]:
    """A client with the stub's token."""
    with Client(stub.address, token=stub.token) as client:
        yield client


def test_a_path_prefix() -> None:
    """An address may have a path prefix, with or without a slash at the end."""
    with running("/packages/here") as stub:
        for address in (stub.address, f"{stub.address}/"):
            with Client(address, token=stub.token) as client:
                assert client.status()["version"] == "0.1.0"
        assert {asked["path"] for asked in stub.seen} == {"/packages/here/__api__/status"}


@pytest.mark.parametrize("address", ["", "localhost:4242", "ftp://host", "http://", "http://h?x=1", "http://[x"])
def test_what_is_not_an_address(address: str) -> None:
    """An address without scheme or host is refused with an example."""
    with pytest.raises(Invalid, match="is not an address"):
        Client(address)


def test_a_password_in_the_address() -> None:
    """An address with a password is refused without repeating it."""
    with pytest.raises(Invalid) as caught:
        Client("https://user:secret@host")
    assert "secret" not in str(caught.value.as_json())


def test_the_token_goes_with_each_request(client: Client, stub: Stub) -> None:
    """The token is a bearer token; without one there is no such header."""
    client.status()
    with Client(stub.address) as other:
        other.status()
    assert [asked["headers"].get("Authorization") for asked in stub.seen] == ["Bearer the-token", None]


def test_names_are_quoted(client: Client, stub: Stub) -> None:
    """A name is one segment of the path whatever it holds; dots alone are no name."""
    with pytest.raises(ApiError):
        client.source("a/b ü?#%")
    assert stub.seen[-1]["path"] == "/__api__/sources/a%2Fb%20%C3%BC%3F%23%25"
    for name in ("", ".", ".."):
        with pytest.raises(InvalidName):
            client.delete_source(name)


def test_lists_are_read_to_their_end(client: Client, stub: Stub) -> None:
    """A list longer than a page is whole."""
    for number in range(2100):
        stub.create_source({"name": f"s{number}", "type": "local", "succeed_on_existing": False})
    assert [source["name"] for source in client.list_sources()] == [
        "cran",
        *(f"s{number}" for number in range(2100)),
    ]
    assert len(stub.seen) == 3


def test_the_error_of_the_server(client: Client) -> None:
    """An error keeps code, message, hint and status."""
    with pytest.raises(ApiError) as caught:
        client.repository("no")
    error = caught.value
    assert (error.status, error.as_json()) == (
        404,
        {
            "code": "repository-not-found",
            "error": "there is no repository named 'no'",
            "hint": "'entrepot list repos' lists them",
            "payload": None,
        },
    )
    assert ApiError.code == "error"


def test_the_error_of_the_other_product(client: Client, stub: Stub) -> None:
    """A numeric code without a hint is taken too."""
    body = b'{"code": 14, "error": "Unsupported system", "payload": [1]}'
    stub.canned["GET", "/__api__/status"] = (400, body, {})
    with pytest.raises(ApiError) as caught:
        client.status()
    assert caught.value.as_json() == {
        "code": "14",
        "error": "Unsupported system",
        "hint": None,
        "payload": {"value": [1]},
    }


@pytest.mark.parametrize(
    ("status", "body", "headers", "hint"),
    [
        (200, b"<html>", {}, "is this the address"),
        (404, b"not here", {}, "is this the address"),
        (404, b'{"detail": "Not Found"}', {}, "is this the address"),
        (301, b"", {"Location": "https://other/"}, "it sends callers to https://other/"),
        (413, b"too large", {}, "a proxy in front"),
        (502, b"bad gateway", {}, "a proxy in front"),
    ],
)
def test_an_answer_that_is_not_ours(
    client: Client, stub: Stub, status: int, body: bytes, headers: dict[str, str], hint: str
) -> None:
    """Something else at the address is told from our server; redirects are not followed."""
    stub.canned["GET", "/__api__/status"] = (status, body, headers)
    with pytest.raises(ServerUnreachable) as caught:
        client.status()
    assert caught.value.message.startswith(f"{stub.address} answers ({status}")
    assert str(caught.value.hint).startswith(hint)
    assert len(stub.seen) == 1


def test_a_server_that_says_nothing() -> None:
    """A server that accepts and is silent, or hangs up, is unreachable."""
    for deal, message in ((lambda _: None, "does not answer in time"), (socket.socket.close, "can't reach")):
        with (
            _accepting(deal) as address,
            Client(address, timeout=0.1) as client,
            pytest.raises(ServerUnreachable, match=message),
        ):
            client.status()


def test_upload(client: Client, stub: Stub, tmp_path: Path) -> None:
    """Files arrive byte for byte under their bare names, with `replace` and `comment`."""
    client.create_source("internal")
    folder = tmp_path / "deep"
    folder.mkdir()
    contents = {"a_1.0.tar.gz": b"\x00\r\n--x" * 99_999, "b_2.0.tar.gz": b""}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    told: list[tuple[int, int]] = []
    files = [folder / name for name in contents]
    outcome = client.add_packages(
        "internal", files, replace=True, comment="für alle", on_progress=lambda *a: told.append(a)
    )
    asked = stub.seen[-1]
    assert form(asked["headers"]["Content-Type"], asked["body"]) == {
        "replace": [(None, b"true")],
        "comment": [(None, "für alle".encode())],
        "files": list(contents.items()),
    }
    assert [change["name"] for change in outcome["changes"]] == ["a", "b"]
    assert asked["headers"]["Content-Length"] == str(len(asked["body"]))
    assert "Transfer-Encoding" not in asked["headers"]
    assert told[0] == (0, len(asked["body"]))
    assert told == sorted(told)


def test_a_file_name_that_would_break_the_form(tmp_path: Path) -> None:
    """Quotes and line ends of a file name are escaped, as browsers do."""
    path = tmp_path / 'a"b\r\nc_1.0.tar.gz'
    path.write_bytes(b"x")
    body = Multipart({}, [path])
    sent = b"".join(body.stream())
    assert b'filename="a%22b%0D%0Ac_1.0.tar.gz"\r\n' in sent
    assert len(sent) == body.length


def test_a_large_upload_is_not_held_in_memory(tmp_path: Path) -> None:
    """Sending 64 MB takes a few blocks of memory."""
    path = tmp_path / "big_1.0.tar.gz"
    with path.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    body = Multipart({}, [path])
    tracemalloc.start()
    sent = sum(len(block) for block in body.stream())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sent == body.length
    assert peak < 2 * 1024 * 1024


@pytest.mark.parametrize("size", [10, 30])
def test_a_file_that_changes_while_it_is_sent(client: Client, tmp_path: Path, size: int) -> None:
    """A file that shrank or grew after its length was told is refused, and nothing is added."""
    client.create_source("internal")
    paths = [tmp_path / "a_1.0.tar.gz", tmp_path / "b_1.0.tar.gz"]
    for path in paths:
        path.write_bytes(b"x" * 20)

    def change(sent: int, total: int) -> None:
        paths[1].write_bytes(b"x" * size)

    with pytest.raises(Invalid, match="changed while it was sent"):
        client.add_packages("internal", paths, on_progress=change)
    assert client.source("internal")["packages"] == 0


def test_a_refusal_before_the_upload_was_read(tmp_path: Path) -> None:
    """A server that answers and hangs up in the middle of an upload is heard."""
    path = tmp_path / "big_1.0.tar.gz"
    with path.open("wb") as file:
        file.truncate(32 * 1024 * 1024)
    body = b'{"code": "too-large", "error": "too large", "hint": null, "payload": null}'
    answer = b"HTTP/1.1 422 No\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body

    def refuse(connection: socket.socket) -> None:
        connection.recv(1024)
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1 << 20):
            pass
        connection.close()

    with _accepting(refuse) as address, Client(address) as client, pytest.raises(ApiError, match="too large"):
        client.add_packages("internal", [path])


def test_the_rest_of_the_rows(client: Client, stub: Stub) -> None:
    """The rows of the API that no command uses ask for the right place."""
    for path in (
        "/repos/r/packages/p",
        "/sources/s/packages/p",
        "/repos/r/transactions",
        "/sources/s/transactions",
        "/repos/r/transaction-dates",
        "/repos/r/first-transaction",
        "/transactions/7",
    ):
        stub.canned["GET", f"/__api__{path}"] = (200, b'[{"id": 7}]', {"X-Total-Count": "1"})
    rows = [{"id": 7}]
    assert client.repository_package("r", "p", version="1.0") == rows
    assert client.source_package("s", "p") == rows
    assert client.repository_transactions("r", limit=5) == (rows, 1)
    assert client.source_transactions("s", page=2) == (rows, 1)
    assert client.transaction_dates("r") == rows
    assert client.first_transaction("r") == rows
    assert client.transaction(7) == rows
    assert [asked["query"] for asked in stub.seen[:4]] == [
        {"version": "1.0"},
        {},
        {"_limit": "5", "_page": "1"},
        {"_limit": "100", "_page": "2"},
    ]


@contextlib.contextmanager
def _accepting(deal: object) -> Iterator[str]:
    """A listener that hands each connection to `deal`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        kept: list[socket.socket] = []

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    kept.append(connection)
                    with contextlib.suppress(OSError):
                        deal(connection)  # type: ignore[operator]

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for connection in kept:
            connection.close()
