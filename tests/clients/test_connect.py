"""Posit Connect's builds: its document's configuration on our side, a stand-in for Connect on loopback, and real R.

The stand-in does what the document says of Connect: it is an OIDC issuer whose name ends with a slash; it has
integrations, each with scopes and a list of those who may use it; a build of somebody's content gets short-lived tokens
of all integrations that they may use, or goes on without one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from entrepot.settings import Settings, load_settings
from tests.support.archives import make_source_package
from tests.support.fake_issuer import FakeIssuer, exchange, rsa_key
from tests.support.r import run_r
from tests.support.server import Clock, Live, installed, running

pytestmark = pytest.mark.r

DOCUMENT = """
[IdentityFederation "connect"]
Issuer = "{connect}"
Audience = "package-manager"
Subject = "connect"
RoleClaim = "roles"
"""
"""Step 1 of Connect's document, as it stands there but for Connect's address."""


@dataclass(frozen=True)
class Integration:
    """Step 2: a Package Manager integration in Connect, template `ppm`."""

    name: str
    scopes: str
    users: frozenset[str]


@dataclass(frozen=True)
class Build:
    """What a build of somebody's content has: tokens by repository, and what it was told instead of a token."""

    tokens: tuple[str, ...]
    refusals: tuple[str, ...]


class Connect(FakeIssuer):
    """The stand-in."""

    def __init__(self, clock: Clock) -> None:
        super().__init__("/", clock)
        self.integrations: list[Integration] = []

    def integrate(self, name: str, scopes: str, *users: str) -> None:
        self.integrations.append(Integration(name, scopes, frozenset(users)))

    def build(self, site: Live, owner: str) -> Build:
        """The credentials of a build, from all integrations of the content's owner."""
        tokens, refusals = [], []
        for each in self.integrations:
            if owner in each.users:
                roles = each.scopes.split()
                status, body = exchange(site, self.token(sub="connect", aud="package-manager", roles=roles))
                if status == 200:
                    tokens.append(body["access_token"])
                else:
                    refusals.append(f"{body['error']}: {body['error_description']}")
        return Build(tuple(tokens), tuple(refusals))


@pytest.fixture
def connect(clock: Clock) -> Iterator[Connect]:
    with Connect(clock) as server:
        yield server


@pytest.fixture
def site(settings: Settings, clock: Clock, connect: Connect, tmp_path: Path, rscript: Path) -> Iterator[Live]:
    """Configured by the document's file; two closed repositories, each with a package."""
    file = tmp_path / "entrepot.toml"
    file.write_text(DOCUMENT.format(connect=connect.issuer))
    federations = load_settings(file, {}).identity_federation
    configured = settings.model_copy(update={"identity_federation": federations})
    with installed(configured, clock) as app, running(app) as live:
        for repository, package in (("internal", "toolbox"), ("finance", "ledger")):
            source = f"{repository}-packages"
            for path, body in (
                ("/sources", {"name": source, "type": "local"}),
                ("/repos", {"name": repository, "type": "r", "authenticated": True}),
                (f"/repos/{repository}/sources", {"source": source}),
            ):
                status, answer = live.api("POST", path, body)
                assert status in (200, 201), answer
            status, answer = live.upload(source, (f"{package}_1.0.tar.gz", make_source_package(package, "1.0")))
            assert status in (200, 201), answer
        yield live


def install(site: Live, repository: str, package: str, token: str | None, lib: Path, *, by_header: bool = False) -> str:
    """What R says of an install from a closed repository, at the end whether the package is there; the token goes in
    the repository's URL or in a header."""
    login = f"__token__:{token}@" if token and not by_header else ""
    header = f', headers = c(Authorization = "Bearer {token}")' if by_header else ""
    url = f"{site.address.replace('://', f'://{login}')}/{repository}/latest"
    done = run_r(
        f"""
        options(repos = c(Internal = "{url}"))
        options(warn = 1)
        try(install.packages("{package}", quiet = TRUE{header}))
        cat(if (requireNamespace("{package}", quietly = TRUE)) "@installed" else "@missing")
        """,
        lib=lib,
    )
    return done.stderr + done.stdout


