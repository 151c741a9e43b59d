"""Token exchange over HTTP (RFC 8693): what comes of identities as real issuers write them, and every refusal."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from entrepot.settings import Settings
from tests.support.fake_issuer import GRANT, TOKEN_TYPE, FakeIssuer, exchange, federated, reads
from tests.support.server import Clock, Live

CONNECT = {"audience": "package-manager", "subject": "connect", "role_claim": "roles"}


@pytest.fixture
def issuer(clock: Clock) -> Iterator[FakeIssuer]:
    """Posit Connect: its name ends with a slash."""
    with FakeIssuer("/", clock) as server:
        yield server


@pytest.fixture
def site(settings: Settings, clock: Clock, issuer: FakeIssuer) -> Iterator[Live]:
    with federated(settings, clock, {"connect": {"issuer": issuer.issuer, **CONNECT}}) as live:
        yield live


def of_connect(issuer: FakeIssuer, *roles: str, **claims: Any) -> str:
    """An ID token as an integration of Connect sends it."""
    return issuer.token(**{"sub": "connect", "aud": "package-manager", "roles": list(roles), **claims})


def test_the_answer(site: Live, issuer: FakeIssuer) -> None:
    """An identity becomes a short-lived token, and the answer says what it may do and for how long."""
    status, body = exchange(site, of_connect(issuer, "repos:read:*"))
    token = body.pop("access_token")
    assert (status, body) == (
        200,
        {
            "issued_token_type": f"{TOKEN_TYPE}access_token",
            "token_type": "Bearer",
            "expires_in": 3600,
            "scope": "repos:read:*",
        },
    )
    assert (reads(site, token), reads(site, "")) == (200, 401)


def test_the_token_tells_when_it_ends(site: Live, issuer: FakeIssuer, clock: Clock) -> None:
    """Clients read the token's end in its second part, as of a JSON Web Token; after it the token is refused."""
    _, body = exchange(site, of_connect(issuer, "repos:read:*"))
    part = body["access_token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    assert claims["exp"] == int(clock().timestamp()) + 3600
    clock.wait(seconds=3601)
    assert reads(site, body["access_token"]) == 401


@pytest.mark.one_shape
def test_the_form_may_be_of_all_kinds_that_clients_send(site: Live, issuer: FakeIssuer) -> None:
    """The token is an `id_token` or a `jwt`; parameters without a value count as left out, and so does a line's end."""
    text = of_connect(issuer, "repos:read:*")
    for fields in (
        {"subject_token_type": f"{TOKEN_TYPE}jwt"},
        {"requested_token_type": f"{TOKEN_TYPE}access_token"},
        {"scope": "", "audience": "whatever"},
        {"subject_token": f"{text}\n"},
    ):
        assert exchange(site, text, **fields)[0] == 200


BAD_FORMS: list[tuple[dict[str, str | None], str]] = [
    ({"grant_type": None}, "invalid_request"),
    ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
    ({"subject_token": None}, "invalid_request"),
    ({"subject_token_type": None}, "invalid_request"),
    ({"subject_token_type": f"{TOKEN_TYPE}saml2"}, "invalid_request"),
    ({"requested_token_type": f"{TOKEN_TYPE}refresh_token"}, "invalid_request"),
    ({"actor_token": "x"}, "invalid_request"),
    ({"subject_token": "x"}, "invalid_grant"),
    ({"subject_token": "entrepot-identity_x"}, "invalid_grant"),
    ({"subject_token": "entrepot-identity_x", "scope": "repos:read:*"}, "invalid_scope"),
    ({"subject_token": "x" * 20_000}, "invalid_grant"),
    ({"subject_token": "x" * 70_000}, "invalid_request"),
    ({"scope": "nonsense"}, "invalid_scope"),
    ({"scope": "repos:read:team " * 200}, "invalid_scope"),
]


@pytest.mark.one_shape
def test_bad_forms(site: Live, issuer: FakeIssuer) -> None:
    """What is wrong with a request is told in the words of RFC 6749."""
    for fields, error in BAD_FORMS:
        status, body = exchange(site, of_connect(issuer, "repos:read:*"), **fields)
        assert (status, body["error"]) == (400, error), fields
        assert set(body) == {"error", "error_description"}


@pytest.mark.one_shape
def test_what_is_no_form(site: Live, issuer: FakeIssuer) -> None:
    """JSON, a field twice, and bytes that are no text are bad requests."""
    text, kind = of_connect(issuer, "repos:read:*"), "application/x-www-form-urlencoded"
    form = f"grant_type={GRANT}&subject_token={text}&subject_token_type={TOKEN_TYPE}id_token"
    for body, sent in (
        ("{}", "application/json"),
        (f"{form}&scope=repos:read:*&scope=global:admin", kind),
        (b"grant_type=\xff", kind),
        ("subject_token=%ff", kind),
        ("&".join(f"f{n}=1" for n in range(60)), kind),
    ):
        answer = site.pool.request("POST", f"{site.address}/__api__/token", body=body, headers={"Content-Type": sent})
        assert (answer.status, answer.json()["error"]) == (400, "invalid_request")


def test_scope_narrows(site: Live, issuer: FakeIssuer) -> None:
    """`scope` takes a part of what is given: one repository in place of all."""
    assert site.api("POST", "/repos", {"name": "other", "type": "r", "authenticated": True})[0] == 201
    text = of_connect(issuer, "repos:read:* sources:write:tools")
    status, body = exchange(site, text, scope="repos:read:team")
    assert (status, body["scope"]) == (200, "repos:read:team")
    token = body["access_token"]
    assert (reads(site, token), reads(site, token, "other")) == (200, 403)
    assert exchange(site, text)[1]["scope"] == "repos:read:* sources:write:tools"


@pytest.mark.one_shape
def test_scope_never_widens(site: Live, issuer: FakeIssuer) -> None:
    """More than is given is refused, in the same words whether there is something of that name or not."""
    site.api("POST", "/repos", {"name": "other", "type": "r", "authenticated": True})
    for scope in (
        "repos:read:*",
        "repos:read:other",
        "repos:read:team,other",
        "repos:read:nowhere",
        "sources:write:tools",
        "global:admin",
        "repos:read:team global:admin",
        "metadata:admin",
    ):
        status, body = exchange(site, of_connect(issuer, "repos:read:team"), scope=scope)
        assert (status, body["error"]) == (400, "invalid_scope"), scope
        assert body["error_description"].startswith("this identity is not given all that scope asks for")


def test_one_without_access_is_told_so(site: Live, issuer: FakeIssuer) -> None:
    """An identity that is accepted and given nothing gets a refusal that an administrator can act on."""
    for roles, came in (([], "no roles and no groups"), (["viewer"], "roles 'viewer'")):
        status, body = exchange(site, of_connect(issuer, *roles))
        assert (status, body["error"]) == (400, "access_denied")
        assert (
            f"accepted by connect, but nothing is given to it here; it came with {came}" in (body["error_description"])
        )


def test_names_that_there_are_not_give_nothing(site: Live, issuer: FakeIssuer) -> None:
    """A role for a repository that doesn't exist gives no token that would be good for nothing."""
    status, body = exchange(site, of_connect(issuer, "repos:read:nowhere"))
    assert (status, body["error"]) == (400, "access_denied")
    assert exchange(site, of_connect(issuer, "repos:read:nowhere,team"))[1]["scope"] == "repos:read:team"


def test_what_is_written_down(site: Live, issuer: FakeIssuer) -> None:
    """The list of tokens says by which federation it came and for whom, and has nothing of the identity's text."""
    exchange(site, of_connect(issuer, "repos:read:team", preferred_username="alice"))
    status, rows = site.api("GET", "/tokens?kind=federation")
    assert status == 200
    assert [(row["user"], row["via"]) for row in rows] == [("connect:alice", "connect")]


RECIPES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "connect": (
        CONNECT,
        {"sub": "connect", "aud": "package-manager", "roles": ["repos:read:team"], "email": "a@x.example"},
        "connect:a@x.example",
    ),
    "github": (
        {
            "audience": "https://packages.example.com",
            "subject": "^repo:example/[^:]+:ref:refs/heads/main$",
            "scope": ["repos:read:team"],
            "username_claim": "repository",
        },
        {
            "sub": "repo:example/analysis:ref:refs/heads/main",
            "aud": "https://packages.example.com",
            "ref": "refs/heads/main",
            "sha": "9f2c",
            "repository": "example/analysis",
            "repository_owner": "example",
            "actor": "octocat",
            "workflow": "build",
            "event_name": "push",
            "run_id": "1",
            "runner_environment": "github-hosted",
            "job_workflow_ref": "example/analysis/.github/workflows/build.yml@refs/heads/main",
        },
        "github:example/analysis",
    ),
    "gitlab": (
        {
            "audience": "https://packages.example.com",
            "subject": "^project_path:group/[^:]+:ref_type:branch:ref:main$",
            "scope": ["repos:read:team"],
            "username_claim": "user_login",
        },
        {
            "sub": "project_path:group/analysis:ref_type:branch:ref:main",
            "aud": "https://packages.example.com",
            "namespace_path": "group",
            "project_id": "22",
            "project_path": "group/analysis",
            "user_login": "alice",
            "user_email": "a@x.example",
            "ref": "main",
            "ref_type": "branch",
            "ref_protected": "true",
            "pipeline_source": "push",
        },
        "gitlab:alice",
    ),
    "kubernetes": (
        {
            "audience": "package-manager",
            "subject": "^system:serviceaccount:analytics:[a-z0-9-]+$",
            "role_claim": "kubernetes.io.namespace",
        },
        {
            "sub": "system:serviceaccount:analytics:builder",
            "aud": ["package-manager"],
            "kubernetes.io": {
                "namespace": "analytics",
                "pod": {"name": "builder-0", "uid": "5e0e"},
                "serviceaccount": {"name": "builder", "uid": "14ee"},
            },
        },
        "kubernetes:system:serviceaccount:analytics:builder",
    ),
    "workbench": (
        {
            "audience": "package-manager",
            "subject": "^.+$",
            "authorized_party": "workbench",
            "groups_claim": "groups",
            "groups_separator": ",",
        },
        {
            "sub": "0a1b2c",
            "aud": ["package-manager", "other"],
            "azp": "workbench",
            "preferred_username": "alice",
            "groups": "staff,analysts",
        },
        "workbench:alice",
    ),
}
"""Name -> the federation's settings, the claims of a token, and what its bearer is called."""
MAPPINGS = {
    "role_to_scope_mapping": {"analytics": {"scope": ["repos:read:team"], "integrations": ["kubernetes"]}},
    "group_to_scope_mapping": {"analysts": {"scope": ["repos:read:team"]}},
}


