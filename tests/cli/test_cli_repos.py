"""Repositories and their subscriptions, as the administrator types them."""

from __future__ import annotations

from tests.cli.conftest import Entrepot


def test_create_repo_prints_its_line(entrepot: Entrepot) -> None:
    """`create repo` answers with name, description and type in the product's form."""
    said = entrepot.said("create", "repo", "--name=demo", "--description=Access CRAN packages")
    assert said == ["Repository: demo - Access CRAN packages - R"]


def test_create_repo_without_description(entrepot: Entrepot) -> None:
    """A repository without a description has none in its line; the type is read in any case."""
    assert entrepot.said("create", "repo", "--name", "pypi", "--type", "Python") == ["Repository: pypi - Python"]


def test_create_repo_as_json(entrepot: Entrepot) -> None:
    """JSON is the API's repository."""
    made = entrepot.json("create", "repo", "--name=demo", "--description=d")
    known = {key: made[key] for key in ("name", "type", "description", "auth", "sources", "transaction")}
    assert known == {
        "name": "demo",
        "type": "R",
        "description": "d",
        "auth": False,
        "sources": [],
        "transaction": None,
    }


def test_create_repo_twice(entrepot: Entrepot) -> None:
    """A taken name is a conflict (5), unless success was asked for."""
    entrepot.said("create", "repo", "--name=demo")
    code, said = entrepot.failed("create", "repo", "--name=demo")
    assert (code, said[0]) == (5, "Error: a repository named 'demo' exists")
    assert entrepot.said("create", "repo", "--name=demo", "--succeed-on-existing") == ["Repository: demo - R"]


def test_edit_repo(entrepot: Entrepot) -> None:
    """`edit repo` changes only what was given; '' empties a description."""
    entrepot.said("create", "repo", "--name=demo", "--description=one")
    assert entrepot.said("edit", "repo", "--name=demo", "--new-name=prod") == ["Repository: prod - one - R"]
    assert entrepot.said("edit", "repo", "--name=prod", "--description=") == ["Repository: prod - R"]
    assert entrepot.json("edit", "repo", "--name=prod", "--description=two")["description"] == "two"


def test_edit_repo_without_a_change(entrepot: Entrepot) -> None:
    """Nothing to change is a usage error (2)."""
    said = entrepot.failed("edit", "repo", "--name=demo")
    assert said == (2, ["Error: nothing to change", "Hint: give --new-name, --description or --authenticated"])


def test_delete_repo(entrepot: Entrepot) -> None:
    """A deleted repository is gone; deleting it again finds nothing (4)."""
    for name in ("one", "two"):
        entrepot.said("create", "repo", f"--name={name}")
    assert entrepot.said("delete", "repo", "--name=one") == ["Deleted repository 'one'"]
    assert entrepot.json("delete", "repo", "--name=two") == {"repository": "two", "deleted": True}
    assert entrepot.failed("delete", "repo", "--name=one")[0] == 4


def test_a_name_that_would_leave_its_path(entrepot: Entrepot) -> None:
    """A name that would mean another address is refused before it is sent."""
    for name in ("", ".", ".."):
        assert entrepot.failed("delete", "repo", f"--name={name}")[0] == 2
    assert entrepot.failed("delete", "repo", "--name=a/../b?c#d")[0] == 4


def test_subscribe_shows_the_order(entrepot: Entrepot) -> None:
    """`subscribe` adds at the end and shows the sources in order."""
    _demo(entrepot)
    said = entrepot.said("subscribe", "--repo=demo", "--source=other")
    assert said == ["Repository: demo", "Sources:", "--internal (Local)", "--other (Local)"]


def test_subscribe_twice(entrepot: Entrepot) -> None:
    """A second subscription is a conflict (5), unless success was asked for."""
    _demo(entrepot)
    assert entrepot.failed("subscribe", "--repo=demo", "--source=internal")[0] == 5
    repository = entrepot.json("subscribe", "--repo=demo", "--source=internal", "--succeed-on-existing")
    assert repository["sources"] == ["internal"]


def test_unsubscribe(entrepot: Entrepot) -> None:
    """`unsubscribe` shows what is left."""
    _demo(entrepot)
    assert entrepot.said("unsubscribe", "--repo=demo", "--source=internal") == ["Repository: demo", "Sources: none"]
    assert entrepot.failed("unsubscribe", "--repo=demo", "--source=internal")[0] == 4


def test_reorder_takes_commas_and_repetition(entrepot: Entrepot) -> None:
    """The new order may be one list or several flags."""
    _demo(entrepot)
    entrepot.said("subscribe", "--repo=demo", "--source=other")
    said = entrepot.said("reorder", "--repo=demo", "--sources=other,internal")
    assert said == ["Repository: demo", "Sources:", "--other (Local)", "--internal (Local)"]
    repository = entrepot.json("reorder", "--repo=demo", "--sources", "internal", "--sources", "other")
    assert repository["sources"] == ["internal", "other"]


def test_reorder_by_nothing(entrepot: Entrepot) -> None:
    """An empty order is a usage error (2)."""
    code, said = entrepot.failed("reorder", "--repo=demo", "--sources=")
    assert (code, said[0]) == (2, "Error: '--sources' names no source")


def _demo(entrepot: Entrepot) -> None:
    """A repository with one of two sources."""
    entrepot.said("create", "repo", "--name=demo")
    entrepot.said("create", "source", "--name=internal")
    entrepot.said("create", "source", "--name=other")
    entrepot.said("subscribe", "--repo=demo", "--source=internal")
