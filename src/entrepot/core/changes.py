"""What changes when a mirror's upstream is compared with the catalogue: `plan(known, found)` -> one `DayPlan` a day.

The rule of dates: a change belongs to the day that upstream gives it (the file's date), or to the first day not
yet closed, whichever is later; a change that upstream does not date belongs to the first day not yet closed, and at
the first sync, when no day is closed, to the day of the sync.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from entrepot.core.model import FileStatus, PackageName


@dataclass(frozen=True, slots=True)
class Found:
    """One version that an upstream has now.

    `fields` as in `model.File`; None for an archived version, of which upstream's indexes tell only size and date.
    `published` is the upstream file's modification time (UTC, aware), None where nobody gives it.
    """

    package: PackageName
    version: str
    name: str
    status: FileStatus
    fields: str | None
    size: int | None
    md5: str | None
    published: datetime | None
