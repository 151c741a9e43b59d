"""What a client asks, what it is answered, and the read-only view that an ecosystem answers from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from entrepot.core.model import Listed, PackageName


@dataclass(frozen=True, slots=True)
class Ask:
    """A request below `/{repository}/{snapshot}/`: the decoded tail of the path and the facts that matter."""

    tail: str
    accept: str = ""
    user_agent: str = ""


class View(Protocol):
    """A repository at a snapshot, already composed: each package comes from the first source that has its name."""

    def current(self) -> Iterable[Listed]:
        """All current files, ordered by package name in C locale order."""

    def archived(self) -> Iterable[Listed]:
        """All archived files, ordered by package name, oldest first."""

    def of_package(self, package: PackageName) -> list[Listed]:
        """All visible files of one package, current and archived; empty if the view lacks the package."""


@dataclass(frozen=True, slots=True)
class Document:
    """A rendered index.

    `key` names it within the view (and so in the cache); `render` makes its bytes; `compress` says whether a
    compressed twin is worth keeping (not for bodies that are compressed already).
    """

    key: str
    media_type: str
    render: Callable[[], bytes]
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
