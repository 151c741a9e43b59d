"""What is kept of the last requests, by number and by weight."""

from __future__ import annotations

from entrepot.recent import Recent


def test_the_last_ones_are_kept() -> None:
    """What was used longest ago goes first."""
    recent: Recent[str] = Recent(2)
    recent.put("a", "A")
    recent.put("b", "B")
    assert recent.get("a", lambda: "other") == "A"
    assert recent.get("c", lambda: "C") == "C"
    assert [recent.find(key) for key in "abc"] == ["A", None, "C"]


def test_as_many_as_the_weight_allows() -> None:
    """Heavy values push out more than light ones; one stays however heavy it is, and a new weight replaces the old."""
    recent: Recent[str] = Recent(10)
    for key in "abc":
        recent.put(key, key, 3)
    recent.put("d", "d", 4)
    assert [recent.find(key) for key in "abcd"] == [None, "b", "c", "d"]
    recent.put("d", "D", 1)
    recent.put("e", "e", 3)
    assert [recent.find(key) for key in "bcde"] == ["b", "c", "D", "e"]
    recent.put("f", "f", 99)
    assert [recent.find(key) for key in "bcdef"] == [None, None, None, None, "f"]
