"""The environments that are wanted: for each by itself, whether a marker holds there and whether a file fits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product

from packaging.markers import Marker

from entrepot.ecosystems.python.narrowing import Narrowing, machine
from entrepot.ecosystems.python.resolution import versions

_SYSTEMS = {
    "macos": {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix"},
    "windows": {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt"},
}
_LINUX = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
_MACHINES = {"macos": ("arm64", "x86_64"), "windows": ("AMD64", "ARM64", "x86")}
_OF_LINUX = ("x86_64", "aarch64", "i686", "armv7l", "ppc64le", "s390x", "riscv64")
_OF_WINDOWS = {"amd64": "AMD64", "arm64": "ARM64"}
_PYTHONS = tuple(f"3.{minor}" for minor in range(8, 21))
"""Those that are meant where none is named."""
_CPYTHON = {"implementation_name": "cpython", "platform_python_implementation": "CPython", "extra": ""}


def each(narrowing: Narrowing) -> list[Narrowing]:
    """One narrowing for each wanted platform together with each wanted Python; what isn't narrowed stays so."""
    platforms: list[tuple[str, ...]] = [(platform,) for platform in narrowing.platforms] or [()]
    pythons: list[tuple[str, ...]] = [(python,) for python in narrowing.python_versions] or [()]
    return [Narrowing(narrowing.only_binary, *both) for both in product(platforms, pythons)]


def told(one: Narrowing) -> str:
    """`Python 3.12 on linux-x86_64`: an environment in words."""
    python = f"Python {one.python_versions[0]}" if one.python_versions else "every Python"
    return f"{python} on {one.platforms[0]}" if one.platforms else python


def holds(one: Narrowing, marker: str) -> bool:
    """Whether a marker can hold in an environment of `each`; without a platform, on some platform (PEP 508)."""
    if not marker or not one.platforms:
        return True
    parsed = Marker(marker)
    return any(parsed.evaluate(dict(variables)) for variables in _variables(one, marker))


def _variables(one: Narrowing, marker: str) -> Iterator[dict[str, str]]:
    """The values of the variables of markers that the environment may have."""
    system, arch = machine(one.platforms[0])
    pythons = one.python_versions or _PYTHONS
    for name, python in product(_machines(system, arch), pythons):
        for version in versions(python.removesuffix("t"), marker):
            minor = ".".join(version.split(".")[:2])
            facts = {"platform_machine": name, "python_version": minor, "python_full_version": version}
            yield {**_CPYTHON, **_SYSTEMS.get(system, _LINUX), **facts, "implementation_version": version}


def _machines(system: str, arch: str | None) -> Iterable[str]:
    if arch is None:
        return _MACHINES.get(system, _OF_LINUX)
    return [_OF_WINDOWS.get(arch, arch) if system == "windows" else arch]
