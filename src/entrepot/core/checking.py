"""A wanted package and what a repository offers of it -> whether it can be served, and the nearest that can."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from entrepot.core.model import Sha256
from entrepot.core.requirements import Requirement


class Verdict(StrEnum):
    SERVED = "served"
    PARTIAL = "partial"
    """Some of the files that the list names by their hashes are there, others not."""
    WITH_R = "with-r"
    """It comes with R itself; no repository gives it."""
    MISSING = "missing"
    UNKNOWN = "unknown"
    """It can't be told, because upstream can't be asked or doesn't say."""


class Lack(StrEnum):
    """What is missing."""

    PACKAGE = "package"
    VERSION = "version"
    FILES = "files"
    """A version would do, but none of its files has one of the hashes."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A version that can be had.

    `key` sorts as its ecosystem sorts versions. `hashes` are the SHA-256 of its files as far as they are known;
    `is_hashed` says whether all are.
    """

    version: str
    key: Any
    source: str = ""
    is_archived: bool = False
    is_yanked: bool = False
    hashes: frozenset[Sha256] = frozenset()
    is_hashed: bool = True


@dataclass(frozen=True, slots=True)
class Checked:
    """What is found of one entry of a list.

    `offer` is what is served (wholly or in part); `listed` how many of the files named by hashes are there. `lower` and
    `higher` are the versions next to a missing one, `near` the names next to an unknown one. `reason` is one line for
    what can't be told.
    """

    requirement: Requirement
    verdict: Verdict
    lack: Lack | None = None
    offer: Offer | None = None
    listed: int = 0
    lower: str | None = None
    higher: str | None = None
    near: tuple[str, ...] = ()
    reason: str | None = None


class Versions(Protocol):
    """How an ecosystem reads bounds."""

    def matching(self, offers: Sequence[Offer], specifier: str) -> list[Offer]:
        """Those that a client takes for these bounds, in their order."""

    def beside(self, offers: Sequence[Offer], specifier: str) -> tuple[list[Offer], list[Offer]]:
        """Those that are too low for these bounds and those that are too high, both in their order."""


def judge(wanted: Requirement, offers: Sequence[Offer], versions: Versions) -> Checked:
    """Whether an entry can be served from what is offered of its package, newest first."""
    if not offers:
        return Checked(wanted, Verdict.MISSING, Lack.PACKAGE)
    matching = versions.matching(offers, wanted.specifier)
    if not matching:
        # What was yanked is nobody's next choice.
        below, above = versions.beside([offer for offer in offers if not offer.is_yanked], wanted.specifier)
        lower, higher = below[0].version if below else None, above[-1].version if above else None
        return Checked(wanted, Verdict.MISSING, Lack.VERSION, lower=lower, higher=higher)
    if not wanted.hashes:
        # What is in the index comes before what its archive alone has, be that newer.
        offer = next((offer for offer in matching if not offer.is_archived), matching[0])
        return Checked(wanted, Verdict.SERVED, offer=offer)
    return _judge_files(wanted, matching)


def _judge_files(wanted: Requirement, matching: Sequence[Offer]) -> Checked:
    hashes = frozenset(wanted.hashes)
    best = max(matching, key=lambda offer: len(hashes & offer.hashes))
    listed = len(hashes & best.hashes)
    if listed:
        verdict = Verdict.SERVED if listed == len(hashes) else Verdict.PARTIAL
        return Checked(wanted, verdict, offer=best, listed=listed)
    if not all(offer.is_hashed for offer in matching):
        return Checked(wanted, Verdict.UNKNOWN, reason="the index does not tell the SHA-256 of all its files")
    return Checked(wanted, Verdict.MISSING, Lack.FILES, offer=best)
