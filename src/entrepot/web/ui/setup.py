"""`/repos/{repo}/setup`: what to paste so that a client uses a repository, at latest or at a day of the calendar."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from entrepot.web.ui.asking import Refused
from entrepot.web.ui.calendar import month_of
from entrepot.web.ui.paths import link
from entrepot.web.ui.snapshots import Range, range_of
from entrepot.web.ui.texts import all_texts, text
from entrepot.web.ui.turns import Turn, get

Options = list[tuple[str, object]]


async def show(turn: Turn) -> Response:
    """`GET /repos/{repo}/setup?environment=&os=&distribution=&bioc_version=&snapshot=&month=`."""
    repo, choices = await asyncio.gather(
        turn.api.get("repos", turn.path["repo"]), turn.api.get("repos", turn.path["repo"], "setup", "choices")
    )
    wish = _wish(turn, choices)
    snapshot, version = wish["snapshot"], wish["bioc_version"]
    days, found, refused = await _asked(turn, repo["name"], wish)
    month = await month_of(
        turn,
        repo["name"],
        days,
        chosen=snapshot,
        link_to=lambda day: link("repos", repo["name"], "setup", **{**wish, "snapshot": day.isoformat()}),
    )
    return turn.page(
        "setup.html",
        repo=repo,
        snapshot=snapshot,
        active="setup",
        wish=wish,
        environments=[(name, _label("environment", name)) for name in choices["environments"]],
        systems=[(name, _label("system", name)) for name in choices["systems"]],
        distributions=choices["distributions"],
        versions=versions(choices),
        paired=_paired(choices, version),
        cran=choices["cran_repo"],
        month=month,
        days=days,
        found=found,
        refused=refused,
        servable=await _range(turn, repo["name"], refused),
    )


async def _asked(
    turn: Turn, repo: str, wish: Mapping[str, str]
) -> tuple[Mapping[str, Any], Mapping[str, Any] | None, Refused | None]:
    """The days of the repository; what to paste, or why there is nothing."""

    async def found() -> Mapping[str, Any] | Refused:
        try:
            told: Mapping[str, Any] = await turn.api.get("repos", repo, "setup", **wish)
        except Refused as refused:
            return refused
        return told

    days, setup = await asyncio.gather(_days(turn, repo, wish["bioc_version"]), found())
    return (days, None, setup) if isinstance(setup, Refused) else (days, setup, None)


async def _days(turn: Turn, repo: str, version: str) -> Mapping[str, Any]:
    """Those of the version of Bioconductor that is chosen, if there is such a one."""
    days: Mapping[str, Any] | None = None
    if version:
        days = await turn.api.find("repos", repo, "days", bioc_version=version)
    return days or await turn.api.get("repos", repo, "days")


async def _range(turn: Turn, repo: str, refused: Refused | None) -> Range | None:
    """Which snapshots there are, where that is what was wrong."""
    if refused is None or refused.kind != "snapshot-not-found":
        return None
    return await range_of(turn, repo, refused)


def _wish(turn: Turn, choices: Mapping[str, Any]) -> dict[str, str]:
    """What is asked for. Of another system than Linux no distribution is meant, whatever is left in the form."""
    system = turn.asked("os", choices["systems"][0])
    return {
        "environment": turn.asked("environment", choices["environments"][0]),
        "os": system,
        "distribution": turn.asked("distribution") if system == "linux" else "",
        "bioc_version": turn.asked("bioc_version"),
        "snapshot": turn.asked("snapshot", "latest"),
    }


def _label(kind: str, name: str) -> object:
    """What people call an environment or a system; one without a text has its own name."""
    key = f"setup.{kind}.{name}"
    return text(key) if key in all_texts() else name


def versions(choices: Mapping[str, Any]) -> Options:
    """The versions of Bioconductor to choose from."""
    found: Options = []
    for each in choices["bioc_versions"]:
        state = "release" if each["is_release"] else "devel" if each["is_devel"] else "plain"
        label = text(f"setup.version.{state}", version=each["bioc_version"], r=each["r_version"])
        found.append((each["bioc_version"], label if each["is_mirrored"] else label + text("setup.version.missing")))
    return found


async def versions_of(turn: Turn, repo: Mapping[str, Any]) -> Options:
    """Those of a repository; none of one that isn't of Bioconductor."""
    if repo["type"] != "Bioconductor":
        return []
    return versions(await turn.api.get("repos", repo["name"], "setup", "choices"))


def _paired(choices: Mapping[str, Any], version: str) -> Mapping[str, Any] | None:
    """The version of Bioconductor that is chosen, with its day of CRAN."""
    rows: Sequence[Mapping[str, Any]] = choices["bioc_versions"]
    return next((each for each in rows if each["bioc_version"] == version), None)


ROUTES = [get("/repos/{repo}/setup", show)]
