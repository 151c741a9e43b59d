"""What a client asks, what it is answered, and the read-only view that an ecosystem answers from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from entrepot.core.model import Brief, File, FileStatus, Listed, PackageName, Sha256
from entrepot.core.platforms import BinaryAsk, Fallback, Platform


@dataclass(frozen=True, slots=True)
class Ask:
    """A request below `/{repository}/{snapshot}/`: the decoded tail of the path and the facts that matter.

    `tail` has no slash at its end; `is_folder` says whether the path had one. `files_at` is the URL, as the client
    knows the server, below which each file of the snapshot is at `PROJECT/FILE` too. `binary` is what binary packages
    are asked for at the addresses of source packages, as below `__linux__`; None where none are.
    """

    tail: str
    accept: str = ""
    user_agent: str = ""
    is_folder: bool = False
    files_at: str = ""
    binary: BinaryAsk | None = None


class About(NamedTuple):
    """What is told of a package besides its files.

    `name` is as its authors write it. `status` and `reason` are those of PEP 792, `tracks` and `alternates` those of
    PEP 708. They are of now: a snapshot of a past time has none of them.
    """

    name: str
    status: str = "active"
    reason: str | None = None
    tracks: tuple[str, ...] = ()
    alternates: tuple[str, ...] = ()


class Unlearned(Exception):
    """What a view was asked for is not known yet and can be learnt: `learn()` starts that, or joins who does.

    It returns a flight (`entrepot.flights`); when that has ended, the view can be asked again.
    """

    def __init__(self, learn: Callable[[], Any]) -> None:
        super().__init__("not known yet")
        self.learn = learn


class View(Protocol):
    """A repository at a snapshot, already composed: each package comes from the first source that has its name.

    Each method may raise `Unlearned`.
    """

    def current(self) -> Sequence[Listed]:
        """All current files, ordered by package name in C locale order."""

    def in_brief(self, status: FileStatus) -> Sequence[Brief]:
        """All current files, or all archived ones, ordered by package name, oldest first."""

    def of_package(self, package: PackageName) -> list[Listed]:
        """All visible files of one package, current and archived; empty if the view lacks the package."""

    def names(self) -> Iterable[PackageName]:
        """The names of all packages, ordered, each once; there may be a million."""

    def names_serial(self) -> int:
        """A number that grows when the names change, or a source of our own does."""

    def serial(self) -> int:
        """A number that grows with each change to what is shown; not below `names_serial`."""

    def about(self, package: PackageName) -> About | None:
        """What its source tells of a package now; None for a past snapshot, and where nothing is told."""

    def metadata_hashes(self, files: Sequence[File]) -> Mapping[int, Sha256]:
        """File id -> SHA-256 of its metadata document, of those files whose document was read out of them later."""

    def metadata(self, file: File) -> bytes:
        """A metadata document (Python: core metadata), which is itself a file of the store. Raises Unlearned."""

    def binary(self, file: File, platforms: Sequence[Platform]) -> tuple[Listed, Platform] | None:
        """The binary package of a listed source package (R), of the first of these platforms that has one."""

    def binaries(self, platforms: Sequence[Platform]) -> list[Listed]:
        """The binary packages (R) of these platforms, of packages and in an order as `current`; each once."""

    def binaries_key(self, platforms: Sequence[Platform]) -> str:
        """Names what `binaries` gives besides the view's own packages."""

    def binaries_of(self, package: PackageName, platforms: Sequence[Platform]) -> list[Listed]:
        """The binary packages of one package for these platforms, whatever their versions."""

    def platforms(self) -> Sequence[Platform]:
        """Those for which some source of the repository has binary packages; sorted."""


class Index(NamedTuple):
    """The bytes of an index, and how many of its entries lack facts that may still be learnt."""

    body: bytes
    incomplete: int = 0


@dataclass(frozen=True, slots=True)
class Document:
    """An index that can be rendered.

    `key` names it within the view (and so in the cache), or, if `is_own_key`, names all that it shows by itself;
    `compress` says whether compressed twins are worth keeping (not for bodies that are compressed already); `varies`
    whether the client's Accept chose it; `has_url` whether it shows `Ask.files_at`. `serial` counts the changes to
    what it shows, for clients that mirror.
    """

    key: str
    media_type: str
    render: Callable[[], Index]
    compress: bool = False
    is_own_key: bool = False
    varies: bool = False
    has_url: bool = False
    serial: int | None = None


@dataclass(frozen=True, slots=True)
class LargeDocument:
    """A list of all names, too large to be held in memory; `pieces` are its bytes in order. The rest as in
    `Document`."""

    key: str
    media_type: str
    pieces: Callable[[], Iterable[bytes]]
    varies: bool = False
    serial: int | None = None


@dataclass(frozen=True, slots=True)
class SendFile:
    """One listed file, byte for byte as it came.

    Of R's packages is told whether they are source or binary, `package_type`, and for which `platform`; where a binary
    package was asked for, `fallback` says why the source package is given. `varies` says whether the User-Agent chose
    it. Of a file of a Python project `kind` is wheel, sdist or other; None of a document beside one. `is_aside` says
    that it is given at a place where clients only try.
    """

    listed: Listed
    media_type: str
    package_type: str | None = None
    platform: Platform | None = None
    fallback: Fallback | None = None
    varies: bool = False
    kind: str | None = None
    is_aside: bool = False

    @property
    def counted_as(self) -> str | None:
        """What a download of it is counted as in usage statistics; None: it isn't counted."""
        return None if self.is_aside else self.package_type or self.kind


@dataclass(frozen=True, slots=True)
class MovedTo:
    """A permanent redirect, `tail` relative to the snapshot's root."""

    tail: str


Answer = Document | LargeDocument | SendFile | MovedTo
