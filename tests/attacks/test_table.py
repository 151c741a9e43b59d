"""The table of attacks in `docs/security.md` is true as far as a program can tell."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "docs" / "security.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TABLE)))
ATTACKS = (
    *("`alg: none`", "HS256 signed with the public key", "unknown `kid`", "`jwk`", "`jku`", "expired", "not yet valid"),
    *("wrong issuer", "wrong audience", "wrong subject", "wrong authorized party", "only contains the allowed one"),
    *("a token of another federation", "replayed device codes", "a stolen device code without its verifier"),
    *("scope escalation by exchange", "a token for one repository used on another", "after revoke", "renamed"),
    *("`//`", "`%2e%2e`", "`%2f`", "upper case", "trailing dots", "another repository's file by its hash", "Range"),
    *("HEAD", "304", "uploads", "CSRF", "session fixation", "open redirects", "clickjacking", "a token in a URL"),
    *("logs", "credential stuffing", "timing of token comparison", "1 MB headers", "JWKS of 10 MB", "a redirect loop"),
    *("requests to addresses that the settings don't name", "a copy of the database", "odd Authorization headers"),
)
"""What people try, in the first column."""


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_each_test_that_is_named_is_there(path: str, name: str) -> None:
    """A test that was renamed is renamed in the table."""
    tree = ast.parse((ROOT / path).read_text())
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_each_file_of_attacks_is_named() -> None:
    """A new file of attacks has rows in the table."""
    files = {f"tests/attacks/{file.name}" for file in Path(__file__).parent.glob("test_*.py")}
    assert files - {"tests/attacks/test_table.py"} <= {path for path, _ in NAMED}


@pytest.mark.parametrize("attack", ATTACKS)
def test_each_attack_has_a_row_with_a_test(attack: str) -> None:
    """What the server promises to refuse is in the first column, with a test in the last."""
    rows = [line.split(" | ") for line in TABLE.splitlines() if line.startswith("| ") and "::" in line]
    assert all(len(row) == 3 for row in rows)
    assert [row for row in rows if attack in row[0] and "::" in row[2]]
