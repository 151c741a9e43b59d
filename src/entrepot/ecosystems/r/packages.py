"""PACKAGES, the list of current packages, in its three forms ("R Installation and Administration", 6.6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from entrepot.core.model import File, Listed
from entrepot.ecosystems.archives import gzips
from entrepot.ecosystems.r import rds
from entrepot.ecosystems.r.dcf import write_fields

STANDARD = (
    "Package",
    "Version",
    "Priority",
    "Depends",
    "Imports",
    "LinkingTo",
    "Suggests",
    "Enhances",
    "License",
    "License_is_FOSS",
    "License_restricts_use",
    "OS_type",
    "Archs",
    "MD5sum",
    "NeedsCompilation",
)
"""What `tools::write_PACKAGES` writes of source packages, in its order; the columns that PACKAGES.rds always has."""

_OF_FILE = frozenset({"Package", "Version", "MD5sum", "SHA256", "Filesize", "File", "Path"})
"""Fields that tell of the file rather than of what is in it: kept as columns, or not true of our file."""

_OF_DESCRIPTION = (*(field for field in STANDARD if field not in _OF_FILE), "SystemRequirements")


def fields_of_description(description: Mapping[str, str], *, has_src_folder: bool | None) -> str:
    """The text for `File.fields` from a package's DESCRIPTION: what `write_PACKAGES` tells, and SystemRequirements.

    Args:
        has_src_folder: decides NeedsCompilation where DESCRIPTION doesn't say; None if nobody knows.
    """
    fields = {key: description[key] for key in _OF_DESCRIPTION if key in description}
    if "NeedsCompilation" not in fields and has_src_folder is not None:
        fields["NeedsCompilation"] = "yes" if has_src_folder else "no"
    # In the order of the list, wherever NeedsCompilation came from.
    return write_fields({key: fields[key] for key in _OF_DESCRIPTION if key in fields})


def fields_of_stanza(stanza: Mapping[str, str]) -> str:
    """The text for `File.fields` from an upstream's PACKAGES stanza: all its other fields in their order."""
    return write_fields({key: value for key, value in stanza.items() if key not in _OF_FILE})


def read_fields(entry: str) -> dict[str, str]:
    """The fields in the text of `File.fields`: each is a line there, so this takes a tenth of reading any DCF."""
    return {field: value for field, _, value in (line.partition(": ") for line in entry.splitlines())}


def stanza(file: File, *, tell_sha256: bool) -> str:
    """One file's entry, without the empty line behind it."""
    md5 = f"MD5sum: {file.md5}\n" if file.md5 else ""
    sha256 = f"SHA256: {file.sha256}\n" if tell_sha256 and file.sha256 else ""
    size = f"Filesize: {file.size}\n" if file.size is not None else ""
    return f"Package: {file.package}\nVersion: {file.version}\n{file.fields or ''}{md5}{sha256}{size}"


def render(files: Iterable[Listed], told: Callable[[File], bool]) -> bytes:
    """PACKAGES; empty where there are no files. `told` says of which files the SHA-256 is told."""
    # Each by itself: one letter beyond Latin-1 makes text of all of them two bytes wide.
    entries = [stanza(file, tell_sha256=told(file)).encode() for file, _ in files]
    entries.append(b"")
    return b"\n".join(entries)


def render_gz(files: Iterable[Listed], told: Callable[[File], bool]) -> bytes:
    """PACKAGES.gz; the same for equal input."""
    return gz(render(files, told))


def gz(data: bytes) -> bytes:
    """PACKAGES.gz from PACKAGES; the same for equal input."""
    return gzips.compress(data)


def render_rds(files: Iterable[Listed], told: Callable[[File], bool]) -> bytes:
    """PACKAGES.rds: the same entries as a character matrix with package names as row names.

    The standard columns, then every other field that some file has. Without files it has no rows, so that its
    length is 0 and `available.packages` passes over it.
    """
    rows = [file for file, _ in files]
    names = [file.package for file in rows]
    columns = _Columns(len(rows))
    for field in STANDARD:
        columns[field]
    columns["Package"] = rds.string_each(names)
    columns["Version"] = rds.string_each([file.version for file in rows])
    sums = rds.string_each([file.md5 or "" for file in rows])
    sizes = rds.string_each([str(file.size) for file in rows])
    lines = _Lines(columns)
    for row, file in enumerate(rows):
        for line in file.fields[:-1].split("\n") if file.fields else ():
            column, cell = lines[line]
            column[row] = cell
        if file.md5:
            columns["MD5sum"][row] = sums[row]
        if file.sha256 and told(file):
            columns["SHA256"][row] = rds.string(file.sha256)
        if file.size is not None:
            columns["Filesize"][row] = sizes[row]
    made = rds.Strings(zip(names, columns["Package"], strict=True))
    return rds.write_matrix(columns, names if rows else None, made=made)


FORMS: Mapping[str, tuple[Callable[[Iterable[Listed], Callable[[File], bool]], bytes], str]] = {
    "PACKAGES": (render, "text/plain; charset=utf-8"),
    # A gzip file as itself: with Content-Encoding instead, clients would unpack it and then fail to.
    "PACKAGES.gz": (render_gz, "application/gzip"),
    "PACKAGES.rds": (render_rds, "application/octet-stream"),
}
"""Name of an index -> what renders it, and its media type."""


class _Columns(dict[str, list[bytes]]):
    """The columns of a matrix of so many rows, each NA all over when it is first asked for."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self._rows = rows

    def __missing__(self, field: str) -> list[bytes]:
        self[field] = made = [rds.NA_STRING] * self._rows
        return made


class _Lines(dict[str, tuple[list[bytes], bytes]]):
    """A line of some file's fields -> its column, and its value as a cell. Very many lines are the same."""

    def __init__(self, columns: _Columns) -> None:
        super().__init__()
        self._columns = columns

    def __missing__(self, line: str) -> tuple[list[bytes], bytes]:
        field, _, value = line.partition(": ")
        self[line] = made = self._columns[field], rds.string(value)
        return made
