"""The Simple repository API: project lists and project pages, in HTML and in JSON (PEP 503, 691; version 1.4)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from html import escape
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import quote

from pydantic_core import to_json

from entrepot.core.answers import About
from entrepot.core.model import File, PackageName, Sha256
from entrepot.ecosystems.python.entry import Entry
from entrepot.ecosystems.python.names import is_canonical

JSON = "application/vnd.pypi.simple.v1+json"
HTML = "application/vnd.pypi.simple.v1+html"
TEXT_HTML = "text/html"
API_VERSION = "1.4"
_FORMS = {
    JSON: JSON,
    HTML: HTML,
    TEXT_HTML: TEXT_HTML,
    "application/vnd.pypi.simple.latest+json": JSON,
    "application/vnd.pypi.simple.latest+html": HTML,
}
_ORDER = (JSON, HTML, TEXT_HTML)
_LONGEST_ACCEPT = 1000
_QUALITY = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")
_AT_ONCE = 2000
_PLAIN = re.compile(r"[a-z0-9-]*")


class Shown(NamedTuple):
    """A file as a page shows it: `sha256` if it is told, `metadata` if its metadata document is offered."""

    file: File
    entry: Entry
    sha256: Sha256 | None
    metadata: Sha256 | None

    @property
    def hashes(self) -> dict[str, str]:
        """Algorithm -> digest, the one to be trusted first."""
        hashes: dict[str, str] = {}
        if self.sha256:
            hashes["sha256"] = self.sha256
        elif self.file.md5:
            # Beside a better one it would find its way into lock files.
            hashes["md5"] = self.file.md5
        return hashes | self.entry.hashes if self.entry.hashes else hashes

    @property
    def upload_time(self) -> str | None:
        """As upstream wrote it, else in whole seconds (PEP 700)."""
        return self.entry.upload_time or time_text(self.file.published_at)


@dataclass(frozen=True, slots=True)
class ProjectView:
    """A project as one snapshot shows it; `files` in order of upload, then of their names."""

    project: PackageName
    about: About | None
    files: Sequence[Shown]

    @property
    def versions(self) -> list[str]:
        """Each once, in order of upload; what a file's name tells and is no version is none (PEP 700)."""
        return [version for version in dict.fromkeys(each.file.version for each in self.files) if is_canonical(version)]


def time_text(seconds: int | None) -> str | None:
    """Seconds since 1970 as PEP 700 writes times."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def choose(accept: str) -> str:
    """The media type of an index for a client's Accept; empty if none of the three is acceptable (RFC 9110, 12.5.1).

    Of equal ones JSON comes first, but whoever takes anything, as a browser or curl does, gets HTML (PEP 691).
    """
    return _choose(accept[:_LONGEST_ACCEPT])


@lru_cache(maxsize=256)
def _choose(accept: str) -> str:
    ranges = [_range(part) for part in accept.split(",")]
    qualities = {range_[0]: range_[1] for range_ in ranges if range_ is not None}
    if not qualities:
        return TEXT_HTML
    best = max(_ORDER, key=lambda form: _rank(form, qualities))
    return best if _rank(best, qualities)[0] > 0 else ""


def _range(part: str) -> tuple[str, float] | None:
    """(media range, quality); None for what is none."""
    name, *parameters = (text.strip().lower() for text in part.split(";"))
    if "/" not in name:
        return None
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            quality = value.strip()
            return (_FORMS.get(name, name), float(quality)) if _QUALITY.fullmatch(quality) else None
    return _FORMS.get(name, name), 1.0


def _rank(form: str, qualities: dict[str, float]) -> tuple[float, int]:
    """(quality, how well it is meant): the most exact range that a form is in decides."""
    if form in qualities:
        return qualities[form], 3
    if (family := form.partition("/")[0] + "/*") in qualities:
        return qualities[family], 2
    # `*/*` alone asks for nothing in particular.
    return qualities.get("*/*", 0.0), 1 if form == TEXT_HTML else 0


def render_project_json(view: ProjectView) -> bytes:
    """A project's page in JSON; its links are relative, so it is the same in every repository and snapshot."""
    about = view.about or About(view.project)
    status = {"status": about.status} | ({"reason": about.reason} if about.reason else {})
    # From 1.1 on each file has to tell its size: where one isn't known, the page is one of 1.0 that tells more.
    has_sizes = all(each.file.size is not None for each in view.files)
    meta: dict[str, Any] = {"api-version": API_VERSION if has_sizes else "1.0"}
    if about.tracks:
        meta["tracks"] = about.tracks
    page: dict[str, Any] = {"meta": meta, "name": view.project, "project-status": status}
    if about.alternates:
        page["alternate-locations"] = about.alternates
    page["versions"] = view.versions
    folder = _folder(view.project)
    page["files"] = [_file_json(each, folder) for each in view.files]
    return to_json(page)


