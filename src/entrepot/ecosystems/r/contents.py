"""What is in the .tar.gz of an R package, source or installed: one strict walk, and its DESCRIPTION."""

from __future__ import annotations

from entrepot.core.errors import Invalid, InvalidArchive
from entrepot.ecosystems.archives.tar import Entry, Tar
from entrepot.ecosystems.r import dcf

LARGEST_DESCRIPTION = 1 << 20
_MOST_ENTRIES = 200_000
_MOST_LINKS = 1000
_LONGEST_PATH = 4096


class Contents:
    """One strict walk over a package: its `top` folder, DESCRIPTION's `text`, whether there is `src/`, and whether
    there is `Meta/package.rds`, which installed packages have.

    Args:
        takes_links: whether symbolic links are let pass that lead to places within the folder. Nothing may be unpacked
            through one.

    Raises:
        InvalidArchive: what can't be unpacked below one folder, with one DESCRIPTION, everywhere alike.
    """

    def __init__(self, tar: Tar, *, takes_links: bool = False) -> None:
        self.top: str | None = None
        self.text: str | None = None
        self.has_src_folder = False
        self.has_meta = False
        self._takes_links = takes_links
        self._links: set[tuple[str, ...]] = set()
        for count, entry in enumerate(tar, 1):
            if count > _MOST_ENTRIES:
                raise InvalidArchive(f"there are more than {_MOST_ENTRIES:,} entries in it")
            self._take(tar, entry)

    def _take(self, tar: Tar, entry: Entry) -> None:
        is_link = self._takes_links and entry.is_link and not entry.is_hard_link
        parts = _checked_parts(entry, is_link=is_link)
        if self.top is None:
            self.top = parts[0]
        if parts[0] != self.top or (len(parts) == 1 and not entry.is_folder):
            raise InvalidArchive(f"the entry {entry.shown} is outside of the folder {self.top!r}")
        self._check_links(entry, parts)
        if is_link:
            self._take_link(entry, parts)
            return
        if parts[1:] == ["DESCRIPTION"]:
            if self.text is not None:
                raise InvalidArchive("there are two DESCRIPTION files in it")
            self.text = read_description(tar, entry)
        self.has_src_folder = self.has_src_folder or (parts[1:] == ["src"] and entry.is_folder)
        self.has_meta = self.has_meta or (parts[1:] == ["Meta", "package.rds"] and entry.is_file)

    def _check_links(self, entry: Entry, parts: list[str]) -> None:
        """See that unpacking an entry neither goes through a link nor writes over one."""
        if self._links and any(tuple(parts[:depth]) in self._links for depth in range(1, len(parts) + 1)):
            raise InvalidArchive(f"the entry {entry.shown} is behind a symbolic link")

    def _take_link(self, entry: Entry, parts: list[str]) -> None:
        """A link that leads up as far as its own folder is deep, and then down: so nothing above can be meant, whatever
        the folders on the way are."""
        if len(self._links) >= _MOST_LINKS or len(entry.path) > _LONGEST_PATH:
            raise InvalidArchive(f"there are more than {_MOST_LINKS:,} symbolic links in it, or one with a long path")
        target = entry.link.rstrip("/").split("/")
        ups = next((at for at, part in enumerate(target) if part != ".."), len(target))
        is_within = ups <= len(parts) - 2 and {"", ".", ".."}.isdisjoint(target[ups:])
        if not is_within or "\\" in entry.link or parts[1:2] == ["DESCRIPTION"]:
            raise InvalidArchive(f"the entry {entry.shown} is a symbolic link that may lead out of the package")
        self._links.add(tuple(parts))


def _checked_parts(entry: Entry, *, is_link: bool) -> list[str]:
    """The parts of an entry's path.

    Raises:
        InvalidArchive: it is no file and no folder (nor a link, if `is_link`), or its path may lead elsewhere.
    """
    if not entry.is_file and not entry.is_folder and not is_link:
        raise InvalidArchive(
            f"the entry {entry.shown} is {entry.what}",
            hint="packages hold only files and folders",
        )
    if entry.is_folder and entry.size:
        raise InvalidArchive(f"the entry {entry.shown} is a folder that claims to have content")
    path = entry.path
    if path.startswith("/"):
        raise InvalidArchive(f"the entry {entry.shown} has an absolute path")
    if "\\" in path or any(ord(letter) < 32 or letter == "\x7f" for letter in path):
        raise InvalidArchive(f"the entry {entry.shown} has a backslash or a control character in its path")
    parts = (path[:-1] if entry.is_folder else path).split("/")
    if not {"", ".", ".."}.isdisjoint(parts):
        raise InvalidArchive(f"the entry {entry.shown} has an empty, '.' or '..' part in its path")
    return parts


def read_description(tar: Tar, entry: Entry) -> str:
    """The text of DESCRIPTION, which is the tar's present entry. Raises InvalidArchive."""
    if not entry.is_file:
        raise InvalidArchive("its DESCRIPTION is a folder")
    if entry.size > LARGEST_DESCRIPTION:
        raise InvalidArchive(f"its DESCRIPTION is larger than {LARGEST_DESCRIPTION:,} bytes")
    return text_of(tar.content())


def text_of(data: bytes) -> str:
    """DESCRIPTION decoded. Raises InvalidArchive."""
    if b"\0" in data:
        raise InvalidArchive("its DESCRIPTION is not text")
    return dcf.decode(data)


def fields_of(text: str) -> dict[str, str]:
    """The fields of DESCRIPTION. Raises InvalidArchive."""
    try:
        return dcf.parse_one(text)
    except Invalid as error:
        raise InvalidArchive(f"its DESCRIPTION can't be read: {error}") from error
