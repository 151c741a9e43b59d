"""`core.checking.Versions` of Python packages (PEP 440, 592)."""

from __future__ import annotations

from collections.abc import Sequence

from packaging.specifiers import Specifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from entrepot.core.checking import Offer


def matching(offers: Sequence[Offer], specifier: str) -> list[Offer]:
    """Those that installers take: pre-releases only if nothing else will do or a bound names one, yanked ones only if
    one version alone is asked for."""
    bounds = SpecifierSet(specifier)
    exact = _exact(bounds)
    candidates = offers if exact is None else [offer for offer in offers if _may_equal(offer, exact)]
    found = [offer for offer in candidates if _is_within(offer, bounds)]
    if not _is_one_version(bounds):
        found = [offer for offer in found if not offer.is_yanked]
    if bounds.prereleases:
        return found
    return [offer for offer in found if not offer.key[1].is_prerelease] or found


def beside(offers: Sequence[Offer], specifier: str) -> tuple[list[Offer], list[Offer]]:
    """Those that are too low for the bounds and those that are too high; what is no version is neither."""
    bounds = [(bound, _version(bound)) for bound in SpecifierSet(specifier)]
    low: list[Offer] = []
    high: list[Offer] = []
    for offer in offers:
        is_version, version = offer.key
        if not is_version:
            continue
        missed = [(each, its) for each, its in bounds if not each.contains(version, prereleases=True)]
        if any(_is_too_low(each.operator, version, its) for each, its in missed):
            low.append(offer)
        elif missed:
            high.append(offer)
    return low, high


def _is_too_low(operator: str, version: Version, bound: Version | None) -> bool:
    """Whether a version that a bound does not hold for is below it."""
    if operator in ("<", "<="):
        return False
    return operator in (">", ">=", "!=") or bound is None or version < bound


def _version(bound: Specifier) -> Version | None:
    try:
        return Version(bound.version.removesuffix(".*"))
    except InvalidVersion:
        return None


def _exact(bounds: SpecifierSet) -> Version | None:
    """The version that all must equal, but for a local part; it saves looking at a thousand others."""
    for bound in bounds:
        if bound.operator == "==" and not bound.version.endswith(".*"):
            return Version(bound.version)
    return None


def _may_equal(offer: Offer, exact: Version) -> bool:
    version: Version = offer.key[1]
    return version == exact or (version.local is not None and Version(version.public) == exact)


def _is_within(offer: Offer, bounds: SpecifierSet) -> bool:
    is_version, version = offer.key
    if is_version:
        return bounds.contains(version, prereleases=True)
    return bool(len(bounds)) and all(bound.operator == "===" and bound.version == offer.version for bound in bounds)


def _is_one_version(bounds: SpecifierSet) -> bool:
    return any(
        bound.operator == "===" or (bound.operator == "==" and not bound.version.endswith(".*")) for bound in bounds
    )
