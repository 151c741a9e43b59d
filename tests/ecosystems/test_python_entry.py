"""Facts of files as text."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from entrepot.core.model import Sha256
from entrepot.ecosystems.python.entry import Entry, pack, unpack

TEXTS = st.none() | st.text(st.characters(codec="utf-8"), max_size=30)
ENTRIES = st.builds(
    Entry,
    requires_python=TEXTS,
    core_metadata=st.none() | st.just(Sha256("0" * 64)),
    yanked=TEXTS,
    upload_time=TEXTS,
    provenance=TEXTS,
    has_signature=st.none() | st.booleans(),
    hashes=st.none() | st.dictionaries(st.text(st.characters(codec="ascii"), max_size=9), st.just("00"), max_size=4),
)


@given(ENTRIES)
def test_an_entry_comes_back(entry: Entry) -> None:
    """Whatever is in it; the empty reason of a yank is not the same as none."""
    assert unpack(pack(entry)) == entry


def test_equal_entries_give_equal_texts() -> None:
    """In whatever order their hashes were told; what isn't told takes no room."""
    one, other = {"sha1": "00", "blake2b_256": "11"}, {"blake2b_256": "11", "sha1": "00"}
    assert pack(Entry(hashes=one)) == pack(Entry(hashes=other))
    assert pack(Entry()) == "{}"
    assert json.loads(pack(Entry(yanked="", has_signature=False))) == {"yanked": "", "gpg-sig": False}


def test_nothing_is_told_of_a_file_that_nobody_read() -> None:
    """Neither with no text nor with an empty one."""
    assert unpack(None) == unpack("") == Entry()
