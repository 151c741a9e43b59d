"""Claims -> who and what: names that can't be borrowed, subjects, roles and groups as the settings map them."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pytest

from entrepot.core.access import ScopeText, parse_scope
from entrepot.core.errors import Forbidden, IdentityRefused
from entrepot.operations import identity
from entrepot.operations.identity import Identified
from entrepot.settings import Settings, load_settings

GUIDE = Path(__file__).parents[2] / "docs" / "federation.md"

FEDERATION = {"issuer": "https://connect.example/", "audience": "package-manager", "subject": "connect"}


def settings(federation: dict[str, Any] | None = None, **sections: Any) -> Settings:
    """Settings with the federation `connect`, with these other values of it."""
    return Settings.model_validate({"identity_federation": {"connect": FEDERATION | (federation or {})}, **sections})


def of_connect(claims: dict[str, Any], federation: dict[str, Any] | None = None, **sections: Any) -> Identified:
    return identity.of_federation(settings(federation, **sections), "connect", {"sub": "connect", **claims})


def signed_in(claims: dict[str, Any], *, federations: dict[str, Any] | None = None, **values: Any) -> Identified:
    """Who somebody is who signed in; everybody may read."""
    section = {"issuer": "https://login.example", "client_id": "entrepot", "scope": ["repos:read:*"], **values}
    whole = Settings.model_validate({"openid_connect": section, "identity_federation": federations or {}})
    return identity.of_sign_in(whole, {"sub": "id-7", **claims})


def scopes(*texts: str) -> tuple[ScopeText, ...]:
    return tuple(parse_scope(text) for text in texts)


@pytest.mark.parametrize(
    ("allowed", "subject", "is_taken"),
    [
        ("connect", "connect", True),
        ("connect", "connect2", False),
        ("connect", "a connect", False),
        ("connect", "Connect", False),
        ("connect", "connect\n", False),
        ("repo:org/x", "repo:org/xy", False),
        ("repo.org", "repo-org", False),
        ("^repo:org/.*:ref:refs/heads/main$", "repo:org/tools:ref:refs/heads/main", True),
        ("^repo:org/.*:ref:refs/heads/main$", "repo:org/tools:ref:refs/heads/main-2", False),
        ("^repo:org/.*:ref:refs/heads/main$", "x-repo:org/tools:ref:refs/heads/main", False),
        ("^repo:org/.*$", "repo:org/x\n", False),
        ("^repo:org/.*$", "repo:org-evil/x", False),
        ("^one|two$", "two", True),
        ("^one|two$", "two and more", False),
        ("^one|two$", "one and more", False),
    ],
)
def test_subjects(allowed: str, subject: str, is_taken: bool) -> None:
    """A subject is the allowed one as a whole, or fits the pattern as a whole."""
    if is_taken:
        assert of_connect({"sub": subject}, {"subject": allowed}).identity == subject
    else:
        with pytest.raises(IdentityRefused, match="subject"):
            of_connect({"sub": subject}, {"subject": allowed})


@pytest.mark.parametrize("subject", [None, "", 7, ["connect"], {"connect": 1}, "c" * 1001])
def test_what_is_no_subject(subject: Any) -> None:
    """A subject that isn't a text of sensible length is refused, whatever the pattern says."""
    with pytest.raises(IdentityRefused, match="subject"):
        of_connect({"sub": subject}, {"subject": "^.*$"})


def test_roles_written_as_scopes() -> None:
    """What Connect sends as roles is given as it stands, in each of the forms that it may have."""
    wanted = scopes("repos:read:*", "sources:write:tools")
    for roles in (["repos:read:*", "sources:write:tools"], "repos:read:* sources:write:tools"):
        assert of_connect({"roles": roles}, {"role_claim": "roles"}).scopes == wanted
    found = of_connect({"roles": "repos:read:*;sources:write:tools"}, {"role_claim": "roles", "roles_separator": ";"})
    assert found.scopes == wanted


@pytest.mark.parametrize("role", ["global:admin", "blocklist:admin", "metadata:admin", "global:admin repos:read:*"])
def test_administrative_roles_come_by_a_mapping_alone(role: str) -> None:
    """No issuer makes an administrator by itself."""
    admin = {"global:admin", "blocklist:admin", "metadata:admin"}
    found = of_connect({"roles": [role]}, {"role_claim": "roles"})
    assert admin.isdisjoint(map(str, found.scopes))
    mapped = of_connect(
        {"roles": ["boss"]}, {"role_claim": "roles"}, role_to_scope_mapping={"boss": {"scope": ["global:admin"]}}
    )
    assert mapped.scopes == scopes("global:admin")


def test_roles_and_groups_count_where_the_settings_read_them() -> None:
    """A claim that no setting names gives nothing, and a role is no group."""
    mapping = {"x": {"scope": ["repos:read:*"]}}
    claims = {"roles": ["repos:read:*", "x"], "groups": ["x"]}
    assert of_connect(claims, group_to_scope_mapping=mapping, role_to_scope_mapping=mapping).scopes == ()
    assert of_connect({"groups": ["repos:read:*"]}, {"groups_claim": "groups"}).scopes == ()
    assert of_connect({"roles": ["x"]}, {"role_claim": "roles"}, group_to_scope_mapping=mapping).scopes == ()


def test_mappings() -> None:
    """Groups and roles give what their sections say, with names that a section can't have and for some alone."""
    mappings = {
        "group_to_scope_mapping": {
            "analysts": {"scope": ["repos:read:team"]},
            "long": {"name": "CN=Data Science,OU=Groups", "scope": ["repos:read:science"]},
            "writers": {"scope": ["sources:write:tools"], "integrations": ["openid_connect"]},
        },
        "role_to_scope_mapping": {"reader": {"scope": ["metadata:read"], "integrations": ["connect"]}},
    }
    claims = {"groups": ["analysts", "CN=Data Science,OU=Groups", "writers", "long"], "roles": "reader"}
    found = of_connect(claims, {"groups_claim": "groups", "role_claim": "roles"}, **mappings)
    assert found.scopes == scopes("repos:read:team", "repos:read:science", "metadata:read")


