"""What an upstream's index says: a project's page, the times in its JSON API, the list of all names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import quote, urljoin

import ijson  # type: ignore[import-untyped]
from pydantic_core import from_json

from entrepot.core.answers import About
from entrepot.core.errors import UpstreamInvalid
from entrepot.core.model import PackageName, Sha256
from entrepot.core.pages import FoundFile, ProjectPage
from entrepot.ecosystems.python.entry import Entry, pack, unpack
from entrepot.ecosystems.python.facts import (
    as_dict,
    read_digest,
    read_hashes,
    read_metadata_hash,
    read_number,
    read_text,
    read_time,
    read_yanked,
)
from entrepot.ecosystems.python.htmlpage import read_html, read_html_names
from entrepot.ecosystems.python.names import is_file_name, is_name, is_of_project, normalize, parse_file_name
from entrepot.ecosystems.python.usual import UsualEntries

STATUSES = ("active", "archived", "quarantined", "deprecated")
MOST_FAULTS = 100
_BLANK = b"\xef\xbb\xbf \t\r\n\f"
_WEB = re.compile(
    r"https?://(?=[^/])[^/?#\s\\\[\]]*(?:\[[0-9A-Fa-f:.]+\](?::[0-9]+)?)?(?:/[!\"$-~]*)?",
    re.ASCII,
)
_LOCAL = re.compile(r"file://[^/?#\s\\]*/[!\"$-~]*", re.ASCII)
_MAJOR = re.compile(r"\s*([0-9]{1,9})\.")
_LIST_MARKS = (b"pypi:repository-version", b"<title>simple index</title>")
_PIECE = 64 * 1024
_DEEPEST = 100
_NO_INDEX = "check the URL, and whether a proxy or a login page stands in between"


class _Reading(NamedTuple):
    """A page while it is read: links are relative to `base`; `folders` are those that were resolved already."""

    project: PackageName
    base: str
    is_local: bool
    folders: dict[str, str]
    faults: list[str]


def read_page(body: bytes, *, url: str, project: PackageName) -> ProjectPage:
    """What an upstream tells of a project, in JSON or HTML: told apart by the first byte, as mirrors' media types lie.

    An entry that can't be used becomes a fault, and so does a fact that can't be; the rest goes on.

    Args:
        url: where the page was in the end, after redirects.

    Raises:
        UpstreamInvalid: it is neither, of a version that is to come, of another project, or no entry can be used.
    """
    told, base, is_marked = _parse(body, url)
    meta, entries = as_dict(told.get("meta")), told.get("files")
    _check_version(meta.get("api-version"))
    if not isinstance(entries, list) or (not entries and not is_marked):
        raise UpstreamInvalid(f"the upstream's page of {project} is no list of files", hint=_NO_INDEX)
    name = told.get("name")
    if isinstance(name, str) and normalize(name) != project:
        raise UpstreamInvalid(f"the upstream's page of {project} is that of {name[:100]!r}")
    reading = _Reading(project, base, url[:5].lower() == "file:", {}, [])
    files = _read_files(entries, reading)
    if entries and not files:
        raise UpstreamInvalid(f"no file on the upstream's page of {project} can be used: {reading.faults[0]}")
    return ProjectPage(
        _about(told, meta, reading),
        files,
        read_number(meta.get("_last-serial")),
        tuple(reading.faults),
    )


def _parse(body: bytes, url: str) -> tuple[Mapping[str, Any], str, bool]:
    """(page in the shape of the JSON form, base of its links, whether it says that it is such a page)."""
    first = body[:_PIECE].lstrip(_BLANK)[:1]
    if first == b"{":
        return _from_json(body), url, True
    if first == b"<":
        told, base, is_marked = read_html(body)
        return told, _joined(url, base.strip()) if base else url, is_marked
    raise UpstreamInvalid("the upstream's page is neither JSON nor HTML", hint=_NO_INDEX)


def _from_json(body: bytes) -> Mapping[str, Any]:
    try:
        told = from_json(body.lstrip(_BLANK))
    except ValueError as error:
        raise UpstreamInvalid(f"the upstream's JSON can't be read: {str(error)[:200]}", hint=_NO_INDEX) from error
    if not isinstance(told, dict):
        raise UpstreamInvalid("the upstream's JSON is no object", hint=_NO_INDEX)
    return told


def _check_version(version: object) -> None:
    """PEP 629: a greater major version than the known one is not to be read."""
    major = _MAJOR.match(version) if isinstance(version, str) else None
    if major is not None and int(major[1]) > 1:
        raise UpstreamInvalid(f"the upstream's index is of version {version}, which this version can't read")


def _read_files(entries: list[Any], reading: _Reading) -> list[FoundFile]:
    files: dict[str, FoundFile] = {}
    usual = UsualEntries(reading.project)
    for number, entry in enumerate(entries, 1):
        try:
            found = usual.read(entry) or _read_file(as_dict(entry), reading)
            if files.setdefault(found.name, found) is not found:
                raise ValueError("listed before")
        except ValueError as fault:
            subject = repr(str(as_dict(entry).get("filename", ""))[:100])
            _tell(reading, f"file {number} ({subject}) was left out: {fault}")
    return list(files.values())


def _tell(reading: _Reading, fault: str) -> None:
    if len(reading.faults) < MOST_FAULTS:
        reading.faults.append(fault)


def _read_file(told: Mapping[str, Any], reading: _Reading) -> FoundFile:
    """One entry. Raises ValueError: it can't be used."""
    name = told.get("filename")
    if not isinstance(name, str) or not is_file_name(name):
        raise ValueError("that is no name of a file")
    parsed = parse_file_name(reading.project, name)
    if not parsed.version and not is_of_project(reading.project, name):
        raise ValueError("it is of another project")
    url = _resolve(told.get("url"), reading)
    hashes = read_hashes(told.get("hashes"))
    md5, sha256 = hashes.pop("md5", None), hashes.pop("sha256", None)
    time, uploaded = _time(told.get("upload-time"), name, reading)
    provenance, signed = told.get("provenance"), told.get("gpg-sig")
    entry = Entry(
        requires_python=read_text(told.get("requires-python")),
        core_metadata=read_metadata_hash(told),
        yanked=read_yanked(told.get("yanked")),
        upload_time=time,
        provenance=_provenance(provenance, name, reading) if provenance else None,
        has_signature=signed if isinstance(signed, bool) else None,
        hashes=hashes or None,
    )
    return FoundFile(
        name=name,
        version=parsed.version,
        url=url,
        size=read_number(told.get("size")),
        md5=md5,
        sha256=Sha256(sha256) if sha256 else None,
        uploaded=uploaded,
        fields=pack(entry),
    )