def test_a_build_installs_from_a_closed_repository(site: Live, connect: Connect, tmp_path: Path) -> None:
    """With the document's configuration on both sides a build gets a token by itself, and R installs with it."""
    connect.integrate("Internal Packages Access", "repos:read:*", "publisher")
    build = connect.build(site, "publisher")
    (token,) = build.tokens
    assert install(site, "internal", "toolbox", token, tmp_path / "one").endswith("@installed")
    assert install(site, "finance", "ledger", token, tmp_path / "two", by_header=True).endswith("@installed")


def test_a_build_without_an_integration(site: Live, connect: Connect, tmp_path: Path) -> None:
    """Whoever is on no integration's list builds without a token, and R is refused."""
    connect.integrate("Internal Packages Access", "repos:read:*", "publisher")
    build = connect.build(site, "visitor")
    assert build == Build((), ())
    said = install(site, "internal", "toolbox", None, tmp_path / "lib")
    assert said.endswith("@missing")
    assert "unable to access index for repository" in said


def test_several_integrations(site: Live, connect: Connect, tmp_path: Path) -> None:
    """Integrations with other scopes open other repositories, and whoever may use several has what all give."""
    connect.integrate("Internal", "repos:read:internal", "publisher", "controller")
    connect.integrate("Finance", "repos:read:finance", "controller")
    (token,) = connect.build(site, "publisher").tokens
    assert install(site, "internal", "toolbox", token, tmp_path / "one").endswith("@installed")
    assert install(site, "finance", "ledger", token, tmp_path / "two").endswith("@missing")
    internal, finance = connect.build(site, "controller").tokens
    assert install(site, "internal", "toolbox", internal, tmp_path / "three").endswith("@installed")
    assert install(site, "finance", "ledger", finance, tmp_path / "four").endswith("@installed")


@pytest.mark.parametrize(
    ("scopes", "said"),
    [
        ("", "it came with no roles and no groups"),
        ("repos:read:nothing-here", "it came with roles 'repos:read:nothing-here'"),
        ("viewer", "it came with roles 'viewer'"),
        ("global:admin", "it came with roles 'global:admin'"),
    ],
)
def test_an_integration_without_access(site: Live, connect: Connect, scopes: str, said: str) -> None:
    """An integration whose scopes give nothing is told what was accepted, what came with it, and what to do."""
    connect.integrate("Empty", scopes, "publisher")
    build = connect.build(site, "publisher")
    assert build.tokens == ()
    (refusal,) = build.refusals
    assert refusal.startswith("access_denied: the identity of 'connect:connect' was accepted by connect, but nothing")
    assert said in refusal
    assert "an administrator gives access" in refusal


def test_keys_are_rotated_in_the_middle(site: Live, connect: Connect, tmp_path: Path) -> None:
    """Between two builds Connect gets another key: the token of the first is still good, and so is the second."""
    connect.integrate("Internal Packages Access", "repos:read:*", "publisher")
    (first,) = connect.build(site, "publisher").tokens
    connect.rotate(rsa_key("second"), keep=False)
    (second,) = connect.build(site, "publisher").tokens
    assert install(site, "internal", "toolbox", first, tmp_path / "one").endswith("@installed")
    assert install(site, "internal", "toolbox", second, tmp_path / "two").endswith("@installed")


def test_a_build_that_took_too_long(site: Live, connect: Connect, clock: Clock, tmp_path: Path) -> None:
    """A token of a build is good for an hour and no longer."""
    connect.integrate("Internal Packages Access", "repos:read:*", "publisher")
    (token,) = connect.build(site, "publisher").tokens
    clock.wait(hours=1, seconds=1)
    assert install(site, "internal", "toolbox", token, tmp_path / "lib").endswith("@missing")


def test_the_slash_at_the_end(site: Live, connect: Connect) -> None:
    """A Connect whose tokens have no slash at the end is told which name the settings have."""
    status, body = exchange(
        site, connect.token(iss=connect.url, sub="connect", aud="package-manager", roles=["repos:read:*"])
    )
    assert (status, body["error"]) == (400, "invalid_grant")
    assert f"one has '{connect.issuer}', with another slash at its end" in body["error_description"]
