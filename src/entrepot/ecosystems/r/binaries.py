"""Answers below `bin/` of a CRAN-like repository: binary packages by operating system, R version and architecture."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from entrepot.core.answers import Answer, Ask, Document, Index, SendFile, View
from entrepot.core.errors import FileNotListed
from entrepot.core.model import File, PackageName
from entrepot.core.platforms import ANY, BinaryAsk, Platform, System, architecture, r_minor
from entrepot.ecosystems.r import distributions, packages, paths

FOLDER = "bin/"
_LINUX = re.compile(r"bin/linux/(?P<distribution>[^/]+)-(?P<arch>[^/-]+)/(?P<r>[^/]+)/(?P<tail>src/contrib/.+)")
_ONLY = re.compile(
    r"bin/linux/(?P<r>[^/-]+)-(?P<distribution>[^/]+)/contrib/(?P<again>[^/]+)/(?P<name>PACKAGES(\.gz|\.rds)?)"
)
_MEDIA_TYPES = {System.WINDOWS: "application/zip", System.MACOS: "application/gzip"}


class Sources(Protocol):
    def __call__(self, ask: Ask, view: View, *, told: Callable[[File], bool]) -> Answer: ...


def answer(ask: Ask, view: View, *, told: Callable[[File], bool], sources: Sources) -> Answer:
    """What is below `bin/`; `sources` answers what is below `src/contrib/`.

    Raises:
        FileNotListed: there is nothing for that platform; the hint names those that there are.
    """
    if explicit := _LINUX.fullmatch(ask.tail):
        return _linux(explicit, ask, view, told, sources)
    if only := _ONLY.fullmatch(ask.tail):
        return _binaries_alone(only, ask, view)
    folder, _, name = ask.tail.rpartition("/")
    platform = paths.parse_binary_folder(folder)
    if platform is not None and platform in view.platforms():
        return _of_folder(name, platform, ask, view)
    raise _nothing(ask.tail, view)


def _linux(asked: re.Match[str], ask: Ask, view: View, told: Callable[[File], bool], sources: Sources) -> Answer:
    """`bin/linux/noble-x86_64/4.5/src/contrib/...`: as below `__linux__`, with all of it told by the path."""
    distribution, r, arch = distributions.find(asked["distribution"]), r_minor(asked["r"]), architecture(asked["arch"])
    if distribution is None or r is None or arch is None:
        raise _nothing(ask.tail, view)
    wanted = BinaryAsk(distribution.url, r, arch, varies=False)
    if not set(wanted.platforms) & set(view.platforms()):
        raise _nothing(ask.tail, view)
    return sources(replace(ask, tail=asked["tail"], binary=wanted), view, told=told)


def _binaries_alone(asked: re.Match[str], ask: Ask, view: View) -> Document:
    """`bin/linux/4.5-noble/contrib/4.5/PACKAGES.gz`: which packages have binaries, of whatever architecture."""
    distribution, r = distributions.find(asked["distribution"]), r_minor(asked["r"])
    if distribution is None or r is None or asked["again"] != asked["r"]:
        raise _nothing(ask.tail, view)
    there = view.platforms()
    wanted = [each for each in there if (each.system, each.distribution, each.r) == (System.LINUX, distribution.url, r)]
    if not wanted:
        raise _nothing(ask.tail, view)
    return index(asked["name"], view, wanted)


def _of_folder(name: str, platform: Platform, ask: Ask, view: View) -> Answer:
    """An index or a file of a folder for Windows or macOS that the repository has."""
    if name in packages.FORMS:
        return index(name, view, [platform])
    asked = paths.split_binary_name(name, platform.system)
    if asked is None:
        raise _nothing(ask.tail, view)
    found = view.binaries_of(PackageName(asked[0]), [platform])
    for listed in found:
        if listed.file.name == name:
            media_type = _MEDIA_TYPES[platform.system]
            return SendFile(listed, media_type, package_type="binary", platform=platform)
    versions = ", ".join(listed.file.version for listed in found[-4:])
    raise FileNotListed(
        f"this repository has no binary package {name} at this snapshot for {platform.shown}",
        hint=f"of {asked[0]} it has {versions}" if versions else f"it may have its source: src/contrib/{asked[0]}_...",
        package=asked[0],
        version=asked[1],
    )


def index(name: str, view: View, platforms: Sequence[Platform]) -> Document:
    """PACKAGES, PACKAGES.gz or PACKAGES.rds of the binary packages for some platforms."""
    render, media_type = packages.FORMS[name]
    key = f"{name} {view.binaries_key(platforms)}"
    return Document(
        key,
        media_type,
        lambda: Index(render(view.binaries(platforms), lambda _: True)),
        compress=name == "PACKAGES",
    )


def _nothing(tail: str, view: View) -> FileNotListed:
    """Whoever names a platform in a path gets no other one; the answer names what there is."""
    have = sorted({_folder(platform) for platform in view.platforms()})
    return FileNotListed(
        f"this repository has no binary packages at {tail[:200]!r}",
        hint=f"it has {', '.join(have)}"
        if have
        else "it has no binary packages yet; source packages are at src/contrib",
    )


def _folder(platform: Platform) -> str:
    if platform.system is System.LINUX:
        arch = platform.arch if platform.arch != ANY else "ARCHITECTURE"
        return f"bin/linux/{platform.distribution}-{arch}/{platform.r}"
    return paths.binary_folder(platform)
