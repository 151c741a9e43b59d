"""The README of a package at a snapshot, as HTML that can do nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

from entrepot.app import App
from entrepot.core.errors import ReadmeNotFound
from entrepot.core.releases import Release
from entrepot.documents import Draft
from entrepot.ecosystems.python.describing import readme_format
from entrepot.ecosystems.r import readme as r
from entrepot.operations import records
from entrepot.operations.browsing import Opened
from entrepot.operations.needs import stored
from entrepot.operations.serving import stored_size
from entrepot.readmes.renderer import MOST
from entrepot.readmes.rendering import Format

MOST_FETCHED = 64 << 20
"""Bytes of a package that is fetched for its README."""
_AGAIN = 3600.0
"""Seconds after which one that could not be rendered in time is tried again: the machine may have been busy."""


@dataclass(frozen=True, slots=True)
class Readme:
    """`html` is `format` rendered: structure and text, no images, headings from level 3 on, anchors that begin with
    `readme-`. `file` is the name of the file that it is; None where it stands in the metadata. `truncated`: there is
    more of it."""

    format: Format
    html: str
    file: str | None
    truncated: bool


def package_readme(
    app: App, open_: Callable[[], Opened], name: str, *, version: str | None = None, fetch: bool = False
) -> Readme:
    """The README of the release that stands for a package, or that of `version`.

    Of an R package it is in the source package: if the store has that, or if it may be fetched now.

    Raises:
        PackageNotFound: the snapshot has no such package or version.
        ReadmeNotFound: there is none, or none at hand.
        Unavailable: too many are being rendered.
        UpstreamUnavailable, UpstreamInvalid: what has to be fetched can't be.
    """
    opened, release = records.find_release(open_, name, version)
    if opened.dialect.offers_documents:
        return _of_metadata(app, opened, release)
    return _of_package(app, release, fetch)


def _of_metadata(app: App, opened: Opened, release: Release) -> Readme:
    document = records.document(app, opened, release)
    described = opened.dialect.describe(release.file.fields, document)
    if not described.description:
        raise _missing(release, "its metadata has no description" if document else "nobody has read its metadata")
    text, format_ = described.description, readme_format(described)
    digest = hashlib.sha256(f"{format_}:{text}".encode("utf-8", "replace")).hexdigest()
    return _kept(app, release, digest, lambda: (None, format_, text, False))


def _of_package(app: App, release: Release, fetch: bool) -> Readme:
    listed = release.files[0].listed
    if stored_size(app, listed.file) is None:
        size = listed.file.size
        if size is not None and size > MOST_FETCHED:
            raise _missing(release, f"its source package has {size:,} bytes, too many to fetch it for that", size=size)
        if not fetch:
            hint = "ask with fetch=true to have it fetched"
            raise _missing(release, "its source package was not fetched yet", size=size, can_fetch=True, hint=hint)
    key = stored(app, listed)

    def read() -> tuple[str | None, Format, str, bool] | None:
        found = r.read_readme(_Stream(app.storage.stream(key)), most=4 * MOST)
        return (found.file, found.format, found.text, found.is_cut) if found is not None else None

    return _kept(app, release, key.path, read)


def _kept(
    app: App, release: Release, content: str, read: Callable[[], tuple[str | None, Format, str, bool] | None]
) -> Readme:
    """The README of some content, which is kept with the indexes; made outside of what makes these, as it may wait."""
    name = f"readme:{content}"
    try:
        kept = app.documents.get(name, filled=0, make=_not_there).body
    except _NotThere:
        found = read()
        readme = _rendered(app, name, *found) if found is not None else None
        if readme is not None and app.waits.until(name, app.clock().timestamp()) is not None:
            return readme
        body = json.dumps(asdict(readme) if readme is not None else None).encode()
        kept = app.documents.get(name, filled=0, make=lambda: Draft(body, False, 0)).body
    told = json.loads(kept)
    if told is None:
        raise _missing(release, "its source package has none")
    return Readme(**told)


def _rendered(app: App, name: str, file: str | None, format_: Format, text: str, is_cut: bool) -> Readme:
    """One that could not be rendered is shown as it stands, and for a while nobody tries again."""
    now = app.clock().timestamp()
    failed = app.waits.until(name, now) is not None
    rendered = app.readmes.render(text, "plain" if failed else format_)
    if rendered.format != format_ and not failed:
        app.waits.put(name, now + _AGAIN)
    return Readme(rendered.format, rendered.html, file, rendered.is_cut or is_cut)


class _NotThere(Exception):
    """The cache has no such document."""


def _not_there() -> Draft:
    raise _NotThere


def _missing(
    release: Release, why: str, *, size: int | None = None, can_fetch: bool = False, hint: str | None = None
) -> ReadmeNotFound:
    said = f"there is no README of {release.file.package} {release.version}: {why}"
    return ReadmeNotFound(said, hint=hint, size=size, can_fetch=can_fetch)


class _Stream:
    """Pieces as a binary stream."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = b""

    def read(self, size: int = -1, /) -> bytes:
        if not self._left:
            self._left = next(self._pieces, b"")
        data, self._left = (self._left, b"") if size < 0 else (self._left[:size], self._left[size:])
        return data
