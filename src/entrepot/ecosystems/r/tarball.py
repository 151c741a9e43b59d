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
from entrepot.ecosystems.archives.tar import Tar
from entrepot.ecosystems.r import paths
from entrepot.ecosystems.r.contents import Contents, fields_of, read_description
from entrepot.ecosystems.r.versions import check_name, check_version

_LEAST_LIMIT = 64 << 20
_RATIO = 100
_ABSOLUTE_LIMIT = 16 << 30
_LIMIT_OF_HEAD = 1 << 30
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


def limit_of(compressed_size: int) -> int:
    """What a package of so many bytes may unpack to."""
    return min(_ABSOLUTE_LIMIT, max(_LEAST_LIMIT, _RATIO * compressed_size))


def _read_checked(stream: ByteStream, file_name: str, compressed_size: int) -> SourcePackage:
    parts = paths.split_file_name(file_name)
    if parts is None:
        raise InvalidArchive("the file's name is not NAME_VERSION.tar.gz")
    contents = Contents(Tar(gzips.Reader(stream, limit=limit_of(compressed_size))))
    if contents.text is None:
        raise InvalidArchive(f"there is no {parts[0]}/DESCRIPTION in it")
    description = fields_of(contents.text)
    if "Built" in description:
        raise InvalidArchive(
            "this is a built (binary) package; source packages are wanted",
            hint=_WANTED + ", or `entrepot add binary` this one",
        )
    check_description(description)
    name, version = description["Package"], description["Version"]
    if (name, version) != parts:
        raise InvalidArchive(f"DESCRIPTION says {name} {version}, the file's name says {parts[0]} {parts[1]}")
    if contents.top != name:
        raise InvalidArchive(f"the folder in it is {contents.top!r}, not {name!r}")
    return SourcePackage(name, version, description, contents.text, contents.has_src_folder)


def check_description(description: Mapping[str, str]) -> None:
    """See that a package has a name and a version that R takes. Raises InvalidArchive."""
    for field in ("Package", "Version"):
        if not description.get(field):
            raise InvalidArchive(f"its DESCRIPTION has no {field} field")
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
                text = read_description(tar, entry)
                if found:
                    found()
                if "NeedsCompilation" in (fields := fields_of(text)):
                    return fields, text, None
            has_src_folder = has_src_folder or (parts[1:] == ["src"] and entry.is_folder)
    except Invalid as error:
        if text is None:
            raise InvalidArchive(f"no DESCRIPTION could be read: {error}") from error
        return fields_of(text), text, True if has_src_folder else None
    if text is None:
        raise InvalidArchive("there is no DESCRIPTION in it")
    return fields_of(text), text, has_src_folder
