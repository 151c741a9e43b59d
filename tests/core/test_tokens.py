"""Texts of tokens."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from entrepot.core.tokens import LONGEST, digest, is_token, make_token, start_of

END = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_token_is_found_by_its_prefix_and_checksum() -> None:
    """What a secret scanner looks for; no two are the same."""
    made = {make_token() for _ in range(200)}
    assert len(made) == 200
    assert all(re.fullmatch(r"entrepot_[0-9A-Za-z]{46}", token) and is_token(token) for token in made)


def test_one_with_an_end_tells_it_as_clients_read_it() -> None:
    """Three parts, the second a JSON object with `exp` in seconds; short enough for the name of a file."""
    token = make_token(END)
    head, claims, secret = token.split(".")
    assert json.loads(base64.urlsafe_b64decode(claims + "==")) == {"exp": int(END.timestamp())}
    assert json.loads(base64.urlsafe_b64decode(head + "==")) == {"alg": "none"}
    assert is_token(token)
    assert not is_token(secret)  # its checksum is of the whole
    assert len(token) <= 110


@given(st.integers(min_value=0, max_value=54), st.characters(codec="ascii"))
def test_a_changed_character_shows(place: int, character: str) -> None:
    """A token that was mistyped is told from one that ended without asking the database."""
    token = make_token()
    changed = token[:place] + character + token[place + 1 :]
    assert is_token(changed) == (changed == token)


def test_what_is_no_token() -> None:
    for text in ("", "entrepot_", "entrepot_" + "0" * 46, make_token() + "\n", " " + make_token(), "x" * (LONGEST + 1)):
        assert not is_token(text)


def test_what_is_kept_and_shown_is_not_the_token() -> None:
    """A hash of 64 digits, and the first characters for lists."""
    token = make_token(END)
    assert re.fullmatch("[0-9a-f]{64}", digest(token))
    assert start_of(token) == token.split(".")[2][:13]
