"""Linux distributions as package clients name them; the table is `distributions.toml` beside this."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

PORTABLE = "manylinux_2_28"
"""The name of binaries that fit any Linux with glibc 2.28 or newer."""
INTERNAL = "internal"
"""The name of binaries that an organisation made for systems of its own."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """A Linux distribution in one release.

    Attributes:
        name: ours for it; unique.
        display: its full name and release.
        binary_display: as `display`, of all that share its binaries.
        distribution: such as ubuntu or redhat, as rules of system requirements say it; `release` likewise.
        url: the name under which binaries for it are served, `__linux__/{url}`; several may share one.
        architectures: those that it is used on.
        aliases: other names that are understood.
        is_retired: shown to nobody any more, still answered.
        is_portable: its binaries fit other distributions too.
        has_requirements: whether the rules of system requirements know it.
    """

    name: str
    display: str
    binary_display: str
    distribution: str
    release: str
    url: str
    architectures: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    is_retired: bool = False
    is_portable: bool = False
    has_requirements: bool = True


@cache
def every() -> tuple[Distribution, ...]:
    """All distributions, in the order of the table."""
    table = tomllib.loads(files(__package__).joinpath("distributions.toml").read_text("utf-8"))
    return tuple(_read(row) for row in table["distribution"])


def _read(row: dict[str, Any]) -> Distribution:
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
    return Distribution(**values)


@cache
def _by_segment() -> Mapping[str, Distribution]:
    found: dict[str, Distribution] = {}
    for each in every():
        found.setdefault(each.url, each)
    for each in every():
        for name in (each.name, *each.aliases):
            found.setdefault(name, each)
    return found


def find(segment: str) -> Distribution | None:
    """The distribution that a name in a URL means: that of its binaries, its own name or an alias; else None."""
    return _by_segment().get(segment)


def urls() -> list[str]:
    """The names under which binaries are served, each once; those of retired distributions are left out."""
    return list(dict.fromkeys(each.url for each in every() if not each.is_retired))
