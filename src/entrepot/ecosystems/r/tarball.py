"""Reads source packages: an upload whole and strictly, a mirrored file just for its DESCRIPTION.

Both take the tar format apart here rather than with `tarfile`, which ends silently at a damaged header in the
middle (where another unpacker may go on) and reads a "long name" of any length into memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from entrepot.core.errors import Invalid, InvalidArchive
from entrepot.ecosystems.archives import gzips
from entrepot.ecosystems.archives.gzips import ByteStream
from entrepot.ecosystems.archives.tar import Entry, Tar
from entrepot.ecosystems.r import dcf, paths
from entrepot.ecosystems.r.versions import check_name, check_version

_LEAST_LIMIT = 64 << 20
_RATIO = 100
_ABSOLUTE_LIMIT = 16 << 30
_LIMIT_OF_HEAD = 1 << 30
_MOST_ENTRIES = 200_000
_LARGEST_DESCRIPTION = 1 << 20
_WANTED = "upload the NAME_VERSION.tar.gz that R CMD build makes"


@dataclass(frozen=True, slots=True)
class SourcePackage:
    """What a source package says of itself; `description_text` is DESCRIPTION as it stands, decoded."""

    name: str
    version: str
    description: dict[str, str]
    description_text: str
    has_src_folder: bool


def read_source_package(stream: ByteStream, *, file_name: str, compressed_size: int) -> SourcePackage:
    """Read a source package to its last byte, in bounded memory, and check all of it.

    Args:
        stream: the .tar.gz, at its beginning.
        file_name: the name that it shall have, NAME_VERSION.tar.gz.
        compressed_size: its bytes; what it may unpack to depends on them.

    Raises:
        InvalidArchive: anything that is not exactly a source package of that name and version; the message is one
            line and names the file.
    """
    shown = file_name[:200].encode("utf-8", "backslashreplace").decode()
    try:
        return _read_checked(stream, file_name, compressed_size)
    except InvalidArchive as error:
        error = InvalidArchive(f"{shown}: {error}", hint=error.hint or _WANTED, file=shown)
        raise error from None
    except Invalid as error:
        raise InvalidArchive(f"{shown}: {error}", hint=_WANTED, file=shown) from error


def _read_checked(stream: ByteStream, file_name: str, compressed_size: int) -> SourcePackage:
    parts = paths.split_file_name(file_name)
    if parts is None:
        raise InvalidArchive("the file's name is not NAME_VERSION.tar.gz")
    limit = min(_ABSOLUTE_LIMIT, max(_LEAST_LIMIT, _RATIO * compressed_size))
    contents = _Contents(Tar(gzips.Reader(stream, limit=limit)))
    if contents.text is None:
        raise InvalidArchive(f"there is no {parts[0]}/DESCRIPTION in it")
    description = _fields(contents.text)
    _check_description(description)
    name, version = description["Package"], description["Version"]
    if (name, version) != parts:
        raise InvalidArchive(f"DESCRIPTION says {name} {version}, the file's name says {parts[0]} {parts[1]}")
    if contents.top != name:
        raise InvalidArchive(f"the folder in it is {contents.top!r}, not {name!r}")
    return SourcePackage(name, version, description, contents.text, contents.has_src_folder)


class _Contents:
    """One strict walk over a source package: `top` folder, DESCRIPTION's `text`, whether there is `src/`."""

    def __init__(self, tar: Tar) -> None:
        self.top: str | None = None
        self.text: str | None = None
        self.has_src_folder = False
        for count, entry in enumerate(tar, 1):
            if count > _MOST_ENTRIES:
                raise InvalidArchive(f"there are more than {_MOST_ENTRIES:,} entries in it")
            self._take(tar, entry)

    def _take(self, tar: Tar, entry: Entry) -> None:
        parts = _checked_parts(entry)
        if self.top is None:
            self.top = parts[0]
        if parts[0] != self.top or (len(parts) == 1 and not entry.is_folder):
            raise InvalidArchive(f"the entry {entry.shown} is outside of the folder {self.top!r}")
        if parts[1:] == ["DESCRIPTION"]:
            if self.text is not None:
                raise InvalidArchive("there are two DESCRIPTION files in it")
            self.text = _read_description(tar, entry)
        if parts[1:] == ["src"] and entry.is_folder:
            self.has_src_folder = True


def _checked_parts(entry: Entry) -> list[str]:
    """The parts of an entry's path.

    Raises:
        InvalidArchive: it is no file and no folder, or its path may lead elsewhere.
    """
    if not entry.is_file and not entry.is_folder:
        raise InvalidArchive(
            f"the entry {entry.shown} is {entry.what}",
            hint="source packages hold only files and folders",
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


def _read_description(tar: Tar, entry: Entry) -> str:
    if not entry.is_file:
        raise InvalidArchive("its DESCRIPTION is a folder")
    if entry.size > _LARGEST_DESCRIPTION:
        raise InvalidArchive(f"its DESCRIPTION is larger than {_LARGEST_DESCRIPTION:,} bytes")
    data = tar.content()
    if b"\0" in data:
        raise InvalidArchive("its DESCRIPTION is not text")
    return dcf.decode(data)


def _fields(text: str) -> dict[str, str]:
    try:
        return dcf.parse_one(text)
    except Invalid as error:
        raise InvalidArchive(f"its DESCRIPTION can't be read: {error}") from error


def _check_description(description: Mapping[str, str]) -> None:
    for field in ("Package", "Version"):
        if not description.get(field):
            raise InvalidArchive(f"its DESCRIPTION has no {field} field")
    if "Built" in description:
        raise InvalidArchive("this is a built (binary) package; source packages are wanted", hint=_WANTED)
    try:
        check_name(description["Package"])
        check_version(description["Version"])
    except Invalid as error:
        raise InvalidArchive(f"its DESCRIPTION: {error}", hint=error.hint) from error


def describe(
    stream: ByteStream, *, found: Callable[[], object] | None = None
) -> tuple[dict[str, str], str, bool | None]:
    """(fields, text, whether there is `src/`) of a mirrored source package, leniently: what else is odd is let pass.

    Reads no further than DESCRIPTION if that tells NeedsCompilation; `src/` is None then, and where the stream ends
    before the archive does.

    Args:
        found: called once DESCRIPTION was read; a stream may end from there on.

    Raises:
        InvalidArchive: no readable DESCRIPTION below one folder in what there is of the stream.
    """
    text: str | None = None
    has_src_folder = False
    try:
        tar = Tar(gzips.Reader(stream, limit=_LIMIT_OF_HEAD))
        for entry in tar:
            parts = entry.path.removeprefix("./").rstrip("/").split("/")
            if text is None and len(parts) == 2 and parts[1] == "DESCRIPTION" and entry.is_file:
                text = _read_description(tar, entry)
                if found:
                    found()
                if "NeedsCompilation" in (fields := _fields(text)):
                    return fields, text, None
            has_src_folder = has_src_folder or (parts[1:] == ["src"] and entry.is_folder)
    except Invalid as error:
        if text is None:
            raise InvalidArchive(f"no DESCRIPTION could be read: {error}") from error
        return _fields(text), text, True if has_src_folder else None
    if text is None:
        raise InvalidArchive("there is no DESCRIPTION in it")
    return _fields(text), text, has_src_folder
