"""CRAN snapshot sources: the whole mirror as it stood, moved from one snapshot to another."""

from __future__ import annotations

from entrepot.app import App
from entrepot.core.errors import WrongType
from entrepot.core.model import File, FileStatus
from entrepot.core.proposals import Leaving, Report
from entrepot.core.snapshots import Cut
from entrepot.db import listings as db_listings
from entrepot.operations.cran_shelf import item_of
from entrepot.operations.drafting import Draft, State, Wish
from entrepot.operations.pinning import name_snapshot


def draft(app: App, state: State, wish: Wish) -> Draft:
    """What would differ. Raises WrongType: packages were named, where all are shown."""
    if wish.action not in ("create", "update") or wish.list_text is not None or wish.packages:
        raise WrongType(
            f"source {state.source.name!r} shows all of {state.base.name!r} at a snapshot, not packages of a list",
            hint="use a source of type curated-cran for a set of packages",
        )
    with app.db.read() as connection:
        named = name_snapshot(app, connection, state.base, wish.snapshot)
    before = _current(app, Cut(state.base.id, state.pin.upto)) if state.pin is not None else {}
    return Draft(named, {}, {}, _report(app, named.cut, before, _current(app, named.cut), state))


def _current(app: App, cut: Cut) -> dict[str, File]:
    with app.db.read() as connection:
        return {row.file.package: row.file for row in db_listings.visible(connection, cut, status=FileStatus.CURRENT)}


def _report(app: App, cut: Cut, before: dict[str, File], after: dict[str, File], state: State) -> Report:
    changed = [name for name, file in after.items() if name not in before or before[name].id != file.id]
    items = tuple(item_of(after[name], before.get(name)) for name in changed)
    gone = [file for name, file in before.items() if name not in after or after[name].id != file.id]
    with app.db.read() as connection:
        kept = set[int]()
        if state.source.shows_archive:
            archived = db_listings.keys_of(connection, cut, [file.package for file in gone], FileStatus.ARCHIVED)
            kept = {key[0] for key in archived}
    leaving = tuple(
        Leaving(
            file.package,
            file.version,
            "archived" if file.id in kept else "removed",
            f"replaced by {after[file.package].version}" if file.package in after else "not on CRAN at that snapshot",
        )
        for file in gone
    )
    return Report(items, leaving, unchanged=len(after) - len(changed))
