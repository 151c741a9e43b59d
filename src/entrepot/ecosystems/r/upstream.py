"""What an upstream's indexes say that it has and had: PACKAGES, Meta/archive.rds, Meta/current.rds and PACKAGES.in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from entrepot.core.errors import Invalid, UpstreamInvalid
from entrepot.core.model import FileStatus, PackageName
from entrepot.core.platforms import System
from entrepot.core.timelines import Found
from entrepot.ecosystems.archives import gzips
from entrepot.ecosystems.r import comments, dcf, paths
from entrepot.ecosystems.r.archive import ArchivedRow, parse_current
from entrepot.ecosystems.r.frames import Frames, read_archive
from entrepot.ecosystems.r.packages import fields_of_stanza
from entrepot.ecosystems.r.versions import check_name, check_version, version_key

_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d):(\d\d))?", re.ASCII)
_MD5 = re.compile(r"[0-9a-f]{32}")
# Each field name is a column of PACKAGES.rds: names made up for each package would make it grow with the square.
MOST_FIELDS = 200
Facts = tuple[int | None, datetime | None]
Versions = dict[tuple[str, str], Found]


@dataclass(frozen=True, slots=True)
class Texts:
    """What an upstream publishes: the text of PACKAGES, and the other files as they are, None where it has none."""

    index: bytes
    archive: bytes | None = None
    current: bytes | None = None
    comments: bytes | None = None


@dataclass(frozen=True, slots=True)
class Outline:
    """What makes the next texts comparable with these: their fields, and where archive.rds has which package."""

    fields: frozenset[str]
    frames: Frames


@dataclass(frozen=True, slots=True)
class Inventory:
    """All that an upstream has, when packages were taken off and came back, and a line for each entry of its list that
    had to be left out. `outline` is None if these texts can't be compared with the next ones piece by piece."""

    found: list[Found]
    faults: list[str]
    events: comments.Events
    outline: Outline | None = None


def decompress_index(body: bytes, *, gz: bool, limit: int) -> bytes:
    """The text of PACKAGES or PACKAGES.gz as an upstream answered it, at most `limit` bytes.

    Raises:
        UpstreamInvalid: empty, an HTML page, not gzip, cut short, too large.
    """
    if not body:
        raise UpstreamInvalid("the upstream's package list is empty: not even a gzip header" if gz else _EMPTY)
    _refuse_page(body)
    if not gz:
        if len(body) > limit:
            raise UpstreamInvalid(f"the upstream's package list is larger than {limit:,} bytes")
        return body
    try:
        text = gzips.decompress(body, limit=limit)
    except Invalid as error:
        raise UpstreamInvalid(f"the upstream's PACKAGES.gz can't be read: {error}") from error
    _refuse_page(text)
    return text


_EMPTY = "the upstream's package list is empty"


def _refuse_page(body: bytes) -> None:
    if body[:256].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise UpstreamInvalid(
            "the upstream answered with a web page instead of its package list",
            hint="check the URL, and whether a proxy or a login page stands in between",
        )


def inventory(texts: Texts, *, system: System | None = None) -> Inventory:
    """Every version that an upstream has: those of PACKAGES, then those that only its archive has.

    Args:
        system: for which one these are binary packages; None for source packages.

    Of several versions of one package in PACKAGES the highest is current, the others are archived. Stanzas with a
    `Path` belong to another folder and are passed over. A bad stanza is left out and told in `faults`.

    Raises:
        UpstreamInvalid: PACKAGES, archive.rds or current.rds is not what it should be as a whole.
    """
    with refusing():
        facts = parse_current(texts.current) if texts.current is not None else {}
        rows, frames = read_archive(texts.archive) if texts.archive is not None else ([], None)
        listed, fields, faults = read_index(texts.index, facts, system=system)
    put_together(listed, rows)
    events = comments.parse_events(comments.blocks(texts.comments or b""))
    is_usual = frames is not None and not faults and len(fields) <= MOST_FIELDS
    outline = Outline(frozenset(fields), frames) if frames is not None and is_usual else None
    return Inventory(list(listed.values()), faults, events, outline)


