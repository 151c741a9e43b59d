"""Projects of an index, for a check of a list: what is known of them without asking upstream."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.model import Listed, PackageName
from entrepot.core.snapshots import PRESENT
from entrepot.db import listings as db_listings
from entrepot.db import readings
from entrepot.operations.browsing import Opened
from entrepot.sources.projects import undated


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of some projects.

    Attributes:
        rows: of each project its files, those of the first source that has it; none of what no source has.
        unread: those of which upstream has to be asked first, in no order.
        undated: those that can't be told as of a past time, and why.
    """

    rows: dict[PackageName, list[Listed]] = field(default_factory=dict)
    unread: set[PackageName] = field(default_factory=set)
    undated: dict[PackageName, str] = field(default_factory=dict)


def known(app: App, opened: Opened, names: Sequence[PackageName]) -> Known:
    """What a repository has of some projects as far as they were read: upstream isn't asked, nor is anything read again
    because it is old."""
    found = Known()
    left = set(names)
    with app.db.read() as connection:
        for cut in opened.cuts:
            empty: set[PackageName] = set()
            if opened.sources[cut.source_id].is_read_by_project:
                read = _read(connection, cut.source_id, cut.at, left, found)
                left &= read.keys()
                # At present a page without files hides what later sources have.
                empty = {name for name in left if cut.upto == PRESENT and read[name].is_there}
            rows: defaultdict[PackageName, list[Listed]] = defaultdict(list)
            for row in db_listings.visible_of(connection, cut, left) if left else ():
                rows[row.file.package].append(row)
            found.rows.update({name: [] for name in empty} | rows)
            left -= found.rows.keys()
    found.rows.update({name: [] for name in left})
    return found


def _read(
    connection: Connection, source_id: int, at: int | None, names: set[PackageName], found: Known
) -> dict[PackageName, readings.Reading]:
    """The readings of those of some projects that can be told; of all others `found` gets to know why not."""
    told: dict[PackageName, readings.Reading] = {}
    read = readings.of(connection, source_id, names)
    for name in names:
        reading = read.get(name)
        if reading is None or (at is not None and reading.checked < at):
            found.unread.add(name)
        elif at is not None and not reading.is_dated:
            found.undated[name] = undated(name).message
        else:
            told[name] = reading
    return told
