"""src/contrib/PACKAGES.in: the comments of CRAN's team on packages, which tell when one was taken off or came back.

The file is written by hand. A comment says such as "Archived on 2020-01-31 as check problems were not corrected in
time." and a history "Archived on 2015-07-01 as ... Unarchived on 2016-02-04."; of what can't be understood nothing is
told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import date

from entrepot.core.errors import Invalid
from entrepot.core.model import PackageName
from entrepot.core.timelines import Event, Move
from entrepot.ecosystems.r import dcf
from entrepot.ecosystems.r.versions import check_name

Events = dict[PackageName, tuple[Event, ...]]

_BLANK_LINES = re.compile(rb"\n(?:[ \t\r\f\v]*\n)+")
_DATE = r"\d{4}-\d\d-\d\d"
# A word, a few more that give no reason, and dates: "Archived at the maintainer's request on 2012-03-10". What is to
# be done, and what was done to one version, are other things; so is the date of a reminder.
_TOLD = re.compile(
    rf"""
    (?<!\bbe\ ) \b
    (?: (?P<returned> un-?archived | returned | back | re-?instated | restored | re-?published)
      | (?P<archived> archived | removed | withdrawn | retracted | deleted) ) \b
    (?: \ (?!(?:as|since|because|despite|until|before|after|due|by|to|un-?archived)\b) [^\s.;:]+ ){{0,8}}?
    \ \(?(?P<dates> {_DATE} (?: (?:,|,?\ and) \ {_DATE} )*) \b
    """,
    re.ASCII | re.IGNORECASE | re.VERBOSE,
)
_OF_A_VERSION = re.compile(r"\bversions?\b", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[.;])\s")
_LONGEST = 10_000
_DATES = re.compile(_DATE, re.ASCII)


def blocks(text: bytes) -> list[bytes]:
    """The stanzas of the file as they are, in any order and with any fault."""
    return [block for block in _BLANK_LINES.split(text.replace(b"\r\n", b"\n")) if block.strip()]


def parse_events(stanzas: Iterable[bytes]) -> Events:
    """When packages were archived and returned, each in the order of events; what can't be read is passed over."""
    found: Events = {}
    for block in stanzas:
        try:
            stanza = dcf.parse_one(block)
            package = check_name(stanza.get("Package", ""))
        except Invalid:
            continue
        # The comment speaks of now, the history of before; of one day's events their order is what is known.
        told = [*_events(stanza.get("X-CRAN-History", "")), *_events(stanza.get("X-CRAN-Comment", ""))]
        if told:
            found[package] = tuple(sorted(told, key=lambda event: event.day))
    return found


def _events(comment: str) -> Iterator[Event]:
    """What one comment tells, in its order."""
    for sentence in _SENTENCE_END.split(comment[:_LONGEST]):
        for told in _TOLD.finditer(sentence):
            if _OF_A_VERSION.search(sentence, 0, told.start()):
                continue
            move = Move.RETURNED if told["returned"] else Move.ARCHIVED
            for text in _DATES.findall(told["dates"]):
                with suppress(ValueError):
                    yield Event(date.fromisoformat(text), move)
