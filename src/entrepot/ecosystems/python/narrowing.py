"""Which files of a project are wanted: wheels alone, for some platforms, for some versions of Python.

A file is kept if some installer that is meant may choose it (PyPA: "Platform compatibility tags"; PEP 425, 600, 656).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from packaging.specifiers import SpecifierSet

from entrepot.core.errors import Invalid

_SHOWN = 60
# As `names` takes the endings of sdists.
_SDISTS = (".tar.gz", ".zip", ".tar.bz2", ".tgz", ".tar.xz", ".tar.Z", ".tar")

_LINUX = {
    **{arch: arch for arch in ("x86_64", "aarch64", "i686", "armv7l", "ppc64le", "s390x", "riscv64", "loongarch64")},
    **{"amd64": "x86_64", "arm64": "aarch64", "i386": "i686", "x86": "i686", "armv7": "armv7l"},
}
_MACOS = {"arm64": "arm64", "aarch64": "arm64", "x86_64": "x86_64", "amd64": "x86_64"}
_WINDOWS = {
    **{"amd64": "amd64", "x86_64": "amd64", "arm64": "arm64", "aarch64": "arm64"},
    **{"x86": "x86", "i686": "x86", "i386": "x86"},
}
_SYSTEMS: Mapping[str, Mapping[str, str]] = {
    "linux": _LINUX,
    "manylinux": _LINUX,
    "musllinux": _LINUX,
    "macos": _MACOS,
    "windows": _WINDOWS,
}
"""The systems, and how their architectures are written -> their own word for them."""
_BOTH_LIBCS = "linux"
_FAT = {
    "universal2": ("arm64", "x86_64"),
    "intel": ("x86_64", "i386"),
    "fat64": ("x86_64", "ppc64"),
    "fat3": ("x86_64", "i386", "ppc"),
    "fat": ("i386", "ppc"),
    "universal": ("x86_64", "i386", "ppc64", "ppc"),
}
"""Binaries of macOS for more than one architecture -> those."""
_OLD_MANYLINUX = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}

_FRIENDLY = re.compile(r"(linux|manylinux|musllinux|macos|windows)(?:[-_](.+))?")
_LINUX_TAG = re.compile(r"(manylinux|musllinux)_([0-9]{1,4})_([0-9]{1,4})_(.+)")
_OLD_TAG = re.compile(r"(manylinux(?:1|2010|2014))_(.+)")
_MACOS_TAG = re.compile(r"macosx_([0-9]{1,4})_([0-9]{1,4})_(.+)")
_WINDOWS_TAG = re.compile(r"win(?:32|_(.+))")
_TRIPLE = re.compile(r"([a-z0-9_]+)-(?:unknown-linux-(gnu|musl)|(apple-darwin)|(pc-windows-msvc))")
_UV_TAG = re.compile(r"([a-z0-9_]+)-(manylinux(?:_[0-9]+_[0-9]+|1|2010|2014)|musllinux_[0-9]+_[0-9]+)")
_PYTHON = re.compile(r"([23])\.?([0-9]{1,3})(t?)")
_INTERPRETER = re.compile(r"(cp|py)([0-9])([0-9]{0,3})")
_LATE = 10_000
"""Later than any third number of a Python."""

KNOWN_PLATFORMS = (
    "linux, manylinux, musllinux, macos, windows, each with an architecture if wanted (linux-x86_64, linux-aarch64, "
    "macos-arm64, macos-x86_64, windows-amd64, windows-arm64); triples such as x86_64-unknown-linux-gnu; platform tags "
    "of wheels such as manylinux_2_17_x86_64, macosx_11_0_arm64, win_amd64"
)


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What limits the files of a project; made by `narrowing`, so that equal ones look alike.

    Attributes:
        only_binary: wheels alone.
        platforms: `linux-x86_64`, `macos`, `manylinux_2_17_x86_64`; empty: every platform.
        python_versions: `3.10`, `3.13t` (free-threaded); empty: every version and implementation.
    """

    only_binary: bool = False
    platforms: tuple[str, ...] = ()
    python_versions: tuple[str, ...] = ()

    @property
    def is_everything(self) -> bool:
        return not (self.only_binary or self.platforms or self.python_versions)


