"""The files of a mirror: fetched from its upstream at the first request, checked, stored, and what they tell learnt."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from entrepot.app import App
from entrepot.core.errors import EntrepotError, Invalid, UpstreamInvalid, UpstreamLacksFile
from entrepot.core.model import File, Listed, Sha256, SourceType
from entrepot.db import files as db_files
from entrepot.db import sources as db_sources
from entrepot.db import transactions as db_transactions
from entrepot.ecosystems.archives import gzips
from entrepot.ecosystems.r import binarypackage, packages, paths, tarball
from entrepot.flights import Flight, Sink
from entrepot.sources.places import place_of
from entrepot.storage import Key

FILE_LIMIT = 16 * 1024**3


def fetch_file(app: App, listed: Listed) -> Flight[File]:
    """The one download of a listed file; it ends with the file in the store and its row telling so."""

    def start(sink: Sink) -> File:
        with app.db.read() as connection:
            file = db_files.get(connection, listed.file.id) or listed.file
            source = db_sources.by_id(connection, file.source_id)
        place = place_of(app.settings, source)
        some = paths.upstream_paths(file.package, file.version, listed.status)
        _download(app, file, sink, [f"{place.url}/{path}" for path in some], check=_check_is_package)
        return file

    return app.flights.join(f"file:{listed.file.id}", start)


def fetch_binary(app: App, listed: Listed) -> Flight[File]:
    """As `fetch_file`, of a binary package for Windows or macOS."""

    def start(sink: Sink) -> File:
        with app.db.read() as connection:
            file = db_files.get(connection, listed.file.id) or listed.file
            source = db_sources.by_id(connection, file.source_id)
        place = place_of(app.settings, source)
        _download(app, file, sink, [f"{place.url}/{place.contrib}/{file.name}"], check=_check_is_binary)
        return file

    return app.flights.join(f"file:{listed.file.id}", start)


def _download(app: App, file: File, sink: Sink, urls: Sequence[str], *, check: Callable[[File, Sink], object]) -> None:
    """Get a file from the first of these that has it; `check` looks at what came where no hash is known."""
    if file.sha256 and app.storage.size(Key.blob(file.sha256)) is not None:
        # The flight before this one ended a moment ago, or another node's did.
        copy_stored(app, file.sha256, sink)
        return
    got = None
    lacks: UpstreamLacksFile | None = None
    for url in urls:
        try:
            got = app.fetch.download(
                url,
                sink,
                limit=FILE_LIMIT,
                size=file.size,
                md5=file.md5,
                sha256=file.sha256,
                began=sink.expect,
            )
            break
        except UpstreamLacksFile as error:
            # It moves to the archive when a newer version comes, maybe since the last sync.
            lacks = lacks or error
    if got is None:
        assert lacks is not None
        raise lacks
    if file.md5 is None and file.sha256 is None:
        check(file, sink)
    sink.verified()
    sha256 = Sha256(got.sha256)
    app.storage.put_file(Key.blob(sha256), sink.path)
    _learn(app, file, sink, size=got.size, md5=got.md5, sha256=sha256)


def _check_is_package(file: File, sink: Sink) -> None:
    """Where no hash is known, at least a whole gzip archive, and no other package than the one that was asked for."""
    try:
        with sink.path.open("rb") as stream:
            unpacked = gzips.Reader(stream, limit=FILE_LIMIT)
            while unpacked.read(1024 * 1024):
                pass
    except Invalid as error:
        raise UpstreamInvalid(f"what upstream sent as {file.name} is no source package: {error}") from error
    try:
        with sink.path.open("rb") as stream:
            says = tarball.describe(stream)[0].get("Package", file.package)
    except EntrepotError:
        return  # as old as CRAN's oldest, perhaps: R may make something of it
    if says != file.package:
        raise UpstreamInvalid(f"what upstream sent as {file.name} is a package named {says[:60]!r}")


def _check_is_binary(file: File, sink: Sink) -> None:
    """As `_check_is_package`: a whole .zip or .tgz of that package, built for the system of its name's end."""
    try:
        with sink.path.open("rb") as stream:
            binarypackage.check_mirrored(stream, file_name=file.name, size=sink.path.stat().st_size, limit=FILE_LIMIT)
    except Invalid as error:
        raise UpstreamInvalid(f"what upstream sent as {file.name} is no binary package: {error}") from error


def copy_stored(app: App, sha256: Sha256, sink: Sink) -> None:
    """Give the readers of a flight what the store has."""
    sink.expect(app.storage.size(Key.blob(sha256)))
    for chunk in app.storage.stream(Key.blob(sha256)):
        sink.write(chunk)
    sink.verified()


def _learn(app: App, file: File, sink: Sink, *, size: int, md5: str, sha256: Sha256) -> None:
    """Record that the file is stored; an entry that nobody knew more of than its name gets its fields."""
    described = _read_description(sink)
    # A SHA-256 is told from the next transaction on; an entry that is known never becomes unknown.
    fills = file.fields is None and described is not None
    with app.db.write(shows=fills) as connection:
        row = db_files.get(connection, file.id)
        if row is None or row.sha256 == sha256:
            return
        facts: dict[str, object] = {"sha256": sha256, "sha256_since": db_transactions.newest(connection) + 1}
        if row.fields is None and described is not None:
            # Only here: the size of a complete entry would add a Filesize to the indexes of old snapshots.
            facts |= {"fields": described[0], "md5": md5, "size": size}
            state = db_sources.mirror_state(connection, file.source_id)
            if state is not None:
                db_sources.update_mirror(connection, file.source_id, filled=state.filled + 1)
        db_files.learn(connection, file.id, **facts)
        if described is not None and db_files.description(connection, file.id) is None:
            db_files.add_descriptions(connection, [(file.id, described[1])])
            if db_sources.by_id(connection, row.source_id).type is SourceType.BIOCONDUCTOR_PART:
                # Its titles are told nowhere else.
                db_sources.note_filled(connection, [row.source_id])


def _read_description(sink: Sink) -> tuple[str, str] | None:
    """(index fields, DESCRIPTION) of the downloaded file; None if it has none that can be read."""
    try:
        with sink.path.open("rb") as stream:
            description, text, has_src_folder = tarball.describe(stream)
    except (EntrepotError, OSError):
        # Upstream's bytes are served as they are; a package that R can't read either is not ours to judge.
        return None
    return packages.fields_of_description(description, has_src_folder=has_src_folder), text
