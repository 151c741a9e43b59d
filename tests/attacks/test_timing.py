"""Comparisons of secrets take as long whatever is wrong: by how they are made, which a clock could only suggest.

A statistical test would measure the machine. What can be shown for sure is which comparisons there are: of hashes in an
index, whose outcome tells nothing of a text, and `hmac.compare_digest` for the rest.
"""

from __future__ import annotations

import ast
import hmac
from pathlib import Path
from typing import Any

import pytest

import entrepot
from entrepot.core import tokens as texts
from entrepot.core.access import INSIDE, Scope
from entrepot.operations.tokens import create_token
from tests.attacks.test_token_attacks import statements
from tests.support.server import Live

pytestmark = pytest.mark.one_shape

ROOT = Path(entrepot.__file__).parent
SECRET = frozenset(
    {"token", "_token", "secret", "client_secret", "password", "session", "verifier", "state", "nonce", "cookie"}
    | {"admin_token", "given_token", "csrf", "csrf_token", "device_code", "user_code", "code_verifier", "challenge"}
)
"""Names that secrets have in this code."""
DOORS = ("web", "operations", "client", "db", "issuers.py", "core/tokens.py", "core/identitytokens.py")
KNOWN = {
    ("operations", "state"),  # of a job, of a device login: words that everybody knows
    ("client", "state"),
    ("web", "state"),
    ("db", "state"),
    ("core/identitytokens.py", "nonce"),  # with a claim that the issuer signed: nobody can try one after the other
}


def _compared() -> list[str]:
    """Comparisons by `==` and `!=` of what is called a secret, in the modules that have some."""
    found = []
    for door in DOORS:
        place = ROOT / door
        for file in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            for node in ast.walk(ast.parse(file.read_text())):
                if not isinstance(node, ast.Compare) or not isinstance(node.ops[0], (ast.Eq, ast.NotEq)):
                    continue
                sides = [node.left, *node.comparators]
                names = {_name(side) for side in sides} & SECRET
                if any(isinstance(side, ast.Constant) or ".c." in ast.unparse(side) for side in sides):
                    continue  # with a word of the code itself, or by the database in an index
                found += [
                    f"{door} {file.name}:{node.lineno} {ast.unparse(node)}"
                    for name in names
                    if (door, name) not in KNOWN
                ]
    return found


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def test_no_secret_is_compared_character_by_character() -> None:
    """Nowhere is a token, password, code or cookie compared by `==`, which ends at the first difference."""
    assert _compared() == []


def test_the_administrators_token_is_compared_whole(site: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each token that comes is compared to the administrator's by `hmac.compare_digest`, however long."""
    compared: list[tuple[bytes, bytes]] = []
    compare = hmac.compare_digest

    def note(one: Any, other: Any) -> bool:
        compared.append((one, other))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", note)
    for wrong in ("x", site.token[:-1] + "?", "\xe9" * 50, texts.make_token()):
        compared.clear()
        assert site.door._found(wrong) is None
        assert compared == [(wrong.encode(), site.token.encode())]


@pytest.fixture
def site(live: Live) -> Live:
    return live


def test_other_tokens_are_found_by_their_hash(site: Live) -> None:
    """What reaches the database is the SHA-256 of the text, and the same statement whether there is one or not."""
    made = create_token(site.app, scopes=[Scope.GLOBAL_ADMIN], description="x", by=INSIDE).text
    asked = []
    for text in (made, texts.make_token()):
        with statements(site.app) as noted:
            site.door._found(text)
        asked.append([each for each in noted if "tokens" in each])
    assert asked[0] == asked[1]
    assert len(asked[0]) == 1
    assert "tokens.digest =" in asked[0][0]


def test_refusals_cost_the_database_the_same(site: Live) -> None:
    """A closed repository and a name that nobody has are looked up by the same statements, also after somebody with a
    token was there."""
    for path, body in (
        ("/sources", {"name": "hoard"}),
        ("/repos", {"name": "vault", "authenticated": True}),
        ("/repos/vault/sources", {"source": "hoard"}),
    ):
        assert site.api("POST", path, body)[0] in (200, 201)
    paths = "/vault/latest/src/contrib/PACKAGES", "/vaulz/latest/src/contrib/PACKAGES"
    for _ in range(2):
        asked = []
        for path in paths:
            with statements(site.app) as noted:
                assert site.get(path).status == 401
            asked.append([each for each in noted if "repositories" in each or "catalogue" in each])
        assert asked[0] == asked[1]
        assert len(asked[0]) >= 3
        for _ in range(2):
            assert site.get(paths[0], Authorization=f"Bearer {site.token}").status == 200