def narrowing(*, only_binary: bool, platforms: Iterable[str], python_versions: Iterable[str]) -> Narrowing:
    """A `Narrowing` of what people write: other words for a platform, `310` for 3.10, in any order.

    Raises:
        Invalid: a platform or a version of Python that isn't known; the hint lists what is.
    """
    return Narrowing(
        only_binary,
        tuple(sorted({_platform(name).name for name in platforms})),
        tuple(python.name for python in sorted({_python(text) for text in python_versions})),
    )


def keeps(narrowing: Narrowing, file_name: str, requires_python: str | None) -> bool:
    """Whether a file is wanted; what is neither wheel nor sdist only if nothing is narrowed.

    Args:
        requires_python: the bounds that the index gives for the file; unreadable ones limit nothing, as for pip.
    """
    if narrowing.is_everything:
        return True
    pythons = narrowing.python_versions
    if not file_name.endswith(".whl"):
        if narrowing.only_binary or not file_name.endswith(_SDISTS):
            return False
        return not pythons or any(_is_allowed(requires_python, python) for python in pythons)
    parts = file_name.removesuffix(".whl").split("-")
    if len(parts) not in (5, 6):
        return False
    *_, interpreters, abis, platforms = parts
    if narrowing.platforms and not _runs_on(platforms, narrowing.platforms):
        return False
    return not pythons or any(
        _loads(interpreters, abis, python) and _is_allowed(requires_python, python) for python in pythons
    )


def machine(platform: str) -> tuple[str, str | None]:
    """(system, architecture) of a platform of a `Narrowing`; systems are `linux`, `manylinux`, `musllinux`, `macos` and
    `windows`, the architecture is None for all of them."""
    found = _platform(platform)
    return found.system, found.arch


class _Platform(NamedTuple):
    """Machines that are meant, or that a tag of a wheel is for.

    `arch` is None for all of them. `version`: of the C library or of macOS, up to which tags are meant; None for any.
    """

    system: str
    arch: str | None = None
    version: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        if self.version is None:
            return f"{self.system}-{self.arch}" if self.arch else self.system
        system = "macosx" if self.system == "macos" else self.system
        return f"{system}_{self.version[0]}_{self.version[1]}_{self.arch}"


class _Python(NamedTuple):
    major: int
    minor: int
    is_threaded: bool

    @property
    def name(self) -> str:
        return f"{self.major}.{self.minor}{'t' if self.is_threaded else ''}"


@lru_cache(maxsize=1024)
def _platform(text: str) -> _Platform:
    """The machines that a word means."""
    name = text.strip().lower()
    found = _of_friendly(name) or _of_tag(name) or _of_triple(name)
    if found is None:
        raise Invalid(f"{text[:_SHOWN]!r} is not a platform", hint=f"known are {KNOWN_PLATFORMS}")
    return found


def _of_friendly(name: str) -> _Platform | None:
    match = _FRIENDLY.fullmatch(name)
    if match is None:
        return None
    return _known(_Platform(match[1], match[2])) if match[2] else _Platform(match[1])


def _of_tag(name: str) -> _Platform | None:
    """Of a platform tag, which means what installers on that system take: tags of older ones too."""
    told = _told(name)
    return _known(told) if told is not None else None


def _known(told: _Platform) -> _Platform | None:
    """The same with the system's own word for the architecture; None where it is none."""
    own = _SYSTEMS[told.system].get(told.arch or "")
    return told._replace(arch=own) if own else None


def _told(tag: str) -> _Platform | None:
    """What a platform tag says; None where it is of none of the systems that are known here."""
    if match := _LINUX_TAG.fullmatch(tag):
        return _Platform(match[1], match[4], (int(match[2]), int(match[3])))
    if match := _OLD_TAG.fullmatch(tag):
        return _Platform("manylinux", match[2], _OLD_MANYLINUX[match[1]])
    if match := _MACOS_TAG.fullmatch(tag):
        return _Platform("macos", match[3], (int(match[1]), int(match[2])))
    if match := _WINDOWS_TAG.fullmatch(tag):
        return _Platform("windows", match[1] or "x86")
    return _Platform("linux", tag.removeprefix("linux_")) if tag.startswith("linux_") else None