def _resolve(url: object, reading: _Reading) -> str:
    """A link as a whole URL that may be asked for: an index on the web names no files of this machine."""
    if not isinstance(url, str) or not url or url.isspace():
        raise ValueError("it has no URL")
    if _WEB.fullmatch(url):
        return url
    folder, slash, last = url.strip().partition("#")[0].rpartition("/")
    if last in ("", ".", ".."):
        raise ValueError("its URL leads to a folder")
    if not slash or "?" in folder:
        url = _joined(reading.base, folder + slash + last)
    else:
        # Most pages have all their files in one folder, or each in its own on the web.
        whole = reading.folders.get(folder)
        if whole is None:
            whole = reading.folders[folder] = _joined(reading.base, folder + slash)
        url = whole + last
    if not url.isascii() or not url.isprintable() or " " in url:
        url = quote(url, safe="%/:?&=+$,;~!@()*[]'")
    if _WEB.fullmatch(url) or (reading.is_local and _LOCAL.fullmatch(url)):
        return url
    raise ValueError("its URL can't be used")


def _joined(base: str, url: str) -> str:
    try:
        return urljoin(base, url)
    except ValueError:
        return ""


def _provenance(told: object, name: str, reading: _Reading) -> str | None:
    """A URL that clients are told; None if it is none, or has a login in it as the upstream's own may have."""
    try:
        url = _resolve(told, reading)
    except ValueError:
        url = "@"
    if "@" not in url:
        return url
    _tell(reading, f"the provenance of {name!r} was left out: its URL can't be used")
    return None


def _time(told: object, name: str, reading: _Reading) -> tuple[str | None, int | None]:
    """(time as text, in seconds), or a fault and nothing."""
    if told is None:
        return None, None
    try:
        return read_time(told)
    except ValueError as fault:
        _tell(reading, f"the upload time of {name!r} was left out: {fault}")
        return None, None


def _about(told: Mapping[str, Any], meta: Mapping[str, Any], reading: _Reading) -> About:
    marker = as_dict(told.get("project-status"))
    status = marker.get("status") or "active"
    if status not in STATUSES:
        _tell(reading, f"the project's status {str(status)[:40]!r} was left out: there is none of that name")
        status = "active"
    name = told.get("name")
    return About(
        name=name if isinstance(name, str) and is_name(name) else reading.project,
        status=status,
        reason=read_text(marker.get("reason")),
        tracks=_urls(meta.get("tracks")),
        alternates=_urls(told.get("alternate-locations")),
    )


def _urls(told: object) -> tuple[str, ...]:
    return tuple(url for url in told if isinstance(url, str) and _WEB.fullmatch(url)) if isinstance(told, list) else ()


