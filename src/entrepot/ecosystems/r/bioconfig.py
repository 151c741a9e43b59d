"""Bioconductor's config.yaml, of which clients read which version goes with which R."""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache
from typing import Any

import yaml

from entrepot.core.bioconductor import OLDEST, Config, is_version, version_key
from entrepot.core.errors import UpstreamInvalid
from entrepot.core.platforms import r_minor

LIMIT = 256 * 1024
"""Bytes; upstream's has 12 thousand."""
_DATE = re.compile(r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})")


@lru_cache(maxsize=8)
def read(body: bytes) -> Config:
    """What the document tells; dates and numbers that can't be read are left out.

    Raises:
        UpstreamInvalid: it is no YAML, too large, or doesn't tell the versions or which of them is the release.
    """
    if len(body) > LIMIT:
        raise UpstreamInvalid(f"upstream's config.yaml is larger than {LIMIT:,} bytes")
    whole = _load(body)
    told = whole.get("r_ver_for_bioc_ver")
    if not isinstance(told, dict):
        raise _refused("it has no r_ver_for_bioc_ver")
    r_versions = {version: r for version, r in map(_pair, told.items()) if r and version_key(version) >= OLDEST}
    release, devel = whole.get("release_version"), whole.get("devel_version")
    if release not in r_versions:
        raise _refused(f"its release_version is {str(release)[:40]!r}, which r_ver_for_bioc_ver doesn't have")
    return Config(
        release=str(release),
        devel=devel if isinstance(devel, str) and devel in r_versions and devel != release else None,
        r_versions=r_versions,
        released=_days(whole.get("release_dates")),
    )


def _load(body: bytes) -> dict[Any, Any]:
    try:
        # Everything as text: 3.10 is not 3.1. This loader makes nothing but text, lists and maps.
        whole = yaml.load(body, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
        where = getattr(error, "problem_mark", None)
        raise _refused("it is no YAML" + (f" at line {where.line + 1}" if where is not None else "")) from error
    if not isinstance(whole, dict):
        raise _refused("it is no map")
    return whole


def _pair(told: tuple[object, object]) -> tuple[str, str]:
    """(version, minor version of R), the second empty if either can't be read."""
    version, r = told
    if not isinstance(version, str) or not isinstance(r, str) or not is_version(version):
        return "0", ""
    return version, r_minor(r) or ""


def _days(told: object) -> dict[str, date]:
    """Of `3.18: 10/25/2023`: month, day, year."""
    days: dict[str, date] = {}
    for version, text in told.items() if isinstance(told, dict) else ():
        found = _DATE.fullmatch(text.strip()) if isinstance(text, str) else None
        if found is None or not isinstance(version, str) or not is_version(version):
            continue
        month, day, year = map(int, found.groups())
        try:
            days[version] = date(year, month, day)
        except ValueError:
            continue
    return days


def _refused(why: str) -> UpstreamInvalid:
    return UpstreamInvalid(
        f"upstream's config.yaml can't be used: {why}; nothing was changed",
        hint="[bioconductor] upstream is the base URL of a Bioconductor mirror, which has config.yaml",
    )