def _of_triple(name: str) -> _Platform | None:
    """Of a target as compilers and uv name them."""
    if match := _UV_TAG.fullmatch(name):
        return _of_tag(f"{match[2]}_{match[1]}")
    match = _TRIPLE.fullmatch(name)
    if match is None:
        return None
    if match[2]:
        return _known(_Platform("manylinux" if match[2] == "gnu" else "musllinux", match[1]))
    return _known(_Platform("macos" if match[3] else "windows", match[1]))


@lru_cache(maxsize=256)
def _python(text: str) -> _Python:
    match = _PYTHON.fullmatch(text.strip().lower())
    if match is None:
        raise Invalid(
            f"{text[:_SHOWN]!r} is not a version of Python",
            hint="known are those of two numbers, such as 3.10 or 3.12, and 3.13t where it is free-threaded",
        )
    return _Python(int(match[1]), int(match[2]), bool(match[3]))


@lru_cache(maxsize=16384)
def _runs_on(tags: str, platforms: tuple[str, ...]) -> bool:
    """Whether one of the platform tags of a wheel (`a.b.c`) is for one of the platforms."""
    return any(_is_for(tag, _platform(name)) for tag in tags.lower().split(".") for name in platforms)


def _is_for(tag: str, wanted: _Platform) -> bool:
    if tag == "any":
        return True
    told = _told(tag)
    if told is None:
        return False
    archs = _FAT.get(told.arch or "", (told.arch,)) if told.system == "macos" else (told.arch,)
    return any(_covers(wanted, told._replace(arch=arch)) for arch in archs)


def _covers(wanted: _Platform, machine: _Platform) -> bool:
    if wanted.arch is not None and wanted.arch != machine.arch:
        return False
    if wanted.system != machine.system:
        # A wheel of plain `linux` says nothing of the C library; who wants `linux` wants both.
        linux = {wanted.system, machine.system}
        return _BOTH_LIBCS in linux and linux <= {_BOTH_LIBCS, "manylinux", "musllinux"}
    return wanted.version is None or machine.version is None or machine.version <= wanted.version


@lru_cache(maxsize=16384)
def _loads(interpreters: str, abis: str, version: str) -> bool:
    """Whether CPython of a version takes a wheel of one of these Python tags with one of these ABI tags."""
    python = _python(version)
    return any(
        _takes(python, interpreter, abi)
        for interpreter in interpreters.lower().split(".")
        for abi in abis.lower().split(".")
    )


def _takes(python: _Python, interpreter: str, abi: str) -> bool:
    match = _INTERPRETER.fullmatch(interpreter)
    if match is None or int(match[2]) != python.major:
        return False
    minor = int(match[3]) if match[3] else None
    if match[1] == "py":
        return abi == "none" and (minor is None or minor <= python.minor)
    if minor is None:
        return False
    if abi == ("abi3t" if python.is_threaded else "abi3"):
        return python.major == 3 and 2 <= minor <= python.minor
    return minor == python.minor and (abi == "none" or abi in _abis(python))


def _abis(python: _Python) -> tuple[str, ...]:
    """CPython's own ABI tags: before 3.8 they told how it was built."""
    own = f"cp{python.major}{python.minor}"
    if python.is_threaded:
        return (f"{own}t",)
    return (f"{own}m", f"{own}mu") if (python.major, python.minor) < (3, 8) else (own,)


@lru_cache(maxsize=16384)
def _is_allowed(requires_python: str | None, version: str) -> bool:
    """Whether some release of a Python (3.10: 3.10.0, 3.10.1, ...) is within the bounds of a file."""
    if not requires_python:
        return True
    python = _python(version)
    try:
        bounds = SpecifierSet(requires_python)
        return any(
            bounds.contains(f"{python.major}.{python.minor}.{micro}", prereleases=True)
            for micro in _micros(bounds, f"{python.major}.{python.minor}.")
        )
    except ValueError:
        return True


def _micros(bounds: SpecifierSet, series: str) -> set[int]:
    """The third numbers at which the bounds may change their answer, and one on either side of each."""
    told = re.findall(rf"(?<![0-9.]){re.escape(series)}([0-9]{{1,4}})", str(bounds))
    return {0, _LATE} | {max(0, micro) for number in map(int, told) for micro in (number - 1, number, number + 1)}