@contextmanager
def refusing() -> Iterator[None]:
    """Says of texts that can't be read as a whole that it is upstream's list that can't."""
    try:
        yield
    except Invalid as error:
        raise UpstreamInvalid(f"the upstream's package list can't be read: {error}") from error


def read_index(
    index: bytes, facts: Mapping[str, Facts], *, system: System | None = None
) -> tuple[Versions, set[str], list[str]]:
    """(versions, all of their fields' names, faults) of PACKAGES; `system` as for `inventory`."""
    listed: Versions = {}
    faults = []
    fields: set[str] = set()
    for number, stanza in enumerate(dcf.parse(index), 1):
        if "Path" in stanza:
            continue
        if len(fields) < MOST_FIELDS:
            fields.update(islice(stanza, MOST_FIELDS))
        elif not stanza.keys() <= fields:
            stanza = {key: value for key, value in stanza.items() if key in fields}
            faults.append(f"entry {number} of PACKAGES has unusual fields that were left out")
        try:
            found = _found(stanza, facts, system)
        except Invalid as error:
            subject = repr(stanza["Package"][:60]) if "Package" in stanza else "without a name"
            faults.append(f"entry {number} of PACKAGES ({subject}) was left out: {error}")
            continue
        if listed.setdefault((found.package, found.version), found) is not found:
            faults.append(f"entry {number} of PACKAGES ({found.package} {found.version}) was left out: listed before")
    return listed, fields, faults


def put_together(listed: Versions, rows: Iterable[ArchivedRow]) -> None:
    """Make of the versions of PACKAGES, by adding those of the archive, all that an upstream has."""
    _demote(listed)
    _add_archived(listed, rows)


def _found(stanza: Mapping[str, str], facts: Mapping[str, Facts], system: System | None) -> Found:
    """One stanza as a current version.

    Raises:
        Invalid: no Package or no Version, or not one that R takes.
    """
    for field in ("Package", "Version"):
        if field not in stanza:
            raise Invalid(f"it has no {field} field")
    package, version = check_name(stanza["Package"]), check_version(stanza["Version"])
    name = paths.binary_file_name(package, version, system) if system else paths.file_name(package, version)
    size, published = facts.get(name, (None, None))
    md5 = stanza.get("MD5sum", "").lower()
    return Found(
        package=package,
        version=version,
        name=name,
        status=FileStatus.CURRENT,
        fields=fields_of_stanza(stanza),
        size=size,
        md5=md5 if _MD5.fullmatch(md5) else None,
        published=published or _date(stanza.get("Published")) or _date(stanza.get("Date/Publication")),
    )


def _date(text: str | None) -> datetime | None:
    """`2024-01-31` or `2024-01-31 12:00:02 UTC`, None where it is neither."""
    parts = _DATE.match(text or "")
    if parts is None:
        return None
    try:
        return datetime(*(int(part or 0) for part in parts.groups()), tzinfo=UTC)  # type: ignore[arg-type,misc]
    except ValueError:
        return None


def _demote(listed: Versions) -> None:
    """Leave each package's highest version current; of equal ones the first."""
    newest: dict[PackageName, Found] = {}
    for key, found in list(listed.items()):
        other = newest.setdefault(found.package, found)
        if other is found:
            continue
        if version_key(found.version) > version_key(other.version):
            newest[found.package], key = found, (other.package, other.version)
        listed[key] = listed[key]._replace(status=FileStatus.ARCHIVED)


def _add_archived(listed: Versions, rows: Iterable[ArchivedRow]) -> None:
    """Add what only the archive has, and what it knows better of versions that PACKAGES lists besides the current."""
    for row in rows:
        key = row.package, row.version
        known = listed.get(key)
        if known is None:
            listed[key] = Found(
                package=PackageName(row.package),
                version=row.version,
                name=row.name,
                status=FileStatus.ARCHIVED,
                fields=None,
                size=row.size,
                md5=None,
                published=row.published,
            )
        elif known.status is FileStatus.ARCHIVED and known.size is None:
            listed[key] = known._replace(size=row.size, published=row.published or known.published)
