"""Who may read and write what, and which sources somebody sees."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from entrepot.app import App
from entrepot.core.access import ANONYMOUS, INSIDE, Access, Scope
from entrepot.core.errors import EntrepotError, Forbidden, Unauthenticated
from entrepot.core.model import RepositoryType, SourceType
from entrepot.db import parts as db_parts
from entrepot.db import repositories as db_repositories
from entrepot.db import sources as db_sources
from entrepot.operations import repositories, sources
from entrepot.operations.access import Sight, admit_to_repository, admit_to_source, admit_to_write, sight
from entrepot.settings import Authentication, Settings
from tests.support.server import Clock, installed

EVERY_READER = Access("reader", {Scope.REPOS_READ: None})
ADMIN = Access("boss", {Scope.GLOBAL_ADMIN: None})


@pytest.fixture
def house(app: App) -> App:
    """The open repository `free` and the closed ones `vault` and `attic`; `both` is shown by free and vault, `hidden`
    by vault alone, `loose` by none."""
    for name in ("both", "hidden", "loose"):
        sources.create_source(app, name, type_=SourceType.LOCAL)
    for name, shown, is_closed in (("free", ["both"], False), ("vault", ["both", "hidden"], True), ("attic", [], True)):
        repositories.create_repository(app, name, type_=RepositoryType.R, is_closed=is_closed)
        for source in shown:
            repositories.subscribe(app, name, source, actor="admin")
    return app


def reader(app: App, *names: str) -> Access:
    with app.db.read() as connection:
        return Access("ann", {Scope.REPOS_READ: frozenset(db_repositories.get(connection, each).id for each in names)})


def writer(app: App, *names: str) -> Access:
    with app.db.read() as connection:
        return Access("ann", {Scope.SOURCES_WRITE: frozenset(db_sources.get(connection, each).id for each in names)})


def seen(app: App, access: Access) -> tuple[set[str], set[str]]:
    """Names of the repositories and the sources that somebody sees, of those of the test."""
    with app.db.read() as connection:
        view = sight(connection, access)
        repos = {each.name for each in db_repositories.live(connection) if view.sees_repository(each.id)}
        found = {each.name for each in db_sources.live(connection) if view.sees_source(each.id)}
    return repos & {"free", "vault", "attic"}, found & {"both", "hidden", "loose"}


def test_who_sees_what(house: App) -> None:
    """A source is seen by those who may read one of its repositories, or may write to it."""
    all_repos, all_sources = {"free", "vault", "attic"}, {"both", "hidden", "loose"}
    assert seen(house, ANONYMOUS) == ({"free"}, {"both"})
    assert seen(house, reader(house, "attic")) == ({"free", "attic"}, {"both"})
    assert seen(house, reader(house, "vault")) == ({"free", "vault"}, {"both", "hidden"})
    assert seen(house, writer(house, "loose")) == ({"free"}, {"both", "loose"})
    assert seen(house, Access("ann", {Scope.SOURCES_WRITE: None})) == ({"free"}, all_sources)
    for everybody in (EVERY_READER, ADMIN, INSIDE):
        assert seen(house, everybody) == (all_repos, all_sources)


def test_a_part_is_seen_as_the_whole(house: App) -> None:
    """Binary packages of a source are a part of it, and what happens to them is told to the same people."""
    with house.db.write() as connection:
        ids = [
            db_parts.ensure(
                connection, db_sources.get(connection, name), "linux/bookworm/4.2/x86_64", SourceType.BINARIES,
                now=house.clock(),
            ).id
            for name in ("both", "hidden", "loose")
        ]  # fmt: skip

    def parts(access: Access) -> list[bool]:
        with house.db.read() as connection:
            view: Sight = sight(connection, access)
        return [view.sees_source(id_) for id_ in ids]

    assert parts(ANONYMOUS) == [True, False, False]
    assert parts(reader(house, "vault")) == [True, True, False]
    assert parts(writer(house, "loose")) == [True, False, True]


def test_nothing_closed_nothing_hidden(house: App) -> None:
    """Where no repository is closed, everybody sees all, sources that no repository shows as well."""
    for name in ("vault", "attic"):
        repositories.edit_repository(house, name, is_closed=False)
    assert seen(house, ANONYMOUS) == ({"free", "vault", "attic"}, {"both", "hidden", "loose"})


def refused(app: App, access: Access, name: str, admit: object) -> EntrepotError | None:
    try:
        admit(app, access, name)  # type: ignore[operator]
    except EntrepotError as error:
        return error
    return None


@pytest.mark.parametrize(
    ("admit", "there", "what"),
    [(admit_to_repository, "vault", "read"), (admit_to_source, "hidden", "read"), (admit_to_write, "hidden", "change")],
)
def test_a_refusal_is_the_same_whether_it_is_there_or_not(house: App, admit: object, there: str, what: str) -> None:
    """Kind, words and hint differ by the name alone; the words say what is needed."""
    nowhere = "x" * len(there)
    for access, kind in ((ANONYMOUS, Unauthenticated), (reader(house, "attic"), Forbidden)):
        found, none = (refused(house, access, name, admit) for name in (there, nowhere))
        assert found is not None
        assert none is not None
        assert type(found) is type(none) is kind
        assert str(found.as_json()).replace(there, nowhere) == str(none.as_json())
        assert what in found.message


@pytest.mark.parametrize(
    ("admit", "name", "may"),
    [
        (admit_to_repository, "free", {"anonymous", "reader", "writer"}),
        (admit_to_repository, "vault", {"reader"}),
        (admit_to_source, "both", {"anonymous", "reader", "writer"}),
        (admit_to_source, "hidden", {"reader", "writer"}),
        (admit_to_source, "loose", set()),
        (admit_to_write, "hidden", {"writer"}),
        (admit_to_write, "both", set()),
    ],
)
def test_who_is_admitted(house: App, admit: object, name: str, may: Collection[str]) -> None:
    """Reading by the repository, writing by the source alone; an administrator everywhere."""
    who = {"anonymous": ANONYMOUS, "reader": reader(house, "vault"), "writer": writer(house, "hidden")}
    assert {key for key, access in who.items() if refused(house, access, name, admit) is None} == may
    assert refused(house, ADMIN, name, admit) is None


def test_ids_open_no_more_than_names(house: App) -> None:
    """A repository is found by its id as well, and closed by it as well."""
    with house.db.read() as connection:
        id_ = str(db_repositories.get(connection, "vault").id)
    assert isinstance(refused(house, ANONYMOUS, id_, admit_to_repository), Unauthenticated)
    assert refused(house, reader(house, "vault"), id_, admit_to_repository) is None


def test_who_reads_everything_is_told_that_there_is_none(house: App) -> None:
    """They are let through to the look-up, which knows it isn't there."""
    assert refused(house, EVERY_READER, "nothing", admit_to_repository) is None
    assert refused(house, EVERY_READER, "nothing", admit_to_source) is None


def test_names_are_hidden_before_the_first_repository_is_closed(settings: Settings, clock: Clock) -> None:
    """Where new ones are closed, nobody learns when the first one comes."""
    closing = settings.model_copy(update={"authentication": Authentication(new_repos_auth_by_default=True)})
    with installed(closing, clock) as app:
        assert isinstance(refused(app, ANONYMOUS, "vault", admit_to_repository), Unauthenticated)
        repositories.create_repository(app, "vault", type_=RepositoryType.R)
        assert isinstance(refused(app, ANONYMOUS, "vault", admit_to_repository), Unauthenticated)
