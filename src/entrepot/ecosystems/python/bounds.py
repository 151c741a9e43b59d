"""`core.checking.Versions` of Python packages (PEP 440, 592)."""

from __future__ import annotations

from collections.abc import Sequence

from packaging.specifiers import Specifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from entrepot.core.checking import Offer

Key = tuple[bool, Version]
"""As `jsonapi.version_key`: what is no version comes before all that are."""


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


def ends(specifier: str) -> tuple[Key | None, Key | None]:
    """The highest version below which nothing will do, and the lowest above which nothing will; else the other one."""
    bounds = [(bound.operator, key) for bound in SpecifierSet(specifier) if (key := _key(bound)) is not None]
    low = max((key for operator, key in bounds if operator in (">", ">=", "==", "~=", "===")), default=None)
    high = min((key for operator, key in bounds if operator in ("<", "<=", "==", "===")), default=None)
    if low is None and high is None:
        low = max((key for _, key in bounds), default=None)
    return (high if low is None else low), (low if high is None else high)


def _key(bound: Specifier) -> Key | None:
    try:
        return True, Version(bound.version.removesuffix(".*"))
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
