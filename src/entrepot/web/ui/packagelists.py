"""Pages beside that of a package: its versions, its history, what it needs, what needs it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from entrepot.web.ui.asking import Listed, Refused
from entrepot.web.ui.finding import answered
from entrepot.web.ui.installing import repository_url
from entrepot.web.ui.package import KINDS, NO_PACKAGE, About, groups, missing
from entrepot.web.ui.turns import Turn, get

ENTRIES = 30
DEPENDENTS = 100
DEEPEST = 12
"""Levels of a tree that unfold."""
COMPARED = ("license", "needs_compilation", "requires_python", "package_size")


async def versions(turn: Turn) -> Response:
    """`GET .../versions?from=&to=&snapshot=&bioc_version=`: all versions; two of them side by side."""
    about = await About.of(turn)
    record = await _record(turn, about)
    if record is None:
        return await missing(turn, about)
    first, second = turn.asked("from"), turn.asked("to")
    pair = None
    if first and second and first != second:
        pair = await asyncio.gather(*(turn.api.find(*about.parts, version=v, **about.at) for v in (first, second)))
    return turn.page(
        "package_versions.html",
        **about.values(
            tab="versions",
            record=record,
            wish={"from": first, "to": second},
            pair=pair if pair is not None and all(pair) else None,
            differences=_differences(*pair) if pair is not None and all(pair) else [],
        ),
    )


async def history(turn: Turn) -> Response:
    """`GET .../history?page=`: every change of what the repository gives of the package."""
    about = await About.of(turn)
    page = turn.number("page")
    wish: dict[str, str | int] = {"_limit": ENTRIES, "_page": page, "bioc_version": about.bioc_version}
    record, entries = await asyncio.gather(_record(turn, about), turn.api.listed(*about.parts, "history", **wish))
    urls = {entry["snapshot"]: repository_url(turn.visit.base, about.repo, entry["snapshot"]) for entry in entries.rows}
    return turn.page(
        "package_history.html",
        **about.values(tab="history", record=record, entries=entries, urls=urls, page_number=page, rows=ENTRIES),
    )


async def dependents(turn: Turn) -> Response:
    """`GET .../dependents?kind=&page=&snapshot=&bioc_version=`: what needs the package."""
    about = await About.of(turn)
    record = await _record(turn, about)
    if record is None:
        return await missing(turn, about)
    kind, page = turn.asked("kind"), turn.number("page")
    kind = kind if kind in KINDS else ""
    found: Listed = await turn.api.listed(
        *about.parts, "dependents", kind=kind, _limit=DEPENDENTS, _page=page, **about.at
    )
    counts = {name: len(names) for name, names in record["reverse_dependencies"].items() if names}
    return turn.page(
        "package_dependents.html",
        **about.values(
            tab="dependents", record=record, found=found, kind=kind, counts=counts, page_number=page, rows=DEPENDENTS
        ),
    )


async def dependencies(turn: Turn) -> Response:
    """`GET .../dependencies?version=&within=&snapshot=&bioc_version=`: what the package needs; as a part of a page for
    the script that unfolds trees, within which packages of above are not unfolded again."""
    about = await About.of(turn)
    record, needed = await asyncio.gather(
        _record(turn, about, version=about.version),
        _none_if_missing(turn, about),
    )
    if record is None or needed is None:
        return await missing(turn, about)
    within = turn.request.query_params.getlist("within")[:DEEPEST]
    values = about.values(
        tab="dependencies",
        record=record,
        needs=groups(about, needed),
        within=[*(name[:200] for name in within), record["name"]],
        deepest=DEEPEST,
    )
    return answered(turn, "package_dependencies.html", "_needs.html", 200, values)


async def _record(turn: Turn, about: About, version: str = "") -> Mapping[str, Any] | None:
    """The record of the package, for the head of its pages; None if it isn't there."""
    found: Mapping[str, Any] | None = await _found(turn, about, version=version)
    return found


async def _found(turn: Turn, about: About, *more: str, version: str) -> Any:
    try:
        return await turn.api.get(*about.parts, *more, version=version, **about.at)
    except Refused as refused:
        if refused.kind == NO_PACKAGE:
            return None
        raise


async def _none_if_missing(turn: Turn, about: About) -> Sequence[Mapping[str, Any]] | None:
    found: Sequence[Mapping[str, Any]] | None = await _found(turn, about, "dependencies", version=about.version)
    return found


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, str, str | None, str | None]]:
    """(kind, name, before, after) of what differs between two versions: facts, and what they need."""
    found = [("fact", key, before[key], after[key]) for key in COMPARED if before[key] != after[key]]
    old, new = _needs(before), _needs(after)
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            found.append((key[0], key[1], old.get(key), new.get(key)))
    return found


def _needs(record: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """(kind, name) -> the bounds, of everything that a version needs."""
    found: dict[tuple[str, str], list[str]] = {}
    for kind, needed in record["dependencies"].items():
        for each in needed:
            bound = f"{each['operator']} {each['version']}" if each["operator"] else "*"
            found.setdefault((kind, each["name"]), []).append(each["requirement"] or bound)
    return {key: ", ".join(sorted(bounds)) for key, bounds in found.items()}


ROUTES = [
    get("/repos/{repo}/packages/{name}/versions", versions),
    get("/repos/{repo}/packages/{name}/history", history),
    get("/repos/{repo}/packages/{name}/dependents", dependents),
    get("/repos/{repo}/packages/{name}/dependencies", dependencies),
]