@pytest.mark.parametrize("name", RECIPES)
def test_recipes(settings: Settings, clock: Clock, name: str) -> None:
    """With all recipes configured, a token as this issuer writes it reads the closed repository, by its own federation
    alone; one of another subject is refused."""
    _, claims, actor = RECIPES[name]
    with FakeIssuer("/" if name == "connect" else "", clock) as issuer, FakeIssuer("/x", clock) as elsewhere:
        federations = {
            each: {"issuer": issuer.issuer if each == name else elsewhere.issuer, **values}
            for each, (values, _, _) in RECIPES.items()
        }
        with federated(settings, clock, federations, **MAPPINGS) as site:
            status, body = exchange(site, issuer.token(**claims))
            assert (status, body.get("scope")) == (200, "repos:read:team"), body
            assert reads(site, body["access_token"]) == 200
            with site.app.db.read() as connection:
                row = connection.exec_driver_sql("SELECT actor, via, kind FROM tokens").one()
            assert tuple(row) == (actor, name, "federation")
            changed = {"azp": "else"} if name == "workbench" else {"sub": f"evil-{claims['sub']}"}
            status, body = exchange(site, issuer.token(**{**claims, **changed}))
            assert (status, body["error"]) == (400, "invalid_grant")
            assert body["error_description"].startswith(f"{name}: the token's ")
            assert elsewhere.requests == []


