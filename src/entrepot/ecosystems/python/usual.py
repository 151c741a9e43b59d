"""Entries of indexes as almost all of them are, read at a third of the price.

A page of a large project has thousands of entries, and whoever asks for it first waits. What is not exactly of the
usual form is left to `upstream`, which reads every form; both read the same out of the usual one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic_core import to_json

from entrepot.core.model import PackageName, Sha256
from entrepot.core.pages import FoundFile
from entrepot.ecosystems.python.facts import LONGEST_TEXT
from entrepot.ecosystems.python.names import parse_file_name

_KEYS = frozenset({"filename", "url", "hashes", "requires-python", "size", "upload-time", "yanked", "core-metadata"})
_OLDER_KEYS = frozenset({"dist-info-metadata", "data-dist-info-metadata"})
"""What is told under them is told under `core-metadata` too, where that is told."""
# File name, URL, SHA-256, time of upload, SHA-256 of the metadata: a line each.
_USUAL = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,299}\n"
    r"https?://[A-Za-z0-9.:-]+/[!\"$-~]*\n"
    r"[0-9a-f]{64}\n"
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(?:\.[0-9]{1,6})?Z)\n"
    r"(?:[0-9a-f]{64})?",
)


class UsualEntries:
    """Reads the usual ones among a project's entries; what many of them have in common is looked at once."""

    def __init__(self, project: PackageName) -> None:
        self._project = project
        self._conditions: dict[object, str | None] = {None: ""}

    def read(self, told: Mapping[str, Any]) -> FoundFile | None:
        """The file; None if anything about it is unusual, be it right or wrong."""
        try:
            name, url, hashes, time = told["filename"], told["url"], told["hashes"], told["upload-time"]
            metadata = told.get("core-metadata")
            (sha256,), digest = hashes.values(), metadata["sha256"] if metadata else ""
            is_usual = "sha256" in hashes and _USUAL.fullmatch("\n".join((name, url, sha256, time, digest)))
            condition = self._condition(told.get("requires-python"))
            if not is_usual or condition is None or told.get("yanked") or not self._has_usual_keys(told):
                return None
            uploaded = datetime.fromisoformat(time).timestamp()
        except (KeyError, TypeError, ValueError, AttributeError):
            return None
        size, parsed = told.get("size"), parse_file_name(self._project, name)
        has_usual_size = size is None or (type(size) is int and 0 <= size < 2**63)
        if not parsed.version or uploaded < 0 or not has_usual_size:
            return None
        document = f'"core-metadata":"{digest}",' if digest else ""
        fields = f'{{{condition}{document}"upload-time":"{time}"}}'
        return FoundFile(name, parsed.version, url, size, None, Sha256(sha256), int(uploaded), fields)

    @staticmethod
    def _has_usual_keys(told: Mapping[str, Any]) -> bool:
        more = told.keys() - _KEYS
        return not more or (bool(told.get("core-metadata")) and more <= _OLDER_KEYS)

    def _condition(self, told: object) -> str | None:
        """A condition on Python's version as it stands in `File.fields`; None if it is unusual."""
        try:
            return self._conditions[told]
        except KeyError:
            is_text = isinstance(told, str) and 0 < len(told) <= LONGEST_TEXT
            text = f'"requires-python":{to_json(told).decode()},' if is_text else None
            self._conditions[told] = text
            return text
