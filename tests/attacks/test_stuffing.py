"""Credential stuffing: guesses are slowed down, nobody is locked out, and the counting can't be made to cost much."""

from __future__ import annotations

import pytest

from entrepot.core.tokens import make_token
from entrepot.web.throttle import FREE, LONGEST_WAIT, MOST_ADDRESSES, WITHIN, Throttle
from tests.support.server import Live

pytestmark = pytest.mark.one_shape


class Seconds:
    """A clock that goes on only when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def throttle(seconds: Seconds) -> Throttle:
    return Throttle(seconds)


def guess(throttle: Throttle, address: str, times: int) -> None:
    for _ in range(times):
        throttle.failed(address)


def test_a_few_wrong_guesses_are_free(throttle: Throttle) -> None:
    """Ten in a minute cost nothing; the eleventh has to wait for its turn."""
    guess(throttle, "10.0.0.1", FREE)
    assert throttle.wait("10.0.0.1") == 0
    guess(throttle, "10.0.0.1", 1)
    assert throttle.wait("10.0.0.1") == pytest.approx(WITHIN / FREE)


def test_others_do_not_wait(throttle: Throttle) -> None:
    """What comes from one address slows no other one."""
    guess(throttle, "10.0.0.1", 1000)
    assert (throttle.wait("10.0.0.2"), throttle.wait("2001:db8::1")) == (0, 0)


def test_guesses_are_forgotten(throttle: Throttle, seconds: Seconds) -> None:
    """However many there were, it takes two minutes until all is as before."""
    guess(throttle, "10.0.0.1", 100_000)
    assert throttle.wait("10.0.0.1") == pytest.approx(LONGEST_WAIT)
    seconds.now += LONGEST_WAIT + 0.001
    assert throttle.wait("10.0.0.1") == 0
    guess(throttle, "10.0.0.1", 1)
    assert throttle.wait("10.0.0.1") > 0
    seconds.now += 2 * WITHIN
    guess(throttle, "10.0.0.1", FREE)
    assert throttle.wait("10.0.0.1") == 0


def test_a_network_of_ipv6_is_one(throttle: Throttle) -> None:
    """Whoever has a network of 64 bits has all its addresses; the next network is somebody else's."""
    for n in range(FREE + 1):
        throttle.failed(f"2001:db8:0:1::{n:x}")
    assert throttle.wait("2001:db8:0:1:ffff::1") > 0
    assert throttle.wait("2001:db8:0:2::1") == 0


def test_an_address_has_one_form(throttle: Throttle) -> None:
    """IPv4 is the same in the clothes of IPv6, and a zone doesn't make another address."""
    guess(throttle, "::ffff:10.0.0.1", FREE + 1)
    assert throttle.wait("10.0.0.1") > 0
    guess(throttle, "fe80::1%eth0", FREE + 1)
    assert throttle.wait("fe80::1") > 0


def test_nobody_knows_where_from_is_one_address(throttle: Throttle) -> None:
    """What isn't an address is counted, too."""
    guess(throttle, "", FREE + 1)
    assert throttle.wait("unknown") > 0


def test_memory_is_bounded(throttle: Throttle) -> None:
    """Ten thousand addresses are counted; the one that was heard of longest ago goes."""
    guess(throttle, "10.0.0.1", FREE + 1)
    for n in range(MOST_ADDRESSES - 1):
        throttle.failed(f"11.{n >> 16}.{n >> 8 & 255}.{n & 255}")
    assert (len(throttle), throttle.wait("10.0.0.1") > 0) == (MOST_ADDRESSES, True)
    throttle.failed("12.0.0.1")
    assert (len(throttle), throttle.wait("10.0.0.1")) == (MOST_ADDRESSES, 0)


def test_a_right_token_works_at_any_time(live: Live) -> None:
    """After many wrong ones the answer to more of them is 429 and when to come again; the right one is let in."""
    live.door.throttle = Throttle(Seconds())
    wrong = [live.api("GET", "/tokens", token=make_token())[0] for _ in range(FREE + 2)]
    assert wrong == [401] * FREE + [429] * 2
    answer = live.get("/__api__/whoami", Authorization=f"Bearer {make_token()}")
    assert answer.status == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= LONGEST_WAIT
    assert live.api("GET", "/tokens")[0] == 200
    assert live.api("GET", "/status", token="")[0] == 200


def test_what_is_no_token_counts_as_well(live: Live) -> None:
    """Passwords, other schemes and nonsense are guesses, too."""
    live.door.throttle = Throttle(Seconds())
    for n in range(FREE + 1):
        live.get("/__api__/whoami", Authorization=["Bearer x", "Basic !", "Digest y", "Basic eDp5"][n % 4])
    assert live.get("/__api__/whoami", Authorization="Bearer x").status == 429


def test_stuffing_is_in_the_audit_log_once(live: Live) -> None:
    """A thousand guesses are a handful of rows: the first of its kind, and how many more there were."""
    for _ in range(200):
        live.api("DELETE", "/repos/cran", token=make_token())
    live.app.audit.flush()
    status, rows = live.api("GET", "/audit?outcome=refused&action=delete%20repo")
    assert (status, [row["actor"] for row in rows]) == (200, ["anonymous"])
