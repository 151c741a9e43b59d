"""Repositories, sources and subscriptions: names, types, order, and what old snapshots keep."""

from __future__ import annotations

import pytest

from entrepot.app import App
from entrepot.core.errors import AlreadySubscribed, Invalid, InvalidName, NameTaken, NotFound, SourceInUse, WrongType
from entrepot.core.model import RepositoryType, SourceType
from entrepot.operations import activity, browsing, sources
from entrepot.operations import repositories as repos


def make(app: App, *names: str) -> None:
    for name in names:
        sources.create_source(app, name, type_=SourceType.LOCAL)


def test_the_first_start_makes_the_defaults_once(app: App) -> None:
    """A new installation has the sources and repositories cran and pypi; deleted ones are not made again."""
    from entrepot.operations.setup import ensure_defaults

    assert [(info.repository.name, [s.name for s in info.sources]) for info in repos.list_repositories(app)] == [
        ("cran", ["cran"]),
        ("pypi", ["pypi"]),
    ]
    repos.delete_repository(app, "cran")
    repos.delete_repository(app, "pypi")
    ensure_defaults(app)
    assert repos.list_repositories(app) == []


@pytest.mark.parametrize(
    "name", ["", "a b", "../x", "a/b", "-x", "x.", "ä", "__linux__", "a" * 101, "x\n", "upload", "a..b"]
)
def test_names_that_are_not_allowed(app: App, name: str) -> None:
    """A name that could not stand in a URL, or is a word of ours, is refused."""
    with pytest.raises(InvalidName):
        repos.create_repository(app, name, type_=RepositoryType.R)


def test_taken_names(app: App) -> None:
    """A second one of a name is refused; with succeed_on_existing it is the same one, unless its type differs."""
    made, is_new = repos.create_repository(app, "r1", type_=RepositoryType.R)
    assert is_new
    with pytest.raises(NameTaken):
        repos.create_repository(app, "r1", type_=RepositoryType.R)
    assert repos.create_repository(app, "r1", type_=RepositoryType.R, succeed_on_existing=True) == (made, False)
    with pytest.raises(NameTaken):
        repos.create_repository(app, "r1", type_=RepositoryType.PYTHON, succeed_on_existing=True)
    with pytest.raises(NameTaken):
        repos.edit_repository(app, "r1", name="cran")


def test_types_must_fit(app: App) -> None:
    """A Python repository takes no R source."""
    repos.create_repository(app, "py", type_=RepositoryType.PYTHON)
    with pytest.raises(WrongType, match="source type must be compatible with repository type"):
        repos.subscribe(app, "py", "cran", actor="test")


def test_subscriptions_are_transactions(app: App) -> None:
    """Subscribing, reordering and unsubscribing are one transaction each, with actor and message."""
    make(app, "a", "b")
    repos.create_repository(app, "all", type_=RepositoryType.R)
    repos.subscribe(app, "all", "a", actor="ada")
    repos.subscribe(app, "all", "b", actor="ada")
    repos.reorder(app, "all", ["b", "a"], actor="bob")
    repos.reorder(app, "all", ["b", "a"], actor="bob")
    repos.unsubscribe(app, "all", "a", actor="ada")
    rows, total = activity.list_transactions(app, repo="all", page=browsing.Page())
    assert total == 4
    assert [(row.transaction.actor, row.transaction.message) for row in rows] == [
        ("ada", "unsubscribed from a"),
        ("bob", "reordered: b, a"),
        ("ada", "subscribed to b"),
        ("ada", "subscribed to a"),
    ]


def test_wrong_subscriptions(app: App) -> None:
    """Twice the same, an unknown one, an order that is not complete: refused, nothing changed."""
    make(app, "a", "b")
    repos.create_repository(app, "all", type_=RepositoryType.R)
    repos.subscribe(app, "all", "a", actor="test")
    with pytest.raises(AlreadySubscribed):
        repos.subscribe(app, "all", "a", actor="test")
    repos.subscribe(app, "all", "a", actor="test", succeed_on_existing=True)
    with pytest.raises(NotFound):
        repos.unsubscribe(app, "all", "b", actor="test")
    with pytest.raises(NotFound):
        repos.subscribe(app, "all", "nope", actor="test")
    for order in (["a", "b"], ["a", "a"], []):
        with pytest.raises(Invalid, match="each source"):
            repos.reorder(app, "all", order, actor="test")
    assert [s.name for s in repos.repository_info(app, "all").sources] == ["a"]


def test_a_used_source_is_not_deleted(app: App) -> None:
    """A source can be deleted once no repository subscribes to it; its name is then free."""
    make(app, "a")
    repos.create_repository(app, "all", type_=RepositoryType.R)
    repos.subscribe(app, "all", "a", actor="test")
    with pytest.raises(SourceInUse, match="used by all"):
        sources.delete_source(app, "a")
    repos.unsubscribe(app, "all", "a", actor="test")
    sources.delete_source(app, "a")
    make(app, "a")


def test_predefined_sources_stay(app: App) -> None:
    """The source cran is neither made, renamed nor deleted by hand."""
    for attempt in (
        lambda: sources.create_source(app, "cran2", type_=SourceType.CRAN),
        lambda: sources.rename_source(app, "cran", "x"),
        lambda: sources.delete_source(app, "cran"),
        lambda: sources.create_source(app, "b", type_=SourceType.BIOCONDUCTOR),
    ):
        with pytest.raises(Invalid):
            attempt()


def test_names_and_ids_both_find(app: App) -> None:
    """A repository or source is found by its name or its id; a name of digits goes before an id."""
    make(app, "a")
    info = sources.source_info(app, "a")
    assert sources.source_info(app, str(info.source.id)) == info
    make(app, str(info.source.id))
    assert sources.source_info(app, str(info.source.id)).source.name == str(info.source.id)