def merge_times(page: ProjectPage, body: bytes) -> ProjectPage:
    """A page with what `/pypi/{project}/json` of the same upstream adds: the name as its authors write it, and where
    the page lacks them upload times, sizes, SHA-256, conditions on Python's version, yanks.

    Raises:
        UpstreamInvalid: the document can't be read, or is of another project.
    """
    told = _from_json(body)
    project = normalize(page.about.name)
    name = as_dict(told.get("info")).get("name")
    if not isinstance(name, str) or normalize(name) != project:
        raise UpstreamInvalid(f"the upstream's JSON API tells of {str(name)[:100]!r} instead of {project}")
    lists = [told.get("urls"), *as_dict(told.get("releases")).values()]
    known = {each.get("filename"): each for some in lists if isinstance(some, list) for each in map(as_dict, some)}
    reading = _Reading(project, "", False, {}, list(page.faults))
    files = [_merged(file, known[file.name], reading) if file.name in known else file for file in page.files]
    about = page.about._replace(name=name) if is_name(name) else page.about
    return ProjectPage(about, files, page.serial, tuple(reading.faults))


def _merged(file: FoundFile, told: Mapping[str, Any], reading: _Reading) -> FoundFile:
    sha256 = read_digest(as_dict(told.get("digests")).get("sha256"), "sha256")
    if file.sha256 and sha256 and sha256 != file.sha256:
        return file  # told of other bytes under this name
    entry, uploaded = unpack(file.fields), file.uploaded
    if uploaded is None:
        time, uploaded = _time(told.get("upload_time_iso_8601") or told.get("upload_time"), file.name, reading)
        entry = entry._replace(upload_time=time)
    if entry.requires_python is None:
        entry = entry._replace(requires_python=read_text(told.get("requires_python")))
    if entry.yanked is None and told.get("yanked") is True:
        entry = entry._replace(yanked=read_yanked(told.get("yanked_reason") or True))
    size = file.size if file.size is not None else read_number(told.get("size"))
    return file._replace(
        size=size, sha256=file.sha256 or (Sha256(sha256) if sha256 else None), uploaded=uploaded, fields=pack(entry)
    )


def read_names(stream: BinaryIO) -> Iterator[PackageName]:
    """The names on an index's list of all projects, JSON or HTML, in its order; never all of it in memory.

    Raises:
        UpstreamInvalid: it is no such list, or is cut short, as far as that shows. It may show at the end only: what
            was given out until then is worth nothing.
    """
    head = stream.read(_PIECE).lstrip(_BLANK)
    if head[:1] == b"{":
        yield from _json_names(_pieces(head, stream))
    elif head[:1] == b"<":
        count = 0
        for name in read_html_names(_pieces(head, stream)):
            count += 1
            yield name
        if not count and not any(mark in head.lower() for mark in _LIST_MARKS):
            raise UpstreamInvalid("the upstream's list of projects names none", hint=_NO_INDEX)
    else:
        raise UpstreamInvalid("the upstream's list of projects is neither JSON nor HTML", hint=_NO_INDEX)


def _pieces(head: bytes, stream: BinaryIO) -> Iterator[bytes]:
    yield head
    while piece := stream.read(_PIECE):
        yield piece


def _json_names(pieces: Iterator[bytes]) -> Iterator[PackageName]:
    """`projects[].name`, by events: readers that build paths or values take the square of a deep nesting."""
    events = ijson.sendable_list()
    parser = ijson.basic_parse_coro(events)
    depth, key, is_list, is_found = 0, "", False, False
    try:
        for piece in chain(pieces, [None]):
            if piece is None:
                parser.close()
            else:
                parser.send(piece)
            for event, value in events:
                if event == "map_key":
                    key, is_list = value, is_list and depth > 1
                elif event == "string":
                    if is_list and depth == 3 and key == "name" and is_name(value):
                        yield normalize(value)
                    elif depth == 2 and key == "api-version":
                        _check_version(value)
                elif event in ("start_map", "start_array"):
                    if event == "start_array":
                        is_list = is_list or (depth == 1 and key == "projects")
                        is_found, key = is_found or is_list, ""
                    depth += 1
                elif event in ("end_map", "end_array"):
                    depth -= 1
            del events[:]
            if depth > _DEEPEST:
                raise UpstreamInvalid(f"the upstream's list of projects is nested more than {_DEEPEST} deep")
    except ijson.JSONError as error:
        reason = " ".join(str(error).split())[:200]
        raise UpstreamInvalid(f"the upstream's list of projects can't be read: {reason}") from error
    if not is_found:
        raise UpstreamInvalid("the upstream's JSON has no list of projects", hint=_NO_INDEX)
