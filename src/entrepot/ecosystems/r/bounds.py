"""`core.checking.Versions` of R packages."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence

from entrepot.core.checking import Offer
from entrepot.ecosystems.r.lists import bounds
from entrepot.ecosystems.r.versions import VersionKey, version_key

_HOLDS: Mapping[str, Callable[[VersionKey, VersionKey], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


def matching(offers: Sequence[Offer], specifier: str) -> list[Offer]:
    """Those within the bounds, as `lists.satisfies` tells; by the keys at hand, as there may be 100,000 lines."""
    found = list(offers)
    for sign, version in bounds(specifier):
        holds, key = _HOLDS[sign], version_key(version)
        found = [offer for offer in found if holds(offer.key, key)]
    return found


def ends(specifier: str) -> tuple[VersionKey | None, VersionKey | None]:
    """The highest version below which nothing will do, and the lowest above which nothing will; else the other one."""
    found = [(sign, version_key(version)) for sign, version in bounds(specifier)]
    low = max((key for sign, key in found if sign in (">", ">=", "==")), default=None)
    high = min((key for sign, key in found if sign in ("<", "<=", "==")), default=None)
    if low is None and high is None:
        low = max((key for _, key in found), default=None)
    return (high if low is None else low), (low if high is None else high)
