"""What is new in an upstream's texts since the last ones, without reading what is the same.

`compare` tells the packages about which the texts differ and what upstream has of these; `inventory` of the whole
says the same of them, and of all others what it said before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from entrepot.core.errors import Invalid
from entrepot.core.model import PackageName
from entrepot.ecosystems.r import comments, paths
from entrepot.ecosystems.r.archive import parse_current
from entrepot.ecosystems.r.frames import Archive
from entrepot.ecosystems.r.upstream import (
    MOST_FIELDS,
    Facts,
    Inventory,
    Outline,
    Texts,
    put_together,
    read_index,
)

MOST = 3000
"""Changed packages above which reading everything is as fast."""

Stanzas = dict[str, list[bytes]]
_HEAD = b"Package:"
_NAMED = re.compile(rb"^Package:[ \t]*([^\s]+)[ \t]*$(?!\n[ \t\f\v])", re.MULTILINE)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class News:
    """The packages that changed, sorted, and what upstream has of these."""

    packages: list[PackageName]
    inventory: Inventory


def compare(before: Texts, outline: Outline, now: Texts, *, also: Iterable[PackageName] = ()) -> News | None:
    """What is new in `now`; None if only reading it whole can tell, or refuse it.

    Args:
        outline: of `before`, which was accepted as a whole.
        also: packages to be told of in any case.
    """
    try:
        return _compare(before, outline, now, also)
    except Invalid:
        return None


def _compare(before: Texts, outline: Outline, now: Texts, also: Iterable[PackageName]) -> News | None:
    if before.archive is None or now.archive is None:
        return None
    index = _changed_keys(_stanzas(before.index), stanzas := _stanzas(now.index))
    remarks = _changed_keys(_remarks(before.comments), told := _remarks(now.comments))
    files = _changed_keys(_facts(before.current), facts := _facts(now.current))
    archive = Archive(now.archive)
    frames = archive.compare(outline.frames, Archive(before.archive), most=MOST)
    if index is None or remarks is None or files is None or frames is None or stanzas is None or told is None:
        return None
    of_files = {parts[0] for name in files if (parts := paths.split_file_name(name))}
    changed = sorted(index | remarks | of_files | frames.packages | set(also))
    if len(changed) > MOST:
        return None
    # Not at the beginning of the text, where a byte order mark would count.
    text = b"\n\n".join([b"", *(stanza for name in changed for stanza in stanzas.get(name, ()))])
    listed, fields, faults = read_index(text, facts or {})
    put_together(listed, archive.rows(frames.frames, set(changed)))
    fields |= outline.fields
    if faults or len(fields) > MOST_FIELDS:
        return None
    events = comments.parse_events(stanza for name in changed for stanza in told.get(name, ()))
    whole = Inventory(list(listed.values()), faults, events, Outline(frozenset(fields), frames.frames))
    return News([PackageName(name) for name in changed], whole)


def _stanzas(index: bytes) -> Stanzas | None:
    """The stanzas of PACKAGES by package, None if they are not written as R writes them: one blank line between two,
    the package first."""
    text = index.strip(b"\n")
    parts = text.split(b"\n\n") if text else []
    if b"\r" in text or text.count(b"\n" + _HEAD) + 1 != max(len(parts), 1):
        return None
    found: Stanzas = {}
    for part in parts:
        if not part.startswith(_HEAD):
            return None
        found.setdefault(part[len(_HEAD) :].partition(b"\n")[0].decode("latin-1").strip(), []).append(part)
    return found


def _remarks(text: bytes | None) -> Stanzas | None:
    """The stanzas of PACKAGES.in by package, None if they can't be told apart so."""
    found: Stanzas = {}
    for block in comments.blocks(text or b""):
        names = _NAMED.findall(block)
        if len(names) > 1:
            return None
        found.setdefault(names[0].decode("latin-1") if names else "", []).append(block)
    return found


def _facts(current: bytes | None) -> dict[str, Facts] | None:
    return {} if current is None else parse_current(current)


def _changed_keys(before: Mapping[str, T] | None, now: Mapping[str, T] | None) -> set[str] | None:
    """The keys under which the two hold different values; None if that of "" is among them, or one is missing."""
    if before is None or now is None or before.get("") != now.get(""):
        return None
    return {key for key in before.keys() | now.keys() if before.get(key) != now.get(key)}
