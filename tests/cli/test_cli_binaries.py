"""Commands on binary packages, against a real server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Entrepot
from tests.support.archives import make_source_package
from tests.support.binaries import BIG_SUR, X86_64, make_binary
from tests.support.server import Live

pytestmark = pytest.mark.one_shape


@pytest.fixture
def live_server(live: Live) -> Live:
    """In place of the stand-in."""
    return live


@pytest.fixture
def internal(entrepot: Entrepot, tmp_path: Path) -> Entrepot:
    """The command line for a server whose source `internal` has demo 1.0."""
    entrepot.said("create", "source", "--name=internal")
    path = tmp_path / "demo_1.0.tar.gz"
    path.write_bytes(make_source_package("demo", "1.0"))
    assert entrepot.said("add", "--source=internal", f"--path={path}") == ["Added package 'demo_1.0.tar.gz'"]
    return entrepot


def test_add_and_remove(internal: Entrepot, tmp_path: Path) -> None:
    """What the file tells is said; the same again changes nothing, another needs --replace; it can be taken back."""
    path = tmp_path / f"demo_1.0_R_{X86_64}.tar.gz"
    add = ("add", "binary", "--source=internal", f"--path={path}", "--distribution=bookworm")
    path.write_bytes(make_binary("demo", "1.0"))
    assert internal.said(*add) == ["Added demo with version 1.0 for bookworm and R 4.2 for any architecture"]
    assert internal.said(*add) == ["Nothing changed"]
    path.write_bytes(make_binary("demo", "1.0", files={"R/x": b"other"}))
    code, said = internal.failed(*add)
    assert (code, "--replace" in " ".join(said)) == (5, True)
    assert internal.json(*add, "--replace")["platform"]["binary_tag"] == "4.2-bookworm"
    mac = tmp_path / "demo_1.0.tgz"
    mac.write_bytes(make_binary("demo", "1.0", suffix=".tgz", platform=BIG_SUR, r="4.4.2"))
    said = internal.said("add", "binary", "--source=internal", f"--path={mac}")
    assert said == ["Added demo with version 1.0 for macOS (big-sur-arm64) and R 4.4"]
    remove = ("remove", "binary", "--source=internal", "--name=demo@1.0", "--r-version=4.2")
    assert internal.said(*remove, "--distribution=bookworm") == [
        "Removed demo with version 1.0 for bookworm and R 4.2 for any architecture"
    ]
    assert internal.failed(*remove, "--distribution=bookworm")[0] == 4


def test_what_can_not_be_added(internal: Entrepot, tmp_path: Path) -> None:
    """A version that the source lacks (4), no distribution (2), a source package (2), no file (2), no source (2)."""
    other = tmp_path / "demo_2.0.tar.gz"
    other.write_bytes(make_binary("demo", "2.0"))
    add = ("add", "binary", "--source=internal")
    code, said = internal.failed(*add, f"--path={other}", "--distribution=bookworm")
    assert code == 4
    assert said == ["Error: source 'internal' has no demo 2.0", "Hint: of demo it has 1.0"]
    code, said = internal.failed(*add, f"--path={other}")
    assert (code, "bookworm" in said[1]) == (2, True)
    code, said = internal.failed(*add, f"--path={tmp_path / 'demo_1.0.tar.gz'}", "--distribution=bookworm")
    assert (code, "this is a source package" in said[0]) == (2, True)
    assert internal.failed(*add, "--path=nowhere.zip")[0] == 2
    assert internal.failed("add", "binary", f"--path={other}")[0] == 2
    assert internal.failed("remove", "binary", "--source=internal", "--name=demo", "--distribution=x")[0] == 2
