"""`/repos/{repo}/packages/{name}`: one package at a snapshot, with all that is known of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from starlette.responses import Response

from entrepot.web.ui.asking import Refused
from entrepot.web.ui.installing import CLIENTS, Wanted, file_url
from entrepot.web.ui.setup import versions_of
from entrepot.web.ui.turns import Turn, get

DAYS = 90
"""Of downloads in the picture."""
FIRST_DEPENDENTS = 30
FEW_FILES = 8
"""Files that are shown unfolded."""
MOST_VERSIONS = 500
"""Versions that one chooses from."""
NO_PACKAGE = "package-not-found"


@dataclass(frozen=True, slots=True)
class About:
    """A package as a page is asked for it: its repository (shape of the API), its name, version and snapshot."""

    repo: Mapping[str, Any]
    name: str
    version: str
    snapshot: str
    bioc_version: str

    @classmethod
    async def of(cls, turn: Turn) -> About:
        repo = await turn.api.get("repos", turn.path["repo"])
        at = turn.asked("snapshot", "latest"), turn.asked("bioc_version")
        return cls(repo, turn.path["name"], turn.asked("version"), *at)

    @property
    def parts(self) -> tuple[str, str, str, str]:
        """The path of the package in the API."""
        return "repos", self.repo["name"], "packages", self.name

    @property
    def at(self) -> dict[str, str]:
        return {"snapshot": self.snapshot, "bioc_version": self.bioc_version}

    @property
    def one(self) -> dict[str, str]:
        return {"version": self.version, **self.at}

    def values(self, **more: Any) -> dict[str, Any]:
        """What each template about a package is given."""
        return {
            "about": self,
            "repo": self.repo,
            "snapshot": self.snapshot,
            "bioc_version": self.bioc_version,
            "active": "package",
            "kept": {"version": self.version, "snapshot": self.snapshot, "bioc_version": self.bioc_version},
            **more,
        }


async def show(turn: Turn) -> Response:
    """`GET /repos/{repo}/packages/{name}?version=&client=&distribution=&fetch=&snapshot=&bioc_version=`."""
    about = await About.of(turn)
    try:
        record = await turn.api.get(*about.parts, **about.one)
    except Refused as refused:
        if refused.kind != NO_PACKAGE:
            raise
        return await missing(turn, about)
    client = _client(turn, about)
    distribution = turn.asked("distribution") if about.repo["type"] != "Python" else ""
    wish = {"environment": client, "distribution": distribution, **about.at}
    readme, needed, downloads, setup, choices, binaries, versions = await asyncio.gather(
        _readme(turn, about),
        turn.api.get(*about.parts, "dependencies", **about.one),
        turn.api.get(*about.parts, "downloads", _days=DAYS),
        _or_refused(turn.api.get("repos", about.repo["name"], "setup", **wish)),
        turn.api.get("repos", about.repo["name"], "setup", "choices"),
        _binaries(turn, about, record),
        versions_of(turn, about.repo),
    )
    system = await _system(turn, about, distribution)
    is_chosen = bool(about.version) or record["is_archived"]
    wanted = None
    if not isinstance(setup, Refused):
        version = record["version"] if is_chosen else None
        wanted = Wanted(record["name"], version, setup["repository_url"], about.bioc_version)
    return turn.page(
        "package.html",
        **about.values(
            tab="overview",
            record=record,
            readme=readme,
            needs=groups(about, needed),
            dependents=sorted({name for names in record["reverse_dependencies"].values() for name in names}),
            first_dependents=FIRST_DEPENDENTS,
            downloads=downloads,
            install=CLIENTS[about.repo["type"]][client](wanted) if wanted is not None else None,
            setup=setup if wanted is not None else None,
            refused=setup if isinstance(setup, Refused) else None,
            client=client,
            clients=list(CLIENTS[about.repo["type"]]),
            distribution=distribution,
            distributions=choices["distributions"],
            bioc_versions=versions,
            releases=record["versions"][:MOST_VERSIONS],
            files=_files(turn, about, record, binaries, distribution),
            few_files=FEW_FILES,
            system=system,
            wanted_readme=bool(turn.asked("fetch")),
        ),
    )


async def missing(turn: Turn, about: About) -> Response:
    """The page of a package, or of a version, that isn't there: names that may have been meant, the versions that there
    are, and when the package was there."""
    record, near, history, days = await asyncio.gather(
        turn.api.find(*about.parts, **about.at),
        _or_refused(turn.api.get("repos", about.repo["name"], "near", name=about.name[:100], **about.at)),
        _or_refused(turn.api.listed(*about.parts, "history", _limit=5, bioc_version=about.bioc_version)),
        turn.api.get("repos", about.repo["name"], "days"),
    )
    return turn.page(
        "package_missing.html",
        status=404,
        **about.values(
            record=record,
            near=[] if isinstance(near, Refused) else near,
            history=[] if isinstance(history, Refused) else history.rows,
            days=days,
        ),
    )


def groups(about: About, needed: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, list[Mapping[str, Any]]]]:
    """(key of its text, a name for it, rows) of each kind of dependency: what is needed first, then what may be."""
    if about.repo["type"] == "Python":
        kinds = [("requires", "", [row for row in needed if row["extra"] is None])]
        extras = dict.fromkeys(row["extra"] for row in needed if row["extra"] is not None)
        kinds += [("extra", name, [row for row in needed if row["extra"] == name]) for name in extras]
    else:
        kinds = [(kind, "", [row for row in needed if row["kind"] == kind]) for kind in KINDS]
    return [group for group in kinds if group[2]]


KINDS = ("depends", "imports", "linkingto", "suggests", "enhances")
NEEDED = frozenset({"depends", "imports", "linkingto", "requires"})
"""Kinds without which a package doesn't work."""


