"""Bioconductor: its configuration, and each repository of each version as a mirror of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.bioconductor import DEVEL, PARTS, Config, part_path, version_key
from entrepot.core.changes import History
from entrepot.core.errors import (
    EntrepotError,
    NeverSynced,
    UpstreamInvalid,
    UpstreamLacksIndex,
    UpstreamUnavailable,
)
from entrepot.core.jobs import Report
from entrepot.core.model import Source, SourceType, TransactionId
from entrepot.core.urls import shown
from entrepot.db import bioconductor as db_bioconductor
from entrepot.db import parts as db_parts
from entrepot.db import sources as db_sources
from entrepot.db import transactions as db_transactions
from entrepot.ecosystems.r import bioconfig
from entrepot.sources import mirror
from entrepot.sources.mirror import ACTOR, Synced
from entrepot.sources.places import place_of
from entrepot.sources.upstreamcopy import digest

CONFIG = "config.yaml"
MOST_SILENT = 3
"""After so many parts in a row for which upstream did not answer, the others aren't asked for."""


def refresh(
    app: App,
    source: Source,
    *,
    force: bool,
    history: History | None = None,
    report: Report,
    versions: Sequence[str] = (),
) -> Synced:
    """Bring the configuration and the parts of some versions up to date, each part in a transaction of its own.

    A part that fails doesn't stop the others; it keeps its error, and all of them are told in the end.

    Args:
        versions: those wanted, or `release` or `devel`; empty: those of the settings, and those that somebody named.

    Raises:
        BioconductorVersionNotFound: upstream doesn't have a version that is wanted.
        UpstreamUnavailable, UpstreamInvalid: of the configuration, or of parts that failed.
    """
    if history is not None:
        mirror.check_is_first(source)
    began = max(app.clock(), source.synced_from or app.clock())
    report("asking upstream", 0, 0)
    config, changed = _refresh_config(app, source, began=began)
    wanted = _wanted(app, source, config, versions)
    run = _Run(app, source, force=force, report=report, total=len(wanted) * len(PARTS))
    for version in wanted:
        run.version(version, is_asked_for=bool(versions))
    run.end()
    with app.db.write(shows=False) as connection:
        db_sources.update_mirror(connection, source.id, failures=0, error_code=None, error=None, next_try=None)
    return _sum([changed, *run.synced], run.faults)


def ensure_parts(connection: Connection, owner: Source, version: str, *, upstream: str, now: datetime) -> list[Source]:
    """The parts of a version, made if there are none yet. Only inside `Database.write`."""
    found = []
    for part in PARTS:
        made = db_parts.ensure(connection, owner, part_path(version, part), SourceType.BIOCONDUCTOR_PART, now=now)
        if not made.is_mirror:
            db_sources.add_mirror(connection, made.id, f"{upstream}/packages/{made.part}")
            made = db_sources.by_id(connection, made.id)
        found.append(made)
    return found


def known_config(connection: Connection, source: Source) -> Config:
    """The configuration in force now. Raises NeverSynced."""
    body = db_bioconductor.config_at(connection, source.id)
    if body is None:
        state = db_sources.mirror_state(connection, source.id)
        reason = f", the last try failed: {state.error}" if state is not None and state.error else ""
        raise NeverSynced(
            f"nothing is known of Bioconductor's versions yet{reason}",
            hint="`entrepot sync --type=bioconductor` asks upstream",
        )
    return bioconfig.read(body)


def _refresh_config(app: App, source: Source, *, began: datetime) -> tuple[Config, Synced]:
    """The configuration that upstream has now, written down as a transaction if it is another one."""
    url = app.settings.bioconductor.upstream
    with app.db.read() as connection:
        state = db_sources.mirror_state(connection, source.id)
        known = db_bioconductor.config_at(connection, source.id)
    assert state is not None
    validators = state.validators if state.upstream == url and known is not None else {}
    etag, modified, _ = validators.get(CONFIG, [None, None, None])
    got = app.fetch.get(f"{url}/{CONFIG}", etag=etag, last_modified=modified, limit=bioconfig.LIMIT)
    if got is None:
        raise UpstreamInvalid(
            f"{shown(url)} has no {CONFIG}", hint="[bioconductor] upstream is the base URL of a Bioconductor mirror"
        )
    body = got.body if got.body is not None else known
    assert body is not None
    config = bioconfig.read(body)
    fresh = {CONFIG: [got.etag, got.last_modified, digest(body)]}
    with app.db.write(shows=body != known or source.synced_from is None) as connection:
        ids: tuple[TransactionId, ...] = ()
        if body != db_bioconductor.config_at(connection, source.id):
            # As with packages: what upstream doesn't date belongs to the first day that isn't closed.
            day = source.synced_from.date() if source.synced_from is not None else began.date()
            message = f"{CONFIG} of {shown(url)}: release {config.release}, devel {config.devel or 'none'}"
            at = db_transactions.add(
                connection, time=app.clock(), day=day, actor=ACTOR, message=message, source_id=source.id
            )
            db_bioconductor.add_config(connection, source.id, body, at)
            ids = (at,)
        db_sources.update_mirror(connection, source.id, upstream=url, validators=fresh, synced_from=began)
    return config, Synced(ids)


