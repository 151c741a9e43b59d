"""`rewrite-url`: one URL a line, warnings beside them, JSON with reasons."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.cli.conftest import Entrepot
from tests.support.fake_server import FakeServer


@pytest.fixture
def manager() -> Iterator[FakeServer]:
    """A package manager with binary packages for jammy."""
    distros = [{"name": "jammy", "os": "linux", "binaryURL": "jammy", "binaries": True}]
    with FakeServer() as server:
        server.put("__api__/status", json.dumps({"version": "1", "distros": distros}).encode())
        yield server


def test_a_url_a_line(bare: Entrepot, manager: FakeServer) -> None:
    """In the order in which they were given; no server of ours is needed."""
    foreign, old = "https://cran.example.org/", f"{manager.url}/cran/__linux__/focal/latest"
    assert bare.said("rewrite-url", "--distribution=jammy", foreign, old) == [
        foreign,
        f"{manager.url}/cran/__linux__/jammy/latest",
    ]
    assert bare.said("rewrite-url", old, "--mode=force-source") == [f"{manager.url}/cran/latest"]


def test_json_with_reasons(bare: Entrepot, manager: FakeServer) -> None:
    url = f"{manager.url}/cran/latest"
    assert bare.json("rewrite-url", "--mode=force-binary", "--distribution=jammy", url) == [
        {
            "url": url,
            "rewritten": f"{manager.url}/cran/__linux__/jammy/latest",
            "is_rewritten": True,
            "reason": "the server has binary packages for jammy",
            "warning": None,
        }
    ]


def test_a_server_that_is_away(bare: Entrepot, manager: FakeServer) -> None:
    """The URL stays, the warning goes to standard error, and that is no failure."""
    url = f"{manager.url}/cran/__linux__/focal/latest"
    with manager.closed():
        result = bare("rewrite-url", "--distribution=jammy", url)
    assert (result.exit_code, result.stdout) == (0, f"{url}\n")
    assert result.stderr.startswith(f"Warning: {manager.url}/__api__/status can't be asked: ")
    assert result.stderr.endswith("; the URL stays as it is\n")


def test_wrong_words(bare: Entrepot) -> None:
    assert bare.failed("rewrite-url", "--mode=maybe", "https://cran.example.org") == (
        2,
        ["Error: there is no mode 'maybe'", "Hint: modes are auto, force-source, force-binary, force-portable, none"],
    )
    assert bare.failed("rewrite-url")[0] == 2