def test_everybody_gets_what_scope_says() -> None:
    """`scope` is for all of an integration, and each scope counts once."""
    found = of_connect({"roles": ["repos:read:*"]}, {"role_claim": "roles", "scope": "repos:read:*,metadata:read"})
    assert found.scopes == scopes("repos:read:*", "metadata:read")


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"realm_access": {"roles": ["r"]}}, "realm_access.roles"),
        ({"realm_access.roles": ["r"], "realm_access": {"roles": ["other"]}}, "realm_access.roles"),
        ({"kubernetes.io": {"namespace": "r"}}, "kubernetes.io.namespace"),
        ({"https://x.example/roles": ["r"]}, "https://x.example/roles"),
    ],
)
def test_claims_within_claims(claims: dict[str, Any], name: str) -> None:
    """A claim is found by its whole name first, then as a path."""
    assert of_connect(claims, {"role_claim": name}).roles == ("r",)


@pytest.mark.parametrize("value", [None, 7, True, {"a": 1}, [7, None, {"x": 1}, ["r"]], "", [""], {"roles": None}])
def test_claims_of_other_kinds_give_nothing(value: Any) -> None:
    """What is no text and no list of texts is nothing, and no error."""
    found = of_connect({"roles": value}, {"role_claim": "roles", "groups_claim": "roles.x"})
    assert (found.roles, found.groups, found.scopes) == ((), (), ())


def test_federations_have_names_of_their_own() -> None:
    """Whoever comes by a federation is called after it, so nobody can pose as another or as the administrator."""
    assert of_connect({"preferred_username": "admin"}).actor == "connect:admin"
    assert of_connect({"email": "a@x.example"}).actor == "connect:a@x.example"
    assert of_connect({"email": "a@x.example", "email_verified": False}).actor == "connect:connect"
    assert of_connect({"login": "a"}, {"username_claim": "login"}).actor == "connect:a"
    assert of_connect({"name": "somebody else"}).actor == "connect:connect"
    assert of_connect({"uid": 7}, {"unique_id_claim": "uid"}).actor == "connect:7"


@pytest.mark.parametrize("name", ["a\nb", "a\x00", "\ud800", "", " ", "x" * 151, 7, None])
def test_names_that_are_none(name: Any) -> None:
    """A name that can't be shown in one line is passed over for the unique id."""
    assert of_connect({"preferred_username": name}).actor == "connect:connect"


@pytest.mark.parametrize("value", [None, "", "a\nb", ["x"], True, "x" * 1001])
def test_nobody_without_a_unique_id(value: Any) -> None:
    """A token without the claim that tells people apart is of nobody."""
    with pytest.raises(IdentityRefused, match="tells people apart"):
        of_connect({"uid": value}, {"unique_id_claim": "uid"})


def test_people_have_their_plain_names() -> None:
    """Who signs in is called by their user name, address or unique id."""
    assert signed_in({"preferred_username": "alice", "email": "a@x.example"}).actor == "alice"
    assert signed_in({"email": "a@x.example"}).actor == "a@x.example"
    assert signed_in({}).actor == "id-7"
    assert signed_in({}).via == "openid_connect"


@pytest.mark.parametrize(
    "name",
    ["admin", "Admin", "\uff41dmin", " admin ", "setup", "anonymous", "entrepot", "connect:alice", "openid_connect:x"],
)
def test_no_person_poses_as_something_else(name: str) -> None:
    """A name that means something here, or that a federation gives, gets a prefix."""
    found = signed_in({"preferred_username": name}, federations={"connect": FEDERATION})
    assert found.actor == f"openid_connect:{name.strip()}"


def test_who_is_given_nothing_is_told_so() -> None:
    """The refusal says who was accepted by what, and which roles and groups came, so that somebody can help."""
    with pytest.raises(Forbidden) as refused:
        signed_in({"preferred_username": "eve", "groups": ["guests", "all staff"]}, scope=[])
    assert "'eve' was accepted by openid_connect, but nothing is given" in refused.value.message
    assert "groups 'guests', 'all staff'" in refused.value.message
    assert "group_to_scope_mapping" in (refused.value.hint or "")
    none = identity.nothing_given([of_connect({})])
    assert "no roles and no groups" in none.message


def test_decisions_are_logged_where_that_is_set(caplog: pytest.LogCaptureFixture) -> None:
    """`logging = true` writes who was accepted with what; else nothing is written."""
    caplog.set_level(logging.INFO)
    of_connect({"roles": ["repos:read:*"]}, {"role_claim": "roles"})
    assert caplog.text == ""
    of_connect({"roles": ["repos:read:*"]}, {"role_claim": "roles", "logging": True})
    assert "connect accepted 'connect:connect'" in caplog.text
    assert "given repos:read:*" in caplog.text


def test_the_guide(tmp_path: Path) -> None:
    """Each configuration of the guide is one that the server takes, as it stands there."""
    file = tmp_path / "entrepot.toml"
    names = set()
    for block in re.findall(r"```toml\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL):
        federation = (
            ""
            if "ederation" in block
            else '[identity_federation "ci"]\nissuer="https://x"\naudience="x"\nsubject="x"\n'
        )
        file.write_text(federation + block)
        names |= set(load_settings(file, {}).identity_federation)
    assert names == {"ci", "connect", "github", "gitlab", "kubernetes", "workbench"}