def _wanted(app: App, source: Source, config: Config, versions: Sequence[str]) -> list[str]:
    """The versions to sync, the newest first; with their parts made.

    Raises:
        BioconductorVersionNotFound
    """
    with app.db.read() as connection:
        named = {(part.part or "").partition("/")[0] for part in db_sources.parts_of(connection, [source.id])}
    if versions:
        found = {config.find(version) for version in versions}
    else:
        set_ = app.settings.bioconductor.versions
        found = {config.find(v) for v in set_ if not (v == DEVEL and config.devel is None)} if set_ else set()
        found = (found or set(config.versions)) | (named & set(config.versions))
    ordered = sorted(found, key=version_key, reverse=True)
    new = [version for version in ordered if version not in named]
    if new:
        with app.db.write(shows=False) as connection:
            for version in new:
                ensure_parts(connection, source, version, upstream=app.settings.bioconductor.upstream, now=app.clock())
    return ordered


class _Run:
    """The parts of one sync, one after the other: what came of them."""

    def __init__(self, app: App, source: Source, *, force: bool, report: Report, total: int) -> None:
        self._app = app
        self._source = source
        self._force = force
        self._report = report
        self._total = total
        self._done = 0
        self._silent = 0
        self._errors: list[tuple[str, EntrepotError]] = []
        self.synced: list[Synced] = []
        self.faults: list[str] = []

    def version(self, version: str, *, is_asked_for: bool) -> None:
        """Sync the parts of a version. What upstream lacks of it is empty, unless it lacks all of it."""
        with self._app.db.read() as connection:
            ids = db_bioconductor.part_ids(connection, [version])
            sources = db_sources.by_ids(connection, ids.values())
        parts = [sources[ids[part_path(version, part)]] for part in PARTS]
        begun = self._done
        lacking = [part for part in parts if self._part(part, is_optional=False)]
        self._done = begun + len(parts)
        if len(lacking) < len(parts):
            for part in lacking:
                self._part(part, is_optional=True)
            return
        gone = any(part.synced_from is not None for part in parts)
        what = "no longer has" if gone else "has"
        upstream = shown(self._app.settings.bioconductor.upstream)
        message = f"{upstream} {what} {'any' if gone else 'none'} of the repositories of Bioconductor {version}"
        if gone or is_asked_for:
            self._fail(parts, version, UpstreamLacksIndex(f"{message}; nothing was changed"))
        else:
            self.faults.append(message)

    def _part(self, part: Source, *, is_optional: bool) -> bool:
        """Sync a part; whether nothing was done because upstream has no such repository."""
        assert part.part is not None
        path = part.part
        place = replace(place_of(self._app.settings, part), is_optional=is_optional)
        if self._silent >= MOST_SILENT:
            return False
        self._report(path, self._done, self._total)
        try:
            synced = mirror.refresh(self._app, part, force=self._force, report=self._say(path), place=place)
        except UpstreamLacksIndex:
            return True
        except (UpstreamUnavailable, UpstreamInvalid) as error:
            self._silent = self._silent + 1 if isinstance(error, UpstreamUnavailable) else 0
            self._fail([part], path, error)
        else:
            self._silent = 0
            self.synced.append(synced)
            self.faults += [f"{path}: {fault}" for fault in synced.faults]
        self._done += 1
        return False

    def _say(self, path: str) -> Report:
        def say(what: str, done: int, total: int) -> None:  # noqa: ARG001
            self._report(f"{path}: {what}", self._done, self._total)

        return say

    def _fail(self, parts: Iterable[Source], what: str, error: EntrepotError) -> None:
        self._errors.append((what, error))
        with self._app.db.write(shows=False) as connection:
            for part in parts:
                state = db_sources.mirror_state(connection, part.id)
                failures = state.failures + 1 if state is not None else 1
                db_sources.update_mirror(
                    connection, part.id, failures=failures, error_code=error.code, error=error.message
                )

    def end(self) -> None:
        """Raises the first error, which tells how many there are."""
        if not self._errors:
            return
        what, error = self._errors[0]
        more = f" (and {len(self._errors) - 1} more)" if len(self._errors) > 1 else ""
        given_up = "; the others were not asked for" if self._silent >= MOST_SILENT else ""
        raise type(error)(f"{what}: {error.message}{more}{given_up}", hint=error.hint)


def _sum(every: Sequence[Synced], faults: Sequence[str]) -> Synced:
    return Synced(
        transactions=tuple(sorted(id_ for each in every for id_ in each.transactions)),
        added=sum(each.added for each in every),
        updated=sum(each.updated for each in every),
        archived=sum(each.archived for each in every),
        removed=sum(each.removed for each in every),
        faults=tuple(faults),
    )
