"""Where binary packages of R fit: operating system, distribution, minor version of R, architecture."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class System(StrEnum):
    """Operating systems, named as the folders below `bin/` of a CRAN-like repository."""

    LINUX = "linux"
    WINDOWS = "windows"
    MACOS = "macosx"


ARCHITECTURES = ("x86_64", "arm64")
ANY = "any"
"""The architecture of binaries in which nothing is compiled."""
_R = re.compile(r"[0-9]{1,2}\.[0-9]{1,2}")
_SAME = {"aarch64": "arm64", "amd64": "x86_64", "x64": "x86_64"}


@dataclass(frozen=True, slots=True, order=True)
class Platform:
    """Where a binary package fits.

    Attributes:
        system: the operating system.
        distribution: Linux: the name of the distribution in URLs, such as bookworm; macOS: the folder between
            `bin/macosx/` and `contrib/`, such as big-sur-arm64, empty for none; Windows: empty.
        r: the minor version of R, such as 4.4.
        arch: x86_64 or arm64; `any` where nothing is compiled, and for Windows and macOS, whose folders tell it.
    """

    system: System
    distribution: str
    r: str
    arch: str = ANY

    @property
    def path(self) -> str:
        """What names it within a source: `linux/bookworm/4.2/x86_64`, `windows//4.4/any`."""
        return f"{self.system.value}/{self.distribution}/{self.r}/{self.arch}"

    @classmethod
    def of_path(cls, path: str) -> Self:
        system, distribution, r, arch = path.split("/")
        return cls(System(system), distribution, r, arch)

    @property
    def tag(self) -> str:
        """As the header `X-Package-Binary-Tag` tells it: 4.2-bookworm, 4.2-noble-arm64, 4.4-win, 4.4-macos-arm64."""
        names = {System.LINUX: self.distribution, System.WINDOWS: "win", System.MACOS: "macos"}
        is_arm = "arm64" in (self.arch, self.distribution.rpartition("-")[2])
        return f"{self.r}-{names[self.system]}" + ("-arm64" if is_arm else "")

    @property
    def shown(self) -> str:
        """As people are told: `bookworm, R 4.2, x86_64`."""
        where = self.distribution or {System.WINDOWS: "Windows", System.MACOS: "macOS"}.get(self.system, "")
        arch = f", {'any architecture' if self.arch == ANY else self.arch}" if self.system is System.LINUX else ""
        return f"{where}, R {self.r}{arch}"


class Fallback(StrEnum):
    """Why a source package is given where a binary one was asked for."""

    UNKNOWN_DISTRIBUTION = "unknown-distribution"
    NO_R_VERSION = "no-r-version"
    UNKNOWN_R_VERSION = "unknown-r-version"
    UNKNOWN_ARCHITECTURE = "unknown-architecture"
    NO_BINARY = "no-binary"


@dataclass(frozen=True, slots=True)
class BinaryAsk:
    """A client asks for binaries of a distribution where there are some.

    `r` and `arch` are None where the client doesn't tell them, and `fallback` says why nothing can be looked for.
    `varies` says whether its User-Agent counts.
    """

    distribution: str
    r: str | None
    arch: str | None
    fallback: Fallback | None = None
    varies: bool = True

    @property
    def platforms(self) -> tuple[Platform, ...]:
        """Those that fit, the closest first."""
        if self.fallback is not None or self.r is None or self.arch is None:
            return ()
        return tuple(Platform(System.LINUX, self.distribution, self.r, arch) for arch in (self.arch, ANY))


def r_minor(version: str) -> str | None:
    """The minor version of R of `4.4` or `4.4.1`; None for what is none."""
    minor = ".".join(version.split(".")[:2])
    return minor if _R.fullmatch(minor) else None


def architecture(name: str) -> str | None:
    """x86_64 or arm64 of a machine's name for it (aarch64, amd64); None for what binaries aren't made for."""
    name = _SAME.get(name.lower(), name.lower())
    return name if name in ARCHITECTURES else None