def test_integrations_of_one_issuer(settings: Settings, clock: Clock, issuer: FakeIssuer) -> None:
    """Federations of one issuer are told apart by audience and subject; what all give that accept a token is given."""
    federations = {
        "readers": {"issuer": issuer.issuer, **CONNECT},
        "writers": {
            "issuer": issuer.issuer,
            "audience": "writers",
            "subject": "^connect.*$",
            "scope": ["sources:write:tools"],
            "token_lifetime": 600,
        },
    }
    with federated(settings, clock, federations) as site:
        _, one = exchange(site, of_connect(issuer, "repos:read:team"))
        _, other = exchange(site, of_connect(issuer, "repos:read:team", aud="writers"))
        _, both = exchange(site, of_connect(issuer, "repos:read:team", aud=["package-manager", "writers"]))
        _, part = exchange(
            site, of_connect(issuer, "repos:read:team", aud=["package-manager", "writers"], sub="connect-2")
        )
        assert (one["scope"], one["expires_in"]) == ("repos:read:team", 3600)
        assert (other["scope"], other["expires_in"]) == ("sources:write:tools", 600)
        assert (both["scope"], both["expires_in"]) == ("repos:read:team sources:write:tools", 600)
        assert part["scope"] == "sources:write:tools"
        with site.app.db.read() as connection:
            rows = connection.exec_driver_sql("SELECT via FROM tokens ORDER BY id").scalars().all()
        assert rows == ["readers", "writers", "readers, writers", "writers"]
        assert issuer.count(issuer.JWKS) == 1


def test_an_issuer_that_is_away(site: Live, issuer: FakeIssuer, clock: Clock) -> None:
    """While an issuer is away and its keys were never read, clients are told to come again."""
    text = of_connect(issuer, "repos:read:*")
    with issuer.closed():
        answer = site.pool.request_encode_body(
            "POST",
            f"{site.address}/__api__/token",
            fields={"grant_type": GRANT, "subject_token": text, "subject_token_type": f"{TOKEN_TYPE}id_token"},
            encode_multipart=False,
        )
        assert (answer.status, answer.headers["Retry-After"]) == (503, "10")
        assert answer.json()["error"] == "temporarily_unavailable"
    clock.wait(seconds=11)
    assert exchange(site, text)[0] == 200
