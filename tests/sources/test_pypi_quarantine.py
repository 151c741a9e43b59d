"""A project of which upstream has a page without files, as of one in quarantine (PEP 792)."""

from __future__ import annotations

from datetime import UTC, datetime

from entrepot.core.model import RepositoryType, SourceType
from entrepot.operations import repositories, sources
from tests.support.distributions import wheel
from tests.support.fake_pypi import FakePypi
from tests.support.pages import files, page
from tests.support.server import Clock, Live, eventually

EARLY = datetime(2023, 5, 1, tzinfo=UTC)


def test_a_page_without_files_tells_the_status(live_proxied: Live, pypi: FakePypi, clock: Clock) -> None:
    """Clients hear why there is nothing instead of a 404; earlier days go on showing what was there."""
    name, data = wheel("demo", "1.0")
    pypi.add(name, data, uploaded=EARLY)
    assert list(files(live_proxied, "demo")) == [name]
    pypi.remove(name)
    pypi.tell_status("demo", "quarantined", "malware")
    clock.wait(seconds=601)
    found = eventually(lambda: page(live_proxied, "demo"), lambda told: not told["files"])
    assert found["project-status"] == {"status": "quarantined", "reason": "malware"}
    assert list(files(live_proxied, "demo", "2023-05-01")) == [name]


def test_a_page_without_files_hides_later_sources(live_proxied: Live, pypi: FakePypi) -> None:
    """The name is the first source's: a later source's project of that name stays unseen."""
    from entrepot.operations import packages

    app = live_proxied.app
    pypi.add_empty("demo")
    repositories.create_repository(app, "both", type_=RepositoryType.PYTHON)
    sources.create_source(app, "late", type_=SourceType.LOCAL_PYTHON)
    repositories.subscribe(app, "both", "pypi", actor="test")
    repositories.subscribe(app, "both", "late", actor="test")
    name, data = wheel("demo", "9.0")
    path = app.settings.server.data_dir / "tmp" / name
    path.write_bytes(data)
    packages.add_files(app, "late", [packages.Upload(name, path)], actor="test")
    assert files(live_proxied, "demo", repo="both") == {}