def _client(turn: Turn, about: About) -> str:
    """The client that is asked for, else the usual one."""
    clients = CLIENTS[about.repo["type"]]
    asked = turn.asked("client")
    return asked if asked in clients else next(iter(clients))


async def _readme(turn: Turn, about: About) -> Mapping[str, Any] | Refused:
    """Its `html` is the API's: structure and text, and nothing else."""
    told = await _or_refused(turn.api.get(*about.parts, "readme", fetch=bool(turn.asked("fetch")) or None, **about.one))
    return told if isinstance(told, Refused) else {**told, "html": Markup(told["html"])}


async def _or_refused(asked: Awaitable[Any]) -> Any:
    """What the API answers, be it a refusal: the rest of the page stands without."""
    try:
        return await asked
    except Refused as refused:
        return refused


async def _binaries(turn: Turn, about: About, record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The binary packages of the version that is shown."""
    if about.repo["type"] == "Python":
        return []
    found = await _or_refused(turn.api.get(*about.parts, "binaries", snapshot=about.snapshot))
    if isinstance(found, Refused):
        return []
    return [each for each in found if each["version"] == record["version"]]


def _files(
    turn: Turn, about: About, record: Mapping[str, Any], binaries: Sequence[Mapping[str, Any]], distribution: str
) -> list[dict[str, Any]]:
    """All files of the version that is shown, those for the chosen distribution after the source package."""
    release = next(each for each in record["versions"] if each["version"] == record["version"])
    files = [
        {**file, "url": file_url(turn.visit.base, about.repo, about.snapshot, record, file["name"]), "platform": None}
        for file in release["files"]
    ]
    ordered = sorted(binaries, key=lambda each: each["distribution"] != distribution)
    files += [
        {
            "name": each["url"].rpartition("/")[2].partition("?")[0],
            "kind": "binary",
            "size": each["size"],
            "md5": None,
            "checksum": each["sha256"],
            "uploaded": each["built"],
            "requires_python": None,
            "yanked": False,
            "yanked_reason": None,
            "url": each["url"],
            "platform": each,
        }
        for each in ordered
    ]
    return files


async def _system(turn: Turn, about: About, distribution: str) -> Mapping[str, Any] | Refused | None:
    """What the package needs of a distribution of Linux; None where none was chosen, or Python's wheels have it."""
    if not distribution:
        return None
    status = await turn.api.get("status")
    found = next((each for each in status["distros"] if each["name"] == distribution), None)
    if found is None:
        return None
    wish = {"distribution": found["distribution"], "release": found["release"]}
    told: Mapping[str, Any] | Refused = await _or_refused(turn.api.get(*about.parts, "sysreqs", **wish, **about.at))
    return told


ROUTES = [get("/repos/{repo}/packages/{name}", show)]
