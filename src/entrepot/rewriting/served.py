"""What a package manager server says of itself: which distributions it has binary packages for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from entrepot.rewriting.system import Host


@dataclass(frozen=True, slots=True)
class Distro:
    """An entry of `distros` for Linux: `url` names it below `/__linux__/`, `has_binaries` whether there are any."""

    name: str
    url: str
    distribution: str
    release: str
    has_binaries: bool


@dataclass(frozen=True, slots=True)
class Served:
    """What a server serves."""

    distros: tuple[Distro, ...]

    @property
    def binaries(self) -> frozenset[str]:
        """The names below `/__linux__/` that have binary packages."""
        return frozenset(each.url for each in self.distros if each.has_binaries)

    def name_of(self, wanted: str | Host | None) -> str | None:
        """The name below `/__linux__/` of a distribution; of one that the server doesn't know what it was called.

        Args:
            wanted: what people call it (jammy, rhel8, ubuntu-22.04, "Ubuntu 22.04"), or what a machine says of itself.
        """
        if not isinstance(wanted, Host):
            return self._named(wanted) if wanted else None
        for name in wanted.codenames:
            if any(name in (each.url, each.name) for each in self.distros):
                return self._named(name)
        for release in wanted.releases:
            for each in self.distros:
                if each.distribution in wanted.ids and each.release == release and not each.url.startswith("manylinux"):
                    return each.url
        return wanted.codenames[0] if wanted.codenames else None

    def _named(self, wanted: str) -> str:
        key = _key(wanted)
        for form in (_urls, _names, _releases):
            for said, each in form(self.distros):
                if _key(said) == key:
                    return each.url
        return wanted


def _key(text: str) -> str:
    return "".join(character for character in text.lower() if character not in " -")


def _urls(distros: tuple[Distro, ...]) -> Iterator[tuple[str, Distro]]:
    return ((each.url, each) for each in distros)


def _names(distros: tuple[Distro, ...]) -> Iterator[tuple[str, Distro]]:
    return ((each.name, each) for each in distros)


def _releases(distros: tuple[Distro, ...]) -> Iterator[tuple[str, Distro]]:
    return ((f"{each.distribution}{each.release}", each) for each in distros if not each.url.startswith("manylinux"))


def read_status(body: bytes) -> Served | None:
    """What `GET /__api__/status` answered; None if that is no package manager's."""
    try:
        status = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(status, dict) or not isinstance(status.get("version"), str):
        return None
    rows = status.get("distros")
    if not isinstance(rows, list):
        return None
    return Served(tuple(_distro(row) for row in rows if _is_linux(row)))


def _is_linux(row: object) -> bool:
    if not isinstance(row, dict):
        return False
    url = row.get("binaryURL")
    return isinstance(url, str) and url != "" and "/" not in url and row.get("os", "linux") == "linux"


def _distro(row: dict[str, object]) -> Distro:
    texts = {key: str(row.get(key, "")) for key in ("name", "distribution", "release")}
    return Distro(
        texts["name"], str(row["binaryURL"]), texts["distribution"], texts["release"], row.get("binaries") is True
    )
