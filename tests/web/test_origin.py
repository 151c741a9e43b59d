"""Where a request comes from and how this server was addressed; what front servers say counts if they are trusted."""

from __future__ import annotations

from typing import Any

import pytest

from entrepot.settings import Settings
from entrepot.web.origin import address_of, base_of, is_own, is_secure

PROXY, CLIENT, FRIEND = "10.0.0.1", "192.0.2.7", "10.0.0.2"


def settings(*trusted: str, address: str = "") -> Settings:
    return Settings.model_validate({"server": {"trusted_proxies": trusted, "address": address}})


def scope(peer: str, scheme: str = "http", **headers: str) -> dict[str, Any]:
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "client": (peer, 1234), "scheme": scheme, "headers": named}


TRUSTED = settings("10.0.0.0/8", "fd00::/8")


@pytest.mark.parametrize(
    ("peer", "told", "address"),
    [
        (CLIENT, "198.51.100.1", CLIENT),
        (PROXY, CLIENT, CLIENT),
        (PROXY, f"1.2.3.4, {CLIENT}", CLIENT),
        (PROXY, f"1.2.3.4, {CLIENT}, {FRIEND}", CLIENT),
        (PROXY, f"{FRIEND}, {FRIEND}", FRIEND),
        (PROXY, "", PROXY),
        (PROXY, "nobody", PROXY),
        (PROXY, f"{CLIENT}, nobody", PROXY),
        ("::ffff:10.0.0.1", CLIENT, CLIENT),
        ("fd00::1", "2001:db8::1", "2001:db8::1"),
    ],
)
def test_the_address_is_the_last_that_nobody_else_could_have_written(peer: str, told: str, address: str) -> None:
    """What stands before the first foreign address anybody may have made up."""
    assert address_of(scope(peer, x_forwarded_for=told), TRUSTED) == address


def test_nobody_is_trusted_by_itself() -> None:
    """Without the setting no header counts, of whoever sends it."""
    asked = scope(PROXY, x_forwarded_for=CLIENT, x_forwarded_proto="https", x_forwarded_host="evil.example", host="me")
    assert address_of(asked, settings()) == PROXY
    assert base_of(asked, settings()) == "http://me"


def test_of_two_headers_the_nearest_front_servers_counts() -> None:
    """A client may send one of its own, before that which the front server adds."""
    asked = scope(PROXY)
    asked["headers"] = [(b"x-forwarded-for", b"1.2.3.4"), (b"x-forwarded-for", CLIENT.encode())]
    assert address_of(asked, TRUSTED) == CLIENT


def test_the_own_address() -> None:
    """The setting, else what a trusted front server says, else the Host header."""
    told = {"x_forwarded_proto": "https", "x_forwarded_host": "packages.example.org", "host": "127.0.0.1:4242"}
    assert base_of(scope(PROXY, **told), TRUSTED) == "https://packages.example.org"
    assert base_of(scope(CLIENT, **told), TRUSTED) == "http://127.0.0.1:4242"
    assert base_of(scope(PROXY, **told), settings("10.0.0.0/8", address="https://p.example/a")) == "https://p.example/a"
    odd = scope(PROXY, x_forwarded_proto="javascript", host="me")
    assert base_of(odd, TRUSTED) == "http://me"
    assert is_secure(scope(PROXY, **told), TRUSTED)
    assert not is_secure(scope(CLIENT, **told), TRUSTED)


@pytest.mark.parametrize(
    ("url", "is_ours"),
    [
        ("https://packages.example.org", True),
        ("https://packages.example.org:443/a?b", True),
        ("HTTPS://Packages.Example.ORG/", True),
        ("http://packages.example.org", False),
        ("https://packages.example.org:444", False),
        ("https://packages.example.org.evil.example", False),
        ("https://packages.example.org@evil.example", False),
        ("https://evil.example/https://packages.example.org", False),
        ("//packages.example.org", False),
        ("https:///packages.example.org", False),
        ("https://packages.example.org:port", False),
        ("null", False),
        ("", False),
    ],
)
def test_what_is_ours(url: str, is_ours: bool) -> None:
    """Scheme, host and port have to be the same; what can't be read is nobody's."""
    ours = settings(address="https://packages.example.org")
    assert is_own(url, scope(CLIENT, host="evil.example"), ours) is is_ours
