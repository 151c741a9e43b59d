"""Tokens and closed repositories, as the administrator types them."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Entrepot
from tests.support.server import Live

CREATE = ("create", "token", "--scope=repos:read", "--repos=cran", "--description=CI of team x")


@pytest.fixture
def live_server(live: Live) -> Live:
    """In place of the stand-in."""
    return live


def made(entrepot: Entrepot, *more: str) -> str:
    """A new token, as a script gets it."""
    (token,) = entrepot.said(*CREATE, "--quiet", *more)
    return token


def test_the_token_alone_is_the_output(entrepot: Entrepot) -> None:
    """The token is standard output, the words about it are standard error; with `-q` there are none."""
    result = entrepot(*CREATE, "--user=ci@example.org", "--expires=20d")
    (row,) = entrepot.json("list", "tokens")
    assert (result.exit_code, result.stdout.startswith(row["start"])) == (0, True)
    assert result.stderr.splitlines() == [
        f"Created token {row['guid']} of ci@example.org for repos:read:cran, good until 2024-03-21 12:00 UTC.",
        "It is not shown again.",
    ]
    quiet = entrepot(*CREATE, "-q")
    assert (quiet.stderr, len(quiet.stdout.split())) == ("", 1)


def test_a_token_as_json(entrepot: Entrepot) -> None:
    """JSON has the token and all about it, and nothing else is printed."""
    result = entrepot(*CREATE, "-o", "json")
    document = json.loads(result.stdout)
    assert (result.stderr, document["scopes"], document["token"][:13]) == ("", ["repos:read:cran"], document["start"])


def test_several_scopes(entrepot: Entrepot) -> None:
    """Scopes, repositories and sources are lists; `*` is all."""
    entrepot.said("create", "source", "--name=tools", "--type=local")
    scopes = "--scope=repos:read,sources:write"
    words = (scopes, "--scope=metadata:read", "--repos=cran,pypi", "--sources=*", "--description=x", "-q")
    entrepot.said("create", "token", *words)
    assert entrepot.json("list", "tokens")[0]["scopes"] == [
        "repos:read:cran,pypi",
        "sources:write:*",
        "metadata:read",
    ]


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (("--scope=no", "--description=x"), 2, "Input should be"),
        (("--scope=repos:read", "--description=x"), 2, "repos:read needs to know for which"),
        (("--scope=repos:read", "--repos=no", "--description=x"), 4, "no"),
        (("--scope=sources:write", "--sources=cran", "--description=x"), 2, "nobody writes to source 'cran'"),
        (("--scope=global:admin", "--repos=cran", "--description=x"), 2, "--repos goes with"),
        (("--scope=global:admin", "--description="), 2, "a token needs a description"),
        (("--scope=global:admin",), 2, "Missing option '--description'"),
        (("--description=x",), 2, "Missing option '--scope'"),
        (("--scope=global:admin", "--description=x", "--expires=soon"), 2, "'soon' is no time"),
    ],
)
@pytest.mark.one_shape
def test_tokens_that_are_not_made(entrepot: Entrepot, flags: tuple[str, ...], code: int, message: str) -> None:
    """One line says what is wrong."""
    found, said = entrepot.failed("create", "token", *flags)
    assert (found, message in said[0], len(said)) == (code, True, 2)


def test_listed_for_people(entrepot: Entrepot, live: Live) -> None:
    """What one knows of a token: never its secret, and when and from where it was used last."""
    token = made(entrepot)
    entrepot.token = token
    assert entrepot.said("whoami")[:2] == ["admin", "  Scopes: repos:read:cran"]
    live.door.flush()
    entrepot.token = live.token
    (row,) = entrepot.json("list", "tokens")
    assert entrepot.said("list", "tokens") == [
        "Tokens:",
        f"- {row['guid']} ({token[:13]}...)",
        "    Description: CI of team x",
        "    User: admin",
        "    Scopes: repos:read:cran",
        "    Expires: never",
        "    Last used: 2024-03-01 12:00 UTC from 127.0.0.1",
    ]


def test_no_tokens(entrepot: Entrepot) -> None:
    """None is told on standard error, as an empty list in JSON."""
    result = entrepot("list", "tokens")
    assert (result.stdout, result.stderr) == ("", "There are none; 'entrepot create token' makes one\n")
    assert entrepot.json("list", "tokens") == []


def test_revoked_by_guid(entrepot: Entrepot, live: Live) -> None:
    """The administrator ends it; it is listed only if revoked ones are asked for, in the product's way too."""
    token = made(entrepot)
    (row,) = entrepot.json("list", "tokens")
    assert entrepot.said("revoke", "token", f"--guid={row['guid']}") == [f"Revoked token {row['guid']} of admin"]
    assert entrepot.json("list", "tokens") == []
    assert [row["state"] for row in entrepot.json("list", "tokens", "--revoked=yes", "--expired=no")] == ["revoked"]
    assert "    Revoked: 2024-03-01 12:00 UTC by admin" in entrepot.said("list", "tokens", "--revoked")
    entrepot.token = token
    assert entrepot.failed("whoami")[0] == 3


def test_a_token_that_is_given_up(entrepot: Entrepot, live: Live) -> None:
    """`--token` alone is the token that ends itself; it needs no right for that."""
    token, admin = made(entrepot), entrepot.token
    (row,) = entrepot.json("list", "tokens")
    entrepot.token = token
    assert entrepot.said("revoke", "token") == [f"Revoked token {row['guid']} of admin"]
    assert entrepot.failed("revoke", "token")[0] == 3
    entrepot.token = admin
    assert entrepot.json("list", "tokens", "--revoked")[0]["revoked_by"] == "admin"


@pytest.mark.one_shape
def test_a_revocation_of_nothing(bare: Entrepot, live: Live) -> None:
    """Neither guid nor token is a usage error (2), an unknown guid is not found (4)."""
    assert bare.failed("revoke", "token")[0] == 2
    assert Entrepot(live.address, live.token).failed("revoke", "token", "--guid=no")[0] == 4


def test_whoami_of_the_administrator(entrepot: Entrepot) -> None:
    """The administrator of the data folder may do everything, with no token that could be listed."""
    assert entrepot.said("whoami") == ["admin", "  Scopes: global:admin"]
    entrepot.token = "wrong"
    code, said = entrepot.failed("whoami")
    assert (code, said[1]) == (
        3,
        "Hint: give a token: --token, ENTREPOT_TOKEN, `entrepot login` or `entrepot login sso`",
    )


def test_closed_and_open_repositories(entrepot: Entrepot) -> None:
    """`--authenticated` closes a repository, `=false` opens it, and what isn't given stays."""
    made_ = entrepot.said("create", "repo", "--name=demo", "--authenticated")
    assert made_ == ["Repository: demo - R - authenticated"]
    assert entrepot.said("edit", "repo", "--name=demo", "--description=d") == [
        "Repository: demo - d - R - authenticated"
    ]
    assert "Repository: demo - d - R - authenticated" in entrepot.said("list", "repos")
    assert entrepot.said("edit", "repo", "--name=demo", "--authenticated=false") == ["Repository: demo - d - R"]
    assert entrepot.json("edit", "repo", "--name=demo", "--authenticated=true")["auth"] is True
    assert entrepot.json("edit", "repo", "--name=demo", "--no-authenticated")["auth"] is False
    assert entrepot.json("create", "repo", "--name=open", "--authenticated=false")["auth"] is False
