"""The binary packages of CRAN's upstream, for Windows and macOS: parts of the mirror, refreshed with it."""

from __future__ import annotations

from entrepot.app import App
from entrepot.core.changes import History
from entrepot.core.errors import EntrepotError, UpstreamInvalid, UpstreamUnavailable
from entrepot.core.jobs import Report
from entrepot.core.model import Source, SourceType
from entrepot.core.platforms import Platform, System
from entrepot.db import parts as db_parts
from entrepot.db import sources as db_sources
from entrepot.ecosystems.r import paths
from entrepot.sources import mirror
from entrepot.sources.mirror import Synced


def refresh(app: App, source: Source, *, force: bool, history: History | None = None, report: Report) -> Synced:
    """Bring a CRAN mirror up to date, and then the binary packages that `[cran] binaries` lists.

    Each of them has a transaction of its own, of the day of the sync; upstream tells nothing of their past. One that
    fails stops neither the others nor undoes the sources.

    Raises:
        As `mirror.refresh`; UpstreamUnavailable, UpstreamInvalid also if binary packages of some folder failed.
    """
    synced = mirror.refresh(app, source, force=force, history=history, report=report)
    transactions, faults = list(synced.transactions), list(synced.faults)
    failed: list[tuple[str, EntrepotError]] = []
    for folder in app.settings.cran.binaries:
        platform = platform_of(folder)
        part = _ensure(app, source, platform)
        try:
            its = mirror.refresh(
                app, part, force=force, history=History.NONE if part.synced_from is None else None, report=report
            )
        except (UpstreamUnavailable, UpstreamInvalid) as error:
            failed.append((folder, error))
            _record_failure(app, part, error)
        else:
            transactions += its.transactions
            faults += [f"{folder}: {fault}" for fault in its.faults]
    if failed:
        raise _failure(failed)
    return Synced(
        tuple(transactions), synced.added, synced.updated, synced.archived, synced.removed, faults=tuple(faults)
    )


def platform_of(folder: str) -> Platform:
    """What a line of `[cran] binaries` means: `windows/4.4`, `macosx/4.2`, `macosx/big-sur-arm64/4.4`."""
    system, *flavour, r = folder.split("/")
    return Platform(System(system), "".join(flavour), r)


def _ensure(app: App, source: Source, platform: Platform) -> Source:
    """The part for a platform, made at its first sync."""
    with app.db.read() as connection:
        parts = db_sources.parts_of(connection, [source.id])
    known = next((p for p in parts if p.part == platform.path and p.type is SourceType.MIRRORED_BINARIES), None)
    if known is not None and known.is_mirror:
        return known
    with app.db.write(shows=False) as connection:
        made = db_parts.ensure(connection, source, platform.path, SourceType.MIRRORED_BINARIES, now=app.clock())
        if not made.is_mirror:
            db_sources.add_mirror(connection, made.id, app.settings.cran.upstream)
        return db_sources.by_id(connection, made.id)


def _record_failure(app: App, part: Source, error: EntrepotError) -> None:
    """Keep why a part failed; when it is tried again is the mirror's to say."""
    with app.db.write(shows=False) as connection:
        state = db_sources.mirror_state(connection, part.id)
        assert state is not None
        db_sources.update_mirror(
            connection, part.id, failures=state.failures + 1, error_code=error.code, error=error.message
        )


def _failure(failed: list[tuple[str, EntrepotError]]) -> EntrepotError:
    """One error of all: worth trying again if one of them is."""
    folder, first = failed[0]
    others = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    kind = UpstreamUnavailable if any(isinstance(e, UpstreamUnavailable) for _, e in failed) else UpstreamInvalid
    return kind(
        f"the packages are synced, but not the binary packages {folder}{others}: {first.message}",
        hint=first.hint or "[cran] binaries lists the folders that are mirrored",
        folders=[paths.binary_folder(platform_of(folder)) for folder, _ in failed],
    )
