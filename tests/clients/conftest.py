"""What the Python clients are tried on."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.distributions import sdist, wheel
from tests.support.fake_pypi import FakePypi
from tests.support.python import Tools
from tests.support.server import Live


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    return Tools(tmp_path / "clients")


@pytest.fixture
def stocked(live_proxied: Live, pypi: FakePypi) -> Live:
    """A site whose upstream has an application and what it needs."""
    stock(pypi)
    return live_proxied


def stock(pypi: FakePypi) -> None:
    """An application with dependencies, extras and markers, and what came after `DAY`, each needing the other's new
    one; a yanked version, a pre-release, one for another Python, and an sdist alone."""

    def at(month: int, day: int = 1) -> datetime:
        return datetime(2023, month, day, 12, tzinfo=UTC)

    pypi.add(*wheel("app", "1.0", requires=["Six_Foo.Bar[more]>=1", "leaf"]), uploaded=at(2))
    pypi.add(*sdist("app", "1.0", requires=["Six_Foo.Bar[more]>=1", "leaf"]), uploaded=at(2))
    pypi.add(*wheel("app", "2.0", requires=["six-foo-bar[more]>=2", "leaf"]), uploaded=at(7))
    for version, month in (("1.0", 1), ("2.0", 6)):
        bar = wheel("Six_Foo.Bar", version, requires=["leaf>=1.2; extra == 'more'"], extras=["more"])
        pypi.add(*bar, uploaded=at(month))
    pypi.add(*wheel("leaf", "1.1"), uploaded=at(1))
    pypi.add(*sdist("leaf", "1.5"), uploaded=at(5))
    pypi.add(*wheel("leaf", "1.9"), uploaded=at(8), yanked="broken")
    pypi.add(*wheel("leaf", "1.9.1"), uploaded=at(8, 2), has_metadata=False)
    pypi.add(*wheel("leaf", "2.0rc1"), uploaded=at(4))
    pypi.add(*wheel("leaf", "3.0", requires_python=">=3.99"), uploaded=at(3))
