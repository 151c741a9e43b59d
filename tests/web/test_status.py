"""`/status`: for which systems there are binary packages, as clients of the product read it."""

from __future__ import annotations

from typing import Any

import pytest

from entrepot.app import App
from entrepot.core.model import SourceType
from entrepot.core.platforms import Platform, System
from entrepot.db import parts as db_parts
from entrepot.db import sources as db_sources
from entrepot.db import targets as db_targets
from entrepot.ecosystems.r import distributions, macos
from tests.support.server import Live

FIELDS = {
    *("name", "os", "binaryDisplay", "binaryURL", "display", "distribution", "release", "build_distribution"),
    *("sysReqs", "binaries", "hidden", "official_rspm", "arch"),
}


def has(app: App, source: str, *platforms: Platform) -> None:
    with app.db.write() as connection:
        owner = db_sources.get(connection, source)
        for platform in platforms:
            db_parts.ensure(connection, owner, platform.path, SourceType.BINARIES, now=app.clock())


def builds(app: App, distribution: str, r: str) -> None:
    with app.db.write() as connection:
        db_targets.add(
            connection,
            name=distribution,
            distribution=distribution,
            r="/usr/bin/R",
            r_version=r,
            arch="x86_64",
            command="",
            repository="cran",
            sources=None,
            created=app.clock(),
            seen=0,
        )


def status(live: Live) -> dict[str, Any]:
    code, found = live.api("GET", "/status")
    assert code == 200
    return dict(found)


def with_binaries(found: dict[str, Any]) -> list[str]:
    return [distro["name"] for distro in found["distros"] if distro["binaries"]]


def test_a_new_installation_has_no_binaries_and_says_so(live: Live) -> None:
    """Every distribution is there, the retired ones hidden, and clients stay with source packages."""
    found = status(live)
    assert (with_binaries(found), found["r_versions"], found["bioc_versions"]) == ([], [], [])
    assert (found["binaries_enabled"], found["cran_repo"]) == (True, "cran")
    linux = [distro for distro in found["distros"] if distro["os"] == "linux"]
    assert [distro["name"] for distro in linux] == [each.name for each in distributions.every()]
    assert {distro["name"] for distro in found["distros"]} - {distro["name"] for distro in linux} == {
        "windows",
        "macos",
    }
    assert all(set(distro) == FIELDS for distro in found["distros"])
    assert {"xenial", "focal", "internal"} <= {distro["name"] for distro in linux if distro["hidden"]}
    assert next(distro for distro in linux if distro["name"] == "bookworm") == {
        "name": "bookworm",
        "os": "linux",
        "binaryDisplay": "Debian 12 (Bookworm)",
        "binaryURL": "bookworm",
        "display": "Debian 12 (Bookworm)",
        "distribution": "debian",
        "release": "12",
        "build_distribution": "",
        "sysReqs": True,
        "binaries": False,
        "hidden": False,
        "official_rspm": True,
        "arch": ["x86_64", "arm64"],
    }


def test_what_is_there_and_what_is_built(app: App, live: Live) -> None:
    """Distributions that share binaries, build targets, Windows and macOS; R's newest version first; told at once."""
    live.api("POST", "/sources", {"name": "internal"})
    status(live)
    has(
        app,
        "internal",
        Platform(System.LINUX, "rhel9", "4.4", "x86_64"),
        Platform(System.LINUX, "rhel9", "4.10", "any"),
        Platform(System.WINDOWS, "", "4.3"),
        Platform(System.MACOS, "sonoma-arm64", "4.6"),
    )
    builds(app, "bookworm", "4.2.2")
    found = status(live)
    assert with_binaries(found) == ["rhel9", "rockylinux9", "bookworm", "windows", "macos"]
    assert found["r_versions"] == ["4.10", "4.6", "4.4", "4.3", "4.2"]
    assert found["macos_urls"]["4.6"] == {"arm64": "sonoma-arm64", "x86_64": "big-sur-x86_64"}
    live.api("DELETE", "/sources/internal")
    assert with_binaries(status(live)) == ["bookworm"]


@pytest.mark.parametrize(
    ("r", "folders"),
    [
        ("3.6", {"x86_64": "el-capitan"}),
        ("4.0", {"x86_64": ""}),
        ("4.2", {"arm64": "big-sur-arm64", "x86_64": ""}),
        ("default", {"arm64": "big-sur-arm64", "x86_64": "big-sur-x86_64"}),
    ],
)
def test_folders_of_macos(r: str, folders: dict[str, str]) -> None:
    """Those that R was built for, as the product tells them."""
    assert macos.folders()[r] == folders
