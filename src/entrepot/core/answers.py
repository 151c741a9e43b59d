"""What a client asks, what it is answered, and the read-only view that an ecosystem answers from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from entrepot.core.model import Brief, FileStatus, Listed, PackageName


@dataclass(frozen=True, slots=True)
class Ask:
    """A request below `/{repository}/{snapshot}/`: the decoded tail of the path and the facts that matter."""

    tail: str
    accept: str = ""
    user_agent: str = ""


class View(Protocol):
    """A repository at a snapshot, already composed: each package comes from the first source that has its name."""

    def current(self) -> Sequence[Listed]:
        """All current files, ordered by package name in C locale order."""

    def in_brief(self, status: FileStatus) -> Sequence[Brief]:
        """All current files, or all archived ones, ordered by package name, oldest first."""

    def of_package(self, package: PackageName) -> list[Listed]:
        """All visible files of one package, current and archived; empty if the view lacks the package."""


class Index(NamedTuple):
    """The bytes of an index, and how many of its entries lack facts that may still be learnt."""

    body: bytes
    incomplete: int


@dataclass(frozen=True, slots=True)
class Document:
    """An index that can be rendered.

    `key` names it within the view (and so in the cache); `compress` says whether a compressed twin is worth keeping
    (not for bodies that are compressed already).
    """

    key: str
    media_type: str
    render: Callable[[], Index]
    compress: bool = False


@dataclass(frozen=True, slots=True)
class SendFile:
    """One listed file, byte for byte as it came."""

    listed: Listed
    media_type: str


@dataclass(frozen=True, slots=True)
class MovedTo:
    """A permanent redirect, `tail` relative to the snapshot's root."""

    tail: str


Answer = Document | SendFile | MovedTo