def _folder(project: PackageName) -> str:
    return f"../../packages/{quote(project)}/"


def _file_json(shown: Shown, folder: str) -> dict[str, Any]:
    file, entry = shown.file, shown.entry
    told: dict[str, Any] = {"filename": file.name, "url": folder + quote(file.name), "hashes": shown.hashes}
    if entry.requires_python is not None:
        told["requires-python"] = entry.requires_python
    if file.size is not None:
        told["size"] = file.size
    time = shown.upload_time
    if time is not None:
        told["upload-time"] = time
    if entry.yanked is not None:
        told["yanked"] = entry.yanked or True
    if shown.metadata is not None:
        # The second name is for clients older than PEP 714.
        told["core-metadata"] = told["dist-info-metadata"] = {"sha256": shown.metadata}
    if entry.provenance is not None:
        told["provenance"] = entry.provenance
    if entry.has_signature is not None:
        told["gpg-sig"] = entry.has_signature
    return told


def render_project_html(view: ProjectView) -> bytes:
    """A project's page in HTML5, with the upload times that PEP 700 keeps to JSON: other indexes tell them so too."""
    about = view.about or About(view.project)
    meta = [("project-status", about.status)]
    if about.reason:
        meta.append(("project-status-reason", about.reason))
    meta += [("tracks", url) for url in about.tracks] + [("alternate-locations", url) for url in about.alternates]
    folder = escape(_folder(view.project))
    links = [_file_html(each, folder) for each in view.files]
    title = escape(f"Links for {view.project}")
    return "".join([_head(title, meta), f"<h1>{title}</h1>\n", *links, _END]).encode("utf-8", "replace")


def _head(title: str, meta: Sequence[tuple[str, str]] = ()) -> str:
    """The beginning of a page; `title` is escaped already."""
    lines = [f'<meta name="pypi:{name}" content="{escape(content)}">\n' for name, content in meta]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="pypi:repository-version" content="{API_VERSION}">\n{"".join(lines)}<title>{title}</title>\n'
        "</head>\n<body>\n"
    )


_END = "</body>\n</html>\n"


def _file_html(shown: Shown, folder: str) -> str:
    file, entry = shown.file, shown.entry
    hashed = next(iter(shown.hashes.items()), None)
    fragment = f"#{hashed[0]}={hashed[1]}" if hashed else ""
    parts = [f'<a href="{folder}{quote(file.name)}{fragment}"']
    if entry.requires_python is not None:
        parts.append(f' data-requires-python="{escape(entry.requires_python)}"')
    if shown.metadata is not None:
        parts.append(f' data-core-metadata="sha256={shown.metadata}" data-dist-info-metadata="sha256={shown.metadata}"')
    time = shown.upload_time
    if time is not None:
        parts.append(f' data-upload-time="{escape(time)}"')
    if entry.yanked is not None:
        parts.append(f' data-yanked="{escape(entry.yanked)}"')
    if entry.provenance is not None:
        parts.append(f' data-provenance="{escape(entry.provenance)}"')
    if entry.has_signature is not None:
        parts.append(f' data-gpg-sig="{"true" if entry.has_signature else "false"}"')
    parts.append(f">{escape(file.name)}</a><br>\n")
    return "".join(parts)


def render_list_json(names: Iterable[PackageName], serial: int) -> Iterator[bytes]:
    """The list of all projects in JSON, in pieces of some 64 KiB; `serial` is told as that of each, for mirrors."""
    yield f'{{"meta":{{"api-version":"{API_VERSION}","_last-serial":{serial}}},"projects":['.encode()
    begin, end, comma = '{"name":"', f'","_last-serial":{serial}}}', ""
    for some in _batches(names):
        # Normal names need no escape, and there may be a million.
        if _PLAIN.fullmatch("".join(some)):
            yield (comma + begin + f"{end},{begin}".join(some) + end).encode()
        else:
            yield comma.encode() + to_json([{"name": name, "_last-serial": serial} for name in some])[1:-1]
        comma = ","
    yield b"]}"


def render_list_html(names: Iterable[PackageName]) -> Iterator[bytes]:
    """The list of all projects in HTML5, in pieces of some 64 KiB."""
    yield _head("Simple index").encode()
    for some in _batches(names):
        if _PLAIN.fullmatch("".join(some)):
            yield "".join([f'<a href="{name}/">{name}</a><br>\n' for name in some]).encode()
        else:
            links = [f'<a href="{escape(quote(name))}/">{escape(name)}</a><br>\n' for name in some]
            yield "".join(links).encode("utf-8", "replace")
    yield _END.encode()


def _batches(names: Iterable[PackageName]) -> Iterator[list[PackageName]]:
    rest = iter(names)
    while some := list(islice(rest, _AT_ONCE)):
        yield some
