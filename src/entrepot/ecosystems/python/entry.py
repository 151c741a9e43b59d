"""What an index entry of a Python file says besides name, version, size and hashes: the text in `File.fields`."""

from __future__ import annotations

from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

from entrepot.core.model import Sha256


class Entry(NamedTuple):
    """The facts of one file in an index, as the Simple repository API names them.

    `core_metadata` is the SHA-256 of the file's metadata document, which is offered beside it (PEP 658, 714).
    `yanked` is the reason, empty where none is given, None for a file that is not yanked (PEP 592).
    `upload_time` is as upstream writes it, in UTC with a `Z` (PEP 700); `provenance` a URL (PEP 740); `hashes` others
    than md5 and sha256.
    """

    requires_python: str | None = None
    core_metadata: Sha256 | None = None
    yanked: str | None = None
    upload_time: str | None = None
    provenance: str | None = None
    has_signature: bool | None = None
    hashes: dict[str, str] | None = None


_KEYS = ("requires-python", "core-metadata", "yanked", "upload-time", "provenance", "gpg-sig", "hashes")


def pack(entry: Entry) -> str:
    """An entry as text; equal entries give equal texts."""
    told: dict[str, Any] = {key: value for key, value in zip(_KEYS, entry, strict=True) if value is not None}
    if entry.hashes is not None:
        told["hashes"] = dict(sorted(entry.hashes.items()))
    return to_json(told).decode()


def has_metadata(fields: str | None) -> bool:
    """Whether the entry names a metadata document; cheaper than `unpack`."""
    return fields is not None and '"core-metadata":"' in fields


def unpack(fields: str | None) -> Entry:
    """The entry of such a text; of None, one that tells nothing."""
    if not fields:
        return Entry()
    told: dict[str, Any] = from_json(fields)
    return Entry(*map(told.get, _KEYS))
