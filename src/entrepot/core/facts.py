"""What is known of one version of a package besides what its index entry says."""

from __future__ import annotations

from typing import NamedTuple

Version = tuple[str, str]
"""(package, version)."""


class Fact(NamedTuple):
    """What an upstream tells of a version; `title` and `system_requirements` are None where there are none."""

    package: str
    version: str
    title: str | None
    system_requirements: str | None
