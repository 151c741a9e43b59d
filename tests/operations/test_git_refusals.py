"""Builders where nothing can build: refused with what to install, each language by itself."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from entrepot.app import App
from entrepot.core.access import Access, Scope
from entrepot.core.errors import Forbidden, Invalid, SandboxUnavailable, Unavailable
from entrepot.core.model import SourceType
from entrepot.operations import builders, building, credentials, sources
from entrepot.operations.builders import Wanted
from entrepot.settings import Settings
from tests.support.server import Clock, installed

pytestmark = pytest.mark.one_shape
URL = "https://git.example.org/team/demo.git"


@pytest.fixture
def app(settings: Settings, clock: Clock) -> Iterator[App]:
    with installed(settings, clock) as app:
        sources.create_source(app, "r", type_=SourceType.GIT)
        sources.create_source(app, "python", type_=SourceType.GIT_PYTHON)
        yield app


def create(app: App, source: str) -> int:
    return builders.create_builder(app, source, Wanted(URL, name="demo"), actor="admin")[1].id


def without(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let a program be missing."""
    which = shutil.which
    monkeypatch.setattr(
        shutil, "which", lambda wanted, *more, **path: None if wanted == name else which(wanted, *more, **path)
    )


def test_without_bubblewrap(app: App, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "bwrap")
    for source in ("r", "python"):
        with pytest.raises(SandboxUnavailable, match="bubblewrap") as caught:
            create(app, source)
        assert "install bubblewrap" in (caught.value.hint or "")
    assert builders.list_builders(app) == []
    assert not building.can_build(app, SourceType.GIT)


def test_without_bubblewrap_where_that_is_allowed(
    settings: Settings, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "bwrap")
    allowed = settings.model_copy(update={"git": settings.git.model_copy(update={"allow_unsandboxed": True})})
    with installed(allowed, clock) as app:
        sources.create_source(app, "python", type_=SourceType.GIT_PYTHON)
        assert "WITHOUT a sandbox" in building.check_can_build(app.settings, SourceType.GIT_PYTHON)
        assert create(app, "python")


@pytest.mark.usefixtures("sandboxed")
def test_without_r_only_builders_of_r_are_off(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "R")
    with pytest.raises(Unavailable, match="no R on the PATH"):
        create(app, "r")
    assert create(app, "python")


def test_what_a_builder_has_to_be_told(app: App) -> None:
    with pytest.raises(Invalid, match="has to be named"):
        builders.create_builder(app, "python", Wanted(URL), actor="admin")
    with pytest.raises(Invalid, match="vignettes are of R"):
        builders.create_builder(app, "python", Wanted(URL, name="demo", build_vignettes=True), actor="admin")


@pytest.mark.usefixtures("sandboxed")
def test_stored_logins_go_where_administrators_send_them(app: App, settings: Settings) -> None:
    """Whoever may write to a source chooses neither an endpoint for a stored login nor a folder of the server."""
    writer = Access("ann", {Scope.SOURCES_WRITE: None})
    credentials.import_https(app, "forge", username="bot", password="hidden")
    with_login = Wanted(URL, name="demo", credential="forge")
    with pytest.raises(Forbidden, match="send a stored login"):
        builders.create_builder(app, "python", with_login, actor="ann", access=writer)
    builders.create_builder(app, "python", with_login, actor="admin")
    builders.edit_builder(app, "python", "demo", actor="ann", access=writer, branch="devel")
    for changes in ({"url": "https://elsewhere.example.org/x.git"}, {"credential": "forge", "url": f"{URL}/"}):
        with pytest.raises(Forbidden, match="send a stored login"):
            builders.edit_builder(app, "python", "demo", actor="ann", access=writer, **changes)
    builders.edit_builder(app, "python", "demo", actor="ann", access=writer, credential="")
    with pytest.raises(Forbidden, match="send a stored login"):
        builders.edit_builder(app, "python", "demo", actor="ann", access=writer, credential="forge")


@pytest.mark.usefixtures("sandboxed")
def test_folders_of_the_server_are_for_administrators(settings: Settings, clock: Clock) -> None:
    """Where file:// is allowed, a publisher can't have the server's own files built and served."""
    allowed = settings.model_copy(update={"git": settings.git.model_copy(update={"allow_file": True})})
    writer = Access("ann", {Scope.SOURCES_WRITE: None})
    with installed(allowed, clock) as app:
        sources.create_source(app, "python", type_=SourceType.GIT_PYTHON)
        for url in ("file:///srv/git/x.git", "FILE:///srv/git/x.git"):
            with pytest.raises(Forbidden, match="a folder of the server"):
                builders.create_builder(app, "python", Wanted(url, name="demo"), actor="ann", access=writer)
        builders.create_builder(app, "python", Wanted("file:///srv/git/x.git", name="demo"), actor="admin")
