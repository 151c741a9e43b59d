"""Where R on macOS looks for binary packages: the folder between `bin/macosx/` and `contrib/`, by R and processor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from entrepot.core.platforms import Platform, System

DEFAULT = "default"
_INTEL, _ARM = "x86_64", "arm64"
_USUAL: Mapping[str, Mapping[str, str]] = {
    "3.6": {_INTEL: "el-capitan"},
    "4.0": {_INTEL: ""},
    "4.1": {_ARM: "big-sur-arm64", _INTEL: ""},
    "4.2": {_ARM: "big-sur-arm64", _INTEL: ""},
    DEFAULT: {_ARM: "big-sur-arm64", _INTEL: "big-sur-x86_64"},
}
"""Minor version of R -> processor -> folder, as R was built; `default` is that of all others."""


def folders(served: Iterable[Platform] = ()) -> dict[str, dict[str, str]]:
    """Minor version of R, or `default`, -> processor -> folder; of what is served as it is served."""
    found = {r: dict(each) for r, each in _USUAL.items()}
    for platform in sorted(served):
        if platform.system is System.MACOS:
            arch = _ARM if platform.distribution.endswith(f"-{_ARM}") else _INTEL
            usual = found.get(platform.r, found[DEFAULT])
            if usual.get(arch) != platform.distribution:
                found[platform.r] = {**usual, arch: platform.distribution}
    return found


def folder(r: str, arch: str) -> str | None:
    """The folder of R's own builds; None where there were none for that processor."""
    return _USUAL.get(r, _USUAL[DEFAULT]).get(arch)
