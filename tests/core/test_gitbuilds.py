"""What a look at an endpoint changes: commits and tags that are new, moved, gone, or back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from entrepot.core.gitbuilds import (
    ATTEMPTS,
    News,
    Update,
    UpdateState,
    news_of_branch,
    news_of_tags,
    wait_after,
)

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
WAITING, BUILT, IGNORED = UpdateState.WAITING, UpdateState.BUILT, UpdateState.IGNORED
SUPERSEDED, GONE = UpdateState.SUPERSEDED, UpdateState.GONE


def update(
    id: int,
    sha: str,
    state: UpdateState = BUILT,
    *,
    tag: str | None = None,
    version: str | None = None,
    seen: datetime = NOON,
    made: int | None = None,
    due: datetime | None = None,
) -> Update:
    return Update(id, 1, tag, sha, seen, made, state, 0, due, version)


def test_the_first_commit_is_new() -> None:
    assert news_of_branch("a", []) == News(new=((None, "a"),))


def test_a_commit_that_is_known_is_no_news_whatever_became_of_it() -> None:
    for state in (WAITING, BUILT, IGNORED):
        assert not news_of_branch("a", [update(1, "a", state)])


def test_several_commits_are_one_update_and_what_waited_is_superseded() -> None:
    waiting = update(2, "b", WAITING)
    news = news_of_branch("d", [update(1, "a"), waiting])
    assert news == News(new=((None, "d"),), superseded=(waiting,))


def test_a_branch_that_went_back_has_a_new_update() -> None:
    assert news_of_branch("a", [update(1, "a"), update(2, "b")]).new == ((None, "a"),)


def test_each_new_tag_is_an_update_of_its_own() -> None:
    news = news_of_tags({"v1.0": "a", "v1.1": "b", "v1.2": "c"}, [update(1, "a", tag="v1.0")])
    assert news == News(new=(("v1.1", "b"), ("v1.2", "c")))


def test_new_tags_come_in_the_order_of_their_versions() -> None:
    tags = {"nightly": "x", "v1.10": "c", "v1.9": "b", "0.9-1": "a", "v1.9.1": "d"}
    assert [tag for tag, _ in news_of_tags(tags, []).new] == ["0.9-1", "v1.9", "v1.9.1", "v1.10", "nightly"]


def test_a_tag_that_moved_is_built_again_and_what_waited_of_it_is_not() -> None:
    waiting = update(1, "a", WAITING, tag="v1.0")
    assert news_of_tags({"v1.0": "b"}, [waiting]) == News(new=(("v1.0", "b"),), superseded=(waiting,))
    assert news_of_tags({"v1.0": "b"}, [update(1, "a", tag="v1.0")]) == News(new=(("v1.0", "b"),))


def test_a_tag_that_is_removed_is_gone_once() -> None:
    built = update(1, "a", tag="v1.0", version="1.0")
    assert news_of_tags({}, [built]) == News(gone=(built,))
    assert not news_of_tags({}, [update(1, "a", GONE, tag="v1.0", version="1.0")])


def test_a_tag_that_came_back_is_new() -> None:
    assert news_of_tags({"v1.0": "a"}, [update(1, "a", GONE, tag="v1.0")]).new == (("v1.0", "a"),)


def test_the_other_tag_of_a_version_has_its_turn_when_the_newer_one_goes() -> None:
    older = update(1, "a", SUPERSEDED, tag="1.0", version="1.0")
    newer = update(2, "b", BUILT, tag="v1.0", version="1.0")
    assert news_of_tags({"1.0": "a"}, [older, newer]) == News(gone=(newer,), again=(older,))


def test_what_was_built_from_another_endpoint_stays_and_counts_where_it_is_found_again() -> None:
    here = update(1, "a", UpdateState.KEPT, tag="v1.0", version="1.0")
    away = update(2, "b", UpdateState.KEPT, tag="v1.1", version="1.1")
    assert news_of_tags({"v1.0": "a"}, [here, away]) == News(gone=(away,), confirmed=(here,))
    assert news_of_tags({"v1.0": "c", "v1.1": "b"}, [here, away]) == News(new=(("v1.0", "c"),), confirmed=(away,))


def test_of_two_tags_the_one_that_was_found_later_is_newer() -> None:
    early, late = update(1, "a", made=900), update(2, "b", made=100, seen=NOON + timedelta(minutes=5))
    assert late.is_newer_than(early)
    assert not early.is_newer_than(late)


def test_of_two_tags_found_together_the_one_made_later_is_newer() -> None:
    assert update(1, "a", made=900).is_newer_than(update(2, "b", made=100))


def test_what_waits_is_due_at_its_time() -> None:
    assert update(1, "a", WAITING).is_due(NOON)
    assert update(1, "a", WAITING, due=NOON).is_due(NOON)
    assert not update(1, "a", WAITING, due=NOON + timedelta(seconds=1)).is_due(NOON)
    assert not update(1, "a", BUILT).is_due(NOON)


def test_waits_grow_and_go_on() -> None:
    waits = [wait_after(number) for number in range(1, ATTEMPTS + 4)]
    assert waits == sorted(waits)
    assert waits[0] < waits[1]


@given(st.lists(st.dictionaries(st.sampled_from(["1.0", "v1.0", "1.1", "2.0"]), st.sampled_from("abc"), max_size=4)))
def test_after_any_history_of_tags_what_is_known_is_what_is_there(looks: list[dict[str, str]]) -> None:
    """Whatever tags come, move and go: after each look every tag has one open update at its commit, and a second look
    at the same tags finds nothing."""
    updates: list[Update] = []
    for tags in looks:
        for _ in range(2):
            news = news_of_tags(tags, updates)
            changed = {each.id: SUPERSEDED for each in news.superseded} | {each.id: GONE for each in news.gone}
            updates = [update(u.id, u.sha, changed.get(u.id, u.state), tag=u.tag) for u in updates]
            updates += [
                update(len(updates) + number, sha, WAITING, tag=tag) for number, (tag, sha) in enumerate(news.new, 1)
            ]
        assert not news
        newest = {u.tag: u for u in updates if u.state is not GONE}
        assert {tag: u.sha for tag, u in newest.items()} == tags
