"""What is asked of a curated source from a proposal on, as people read it: lines of a list, and what goes with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from entrepot.core.model import PackageName
from entrepot.core.requirements import Requirement
from entrepot.operations.pypi_asks import pep508, unpacked


@dataclass(frozen=True, slots=True)
class Asked:
    """The lines of a list, constraints, and versions that were taken out by hand, as (package, version).

    The rest is of Python: None elsewhere.
    """

    lines: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    removed: tuple[tuple[str, str], ...] = ()
    with_dependencies: bool | None = None
    only_binary: bool | None = None
    platforms: tuple[str, ...] | None = None
    python_versions: tuple[str, ...] | None = None


def asked_by(request: Mapping[str, Any], *, has_archive: bool) -> Asked:
    """What a kept request asks for; one of a source that shows a mirror whole asks for nothing by name.

    Args:
        has_archive: whether it is of R packages.
    """
    if "requirements" not in request:
        return Asked()
    removed = tuple((str(package), str(version)) for package, version in request["removed"])
    if has_archive:
        rows = request["requirements"]
        lines = tuple(Requirement(PackageName(name), bounds, tuple(extras)).text for name, bounds, extras in rows)
        return Asked(lines, removed=removed)
    ask = unpacked(request)
    return Asked(
        tuple(pep508(each) for each in ask.requirements),
        tuple(ask.constraints),
        removed,
        ask.with_dependencies,
        ask.narrowing.only_binary,
        tuple(ask.narrowing.platforms),
        tuple(ask.narrowing.python_versions),
    )
