"""`ecosystems.useragents`: which kind of client asks, out of a short list, whatever clients say."""

from __future__ import annotations

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.core.usage import Client
from entrepot.ecosystems.useragents import CLIENTS, LOOKED_AT, client_of

PIP = (
    'pip/23.2.1 {"ci":null,"cpu":"x86_64","distro":{"id":"bookworm","libc":{"lib":"glibc","version":"2.36"},'
    '"name":"Debian GNU/Linux","version":"12"},"implementation":{"name":"CPython","version":"3.11.2"},"installer":'
    '{"name":"pip","version":"23.2.1"},"openssl_version":"OpenSSL 3.0.15 3 Sep 2024","python":"3.11.2",'
    '"rustc_version":"1.63.0","setuptools_version":"66.1.1","system":{"name":"Linux","release":"6.1.0"}}'
)
UV = (
    'uv/0.13.8 {"installer":{"name":"uv","version":"0.13.8","subcommand":["pip","install"]},"python":"3.12.3",'
    '"implementation":{"name":"CPython","version":"3.12.3"},"distro":null,"system":{"name":"Linux"},"cpu":"x86_64"}'
)


@pytest.mark.parametrize(
    ("agent", "client"),
    [
        ("R (4.2.2 x86_64-pc-linux-gnu x86_64 linux-gnu)", Client("R", "4.2")),
        ("R/4.4.1 (ubuntu-24.04) R (4.4.1 x86_64-pc-linux-gnu x86_64 linux-gnu)", Client("R", "4.4")),
        ("libcurl/7.88.1", Client("R")),
        ("renv (1.1.2); R (4.2.2 x86_64-pc-linux-gnu x86_64 linux-gnu)", Client("renv", "4.2")),
        ("RStudio Desktop (2023.6.1.524); R (4.3.1 x86_64-w64-mingw32 x86_64 mingw32)", Client("RStudio", "4.3")),
        ("our-script/2 R (3.6.3 x86_64-pc-linux-gnu x86_64 linux-gnu)", Client("R", "3.6")),
        ("R (99.9.1 x86_64-pc-linux-gnu x86_64 linux-gnu)", Client("R")),
        (PIP, Client("pip", "3.11")),
        (UV, Client("uv", "3.12")),
        ("poetry/2.5.1 CPython/3.11.2 Linux/6.1.0-37-amd64", Client("poetry", "3.11")),
        ("pdm/2.22.4 CPython/3.12.0 Linux/6.1.0", Client("pdm", "3.12")),
        (
            "bandersnatch/6.8.0 (CPython 3.11.2-final0, Linux 6.1 x86_64) (aiohttp 3.9.1)",
            Client("bandersnatch", "3.11"),
        ),
        ('pip/1 {"python":"3.99.1"}', Client("pip")),
        ("pip", Client("pip")),
        ("pipx/1.0", Client("other")),
        ("curl/7.88.1", Client("curl")),
        ("Wget/1.21.3", Client("Wget")),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", Client("browser")),
        ("python-requests/2.31.0", Client("requests")),
        ("curl/7.88.1 CPython/3.11.2", Client("curl")),
        ("", Client("other")),
        ("=cmd|' /C calc'!A0", Client("other")),
    ],
)
def test_clients_are_told_by_their_user_agents(agent: str, client: Client) -> None:
    """Real clients by name with the minor version of their R or Python, all others as `other`."""
    assert client_of(agent) == client


@given(st.text(alphabet=string.printable + "é\u202e", max_size=3000) | st.sampled_from(sorted(CLIENTS)))
def test_whatever_is_said_the_names_are_known_ones(agent: str) -> None:
    """No User-Agent makes a name of its own, or a version that isn't one."""
    found = client_of(agent)
    assert found.name == "other" or found.name in {name for name, _ in CLIENTS.values()}
    assert len(found.language) <= 4


def test_very_many_invented_versions_are_few_clients() -> None:
    """Clients that invent versions of R and Python make some hundred kinds of clients, not a hundred thousand."""
    rng = random.Random(7)
    numbers = [(rng.randrange(100), rng.randrange(100), rng.randrange(1000)) for _ in range(20_000)]
    agents = [f"R ({a}.{b}.{c} x86_64-pc-linux-gnu x86_64 linux-gnu)" for a, b, c in numbers]
    agents += [f'pip/{a}.{b}.{c} {{"python":"{a % 5}.{b}.{c}"}}' for a, b, c in numbers]
    assert len({client_of(agent) for agent in agents}) < 300


def test_of_an_absurd_user_agent_the_beginning_counts() -> None:
    """A megabyte costs no more than its beginning, and what stands behind that counts for nothing."""
    assert client_of("pip/1 " + " " * 10**6 + '{"python":"3.12.1"}') == Client("pip")
    assert client_of("pip/1 " + " " * (LOOKED_AT - 60) + '{"python":"3.12.1"}') == Client("pip", "3.12")
