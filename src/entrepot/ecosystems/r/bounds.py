"""`core.checking.Versions` of R packages."""

from __future__ import annotations

from collections.abc import Sequence

from entrepot.core.checking import Offer
from entrepot.ecosystems.r.lists import HOLDS, bounds
from entrepot.ecosystems.r.versions import version_key


def matching(offers: Sequence[Offer], specifier: str) -> list[Offer]:
    """Those within the bounds, as `lists.satisfies` tells; by the keys at hand, as there may be 100,000 lines."""
    found = list(offers)
    for sign, version in bounds(specifier):
        holds, key = HOLDS[sign], version_key(version)
        found = [offer for offer in found if holds(offer.key, key)]
    return found


def beside(offers: Sequence[Offer], specifier: str) -> tuple[list[Offer], list[Offer]]:
    """Those that are too low for the bounds and those that are too high."""
    found = [(sign, version_key(version)) for sign, version in bounds(specifier)]
    low: list[Offer] = []
    high: list[Offer] = []
    for offer in offers:
        missed = [(sign, key) for sign, key in found if not HOLDS[sign](offer.key, key)]
        if any(sign in (">", ">=", "!=") or (sign == "==" and offer.key < key) for sign, key in missed):
            low.append(offer)
        elif missed:
            high.append(offer)
    return low, high
