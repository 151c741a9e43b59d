"""`/builds`: what is built from Git and what binary packages are built, with what each build said."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from entrepot.web.ui.activity import TAIL
from entrepot.web.ui.asking import Refused
from entrepot.web.ui.jobs import job_with_log
from entrepot.web.ui.turns import Turn, get, post

ROWS = 50
LAST = 20
"""Binary builds on the page of all builds."""
LOOKS = {"waiting": "", "building": "info", "succeeded": "good", "built": "good", "failed": "bad"}
STATUSES = ("built", "failed")


async def show_all(turn: Turn) -> Response:
    """`GET /builds`"""
    builders, targets, binaries, sources = await asyncio.gather(
        turn.api.get("git-builders"),
        turn.api.get("build-targets"),
        turn.api.listed("binary-builds", _limit=LAST),
        turn.api.get("sources"),
    )
    access = turn.visit.access
    last = await _last_builds(turn, sorted({builder["source"] for builder in builders}))
    return turn.page(
        "builds.html",
        place="builds",
        builders=[
            {**builder, "last": last.get((builder["source"], builder["name"] or f"#{builder['id']}"))}
            for builder in builders
        ],
        targets=targets,
        binaries=binaries.rows,
        total_binaries=binaries.total,
        looks=LOOKS,
        writable={source["name"] for source in sources if access.may_write(source["id"])},
    )


async def _last_builds(turn: Turn, sources: list[str]) -> dict[tuple[str, str], dict[str, Any]]:
    """(source, package) -> the newest build of each builder of these sources."""
    found = await asyncio.gather(
        *(turn.api.listed("sources", name, "git-builds", newest=True, _limit=1000) for name in sources)
    )
    return {
        (source, build["package"]): build
        for source, listed in zip(sources, found, strict=True)
        for build in reversed(listed.rows)  # what waits stands first
    }


async def show_builder(turn: Turn) -> Response:
    """`GET /sources/{source}/builders/{name}?page=`"""
    return await _builder(turn)


async def run_builder(turn: Turn) -> Response:
    """`POST /sources/{source}/builders/{name}/run`: goes on to the job."""
    await turn.form()
    return await _started(turn, "run", {})


async def rerun_builder(turn: Turn) -> Response:
    """`POST /sources/{source}/builders/{name}/rerun`: of a tag or a commit."""
    fields = await turn.form()
    body = {name: value for name in ("tag", "commit_sha") if (value := fields.get(name, "").strip())}
    return await _started(turn, "rerun", body)


async def _started(turn: Turn, what: str, body: Mapping[str, str]) -> Response:
    try:
        job = await turn.api.send(
            "POST", "sources", turn.path["source"], "git-builders", turn.path["name"], what, body=body
        )
    except Refused as refused:
        if refused.status in (401, 403):
            raise
        return await _builder(turn, refused)
    return turn.moved("jobs", job["id"])


async def _builder(turn: Turn, refused: Refused | None = None) -> Response:
    name, page = turn.path["name"], turn.number("page")
    source, builder = await asyncio.gather(
        turn.api.get("sources", turn.path["source"]),
        turn.api.get("sources", turn.path["source"], "git-builders", name),
    )
    label = builder["name"] or f"#{builder['id']}"
    try:
        builds, total = await turn.api.listed(
            "sources", source["name"], "git-builds", name=label, _limit=ROWS, _page=page
        )
    except Refused as error:
        if error.status != 404:
            raise
        builds, total = [], 0
    live = (await job_with_log(turn, builder["job"]))[1] if builder["job"] is not None else None
    return turn.page(
        "builder.html",
        place="builds",
        source=source,
        builder=builder,
        label=label,
        builds=builds,
        total=total,
        rows=ROWS,
        page_number=page,
        looks=LOOKS,
        live=live,
        may_write=turn.visit.access.may_write(source["id"]),
        refused=refused,
    )


async def show_target(turn: Turn) -> Response:
    """`GET /builds/targets/{name}?status=&package=&page=`"""
    return await _target(turn)


async def run_target(turn: Turn) -> Response:
    """`POST /builds/targets/{name}/run`: goes on to the job."""
    await turn.form()
    return await _target_started(turn, "run", {})


async def rerun_target(turn: Turn) -> Response:
    """`POST /builds/targets/{name}/rerun`: of a package, or of all that failed."""
    fields = await turn.form()
    package = fields.get("package", "").strip()
    return await _target_started(turn, "rerun", {"package": package} if package else {})


async def _target_started(turn: Turn, what: str, body: Mapping[str, str]) -> Response:
    try:
        job = await turn.api.send("POST", "build-targets", turn.path["name"], what, body=body)
    except Refused as refused:
        if refused.status in (401, 403):
            raise
        return await _target(turn, refused)
    return turn.moved("jobs", job["id"])


async def _target(turn: Turn, refused: Refused | None = None) -> Response:
    target = await turn.api.get("build-targets", turn.path["name"])
    status, package, page = turn.asked("status"), turn.asked("package"), turn.number("page")
    status = status if status in STATUSES else ""
    builds = await turn.api.listed(
        "binary-builds", target=target["name"], status=status, name=package, _limit=ROWS, _page=page
    )
    live = (await job_with_log(turn, target["job"]))[1] if target["job"] is not None else None
    return turn.page(
        "target.html",
        place="builds",
        target=target,
        builds=builds.rows,
        total=builds.total,
        rows=ROWS,
        page_number=page,
        wish={"status": status, "package": package},
        statuses=STATUSES,
        looks=LOOKS,
        live=live,
        may_write=turn.visit.access.is_admin,
        refused=refused,
    )


async def show_binary(turn: Turn) -> Response:
    """`GET /builds/binaries/{id}`"""
    build, log = await asyncio.gather(
        turn.api.get("binary-builds", turn.path["id"]),
        turn.api.get("binary-builds", turn.path["id"], "log", tail=TAIL),
    )
    return turn.page("binary.html", place="builds", build=build, log=log, looks=LOOKS)


ROUTES = [
    get("/builds", show_all),
    get("/builds/targets/{name}", show_target),
    post("/builds/targets/{name}/run", run_target),
    post("/builds/targets/{name}/rerun", rerun_target),
    get("/builds/binaries/{id}", show_binary),
    get("/sources/{source}/builders/{name}", show_builder),
    post("/sources/{source}/builders/{name}/run", run_builder),
    post("/sources/{source}/builders/{name}/rerun", rerun_builder),
]
