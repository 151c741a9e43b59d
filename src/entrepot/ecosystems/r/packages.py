"""PACKAGES, the list of current packages, in its three forms ("R Installation and Administration", 6.6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from entrepot.core.model import File, Listed
from entrepot.ecosystems.r import gzips, rds
from entrepot.ecosystems.r.dcf import collapse, write_fields

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


def stanza(file: File, *, tell_sha256: bool) -> str:
    """One file's entry, without the empty line behind it."""
    head = f"Package: {file.package}\nVersion: {file.version}\n"
    tail = f"MD5sum: {file.md5}\n" if file.md5 else ""
    if tell_sha256 and file.sha256:
        tail += f"SHA256: {file.sha256}\n"
    if file.size is not None:
        tail += f"Filesize: {file.size}\n"
    return head + (file.fields or "") + tail


def render(files: Iterable[Listed], told: Callable[[File], bool]) -> bytes:
    """PACKAGES; empty where there are no files. `told` says of which files the SHA-256 is told."""
    return "".join(stanza(listed.file, tell_sha256=told(listed.file)) + "\n" for listed in files).encode()


def gz(data: bytes) -> bytes:
    """PACKAGES.gz from PACKAGES; the same for equal input."""
    return gzips.compress(data)


def render_rds(files: Iterable[Listed], told: Callable[[File], bool]) -> bytes:
    """PACKAGES.rds: the same entries as a character matrix with package names as row names.

    The standard columns, then every other field that some file has. Without files it has no rows, so that its
    length is 0 and `available.packages` passes over it.
    """
    entries = [_entry(listed.file, told(listed.file)) for listed in files]
    columns = list(dict.fromkeys([*STANDARD, *(field for entry in entries for field in entry)]))
    rows = [list(map(entry.get, columns)) for entry in entries]
    return rds.write_matrix(columns, rows, [entry["Package"] for entry in entries] if entries else None)


def _entry(file: File, tell_sha256: bool) -> dict[str, str]:
    lines = stanza(file, tell_sha256=tell_sha256).split("\n")
    parts = (line.partition(":") for line in lines if line)
    return {key: collapse(value) for key, _, value in parts}
