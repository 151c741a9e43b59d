"""`/jobs`: background work, how far it is, what it says while it runs, its end before the time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from starlette.responses import Response

from entrepot.web.ui.asking import Refused
from entrepot.web.ui.showing import number
from entrepot.web.ui.texts import all_texts, text
from entrepot.web.ui.turns import Turn, get, post

ROWS = 50
LINES = 500
"""Lines of a log that a page shows; the whole is a link away."""
STATES = ("queued", "running", "done", "failed", "cancelled")
ITEMS = 100
"""Of what a job built, and of its faults, so many are shown."""
KINDS = ("sync", "build", "binaries", "describe", "facts", "read-metadata", "sysreqs")
"""Kinds of jobs that have a text; others are called what they are."""
LOOKS = {"queued": "", "running": "info", "done": "good", "failed": "bad", "cancelled": "warn"}
OVER = frozenset({"done", "failed", "cancelled"})


async def show_all(turn: Turn) -> Response:
    """`GET /jobs?state=&kind=&source=&page=`"""
    wish = {name: turn.asked(name) for name in ("state", "kind", "source")}
    if wish["state"] not in STATES:
        wish["state"] = ""
    page = turn.number("page")
    sources, queue = await asyncio.gather(turn.api.get("sources"), turn.api.get("queue"))
    refused: Refused | None = None
    rows: list[Any] = []
    total = 0
    try:
        rows, total = await turn.api.listed("jobs", **wish, _limit=ROWS, _page=page)
    except Refused as error:
        if error.status not in (404, 422):
            raise
        refused = error
    return turn.page(
        "jobs.html",
        place="jobs",
        wish=wish,
        kinds=KINDS,
        options={
            "states": [(state, text(f"jobs.is.{state}")) for state in STATES],
            "kinds": [(kind, text(f"jobs.of.{kind}")) for kind in KINDS],
            "sources": [(source["name"], source["name"]) for source in sources],
        },
        took={job["id"]: took(job) for job in rows},
        queue=queue,
        looks=LOOKS,
        jobs=rows,
        total=total,
        rows=ROWS,
        page_number=page,
        refused=refused,
    )


async def show(turn: Turn) -> Response:
    """`GET /jobs/{id}`"""
    return await _shown(turn)


async def cancel(turn: Turn) -> Response:
    """`POST /jobs/{id}/cancel`"""
    await turn.form()
    try:
        await turn.api.send("POST", "jobs", turn.path["id"], "cancel")
    except Refused as refused:
        if refused.status != 409:
            raise
        return await _shown(turn, refused)
    return turn.moved("jobs", turn.path["id"])


async def _shown(turn: Turn, refused: Refused | None = None) -> Response:
    job, live = await job_with_log(turn, turn.path["id"])
    sources = await turn.api.get("sources") if job["source"] else []
    of = next((source for source in sources if source["name"] == job["source"]), None)
    access = turn.visit.access
    return turn.page(
        "job.html",
        place="jobs",
        job=job,
        live=live,
        looks=LOOKS,
        kinds=KINDS,
        source=of,
        is_over=job["state"] in OVER,
        may_cancel=job["state"] not in OVER and (access.is_admin or (of is not None and access.may_write(of["id"]))),
        result=result_of(job),
        took=took(job),
        refused=refused,
    )


async def job_with_log(turn: Turn, id_: int | str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A job, and the last part of its log as `_live.html` shows it."""
    job, lines = await asyncio.gather(
        turn.api.get("jobs", id_), turn.api.listed("jobs", id_, "logs", tail=True, _limit=LINES)
    )
    texts = [line["text"] for line in lines.rows]
    live = {
        "job": job,
        "text": "".join(f"{text}\n" for text in texts),
        "after": lines.rows[-1]["id"] if lines.rows else 0,
        "left_out": lines.total - len(texts),
        "is_over": job["state"] in OVER,
    }
    return job, live


class Outcome(NamedTuple):
    """Something that came of a job: a `value`, or `items`, of which those are shown that are here, and `more`."""

    label: object
    value: str
    items: Sequence[Mapping[str, Any]]
    more: int


_FIELDS = ("status", "transaction", "package", "version", "tag", "sha", "error", "reason")


def result_of(job: Mapping[str, Any]) -> list[Outcome]:
    """What came of a job, without what is nothing."""
    found = []
    for name, value in (job["result"] or {}).items():
        key = f"jobs.result.{name}"
        label = text(key) if key in all_texts() else name
        if isinstance(value, list) and value:
            items = [each if isinstance(each, dict) else {"said": str(each)} for each in value[:ITEMS]]
            shown = [{field: each.get(field) for field in (*_FIELDS, "said")} for each in items]
            found.append(Outcome(label, "", shown, len(value) - len(items)))
        elif isinstance(value, bool):
            found.append(Outcome(label, text("jobs.yes" if value else "jobs.no"), [], 0))
        elif isinstance(value, str | int) and value != "":
            is_count = isinstance(value, int) and not name.endswith("_transaction")
            found.append(Outcome(label, number(int(value)) if is_count else str(value), [], 0))
    return found


def took(job: Mapping[str, Any]) -> str:
    """How long a job that is over took; empty of others."""
    if not job["started"] or not job["finished"]:
        return ""
    return lasted(datetime.fromisoformat(job["finished"]) - datetime.fromisoformat(job["started"]))


def lasted(span: timedelta) -> str:
    """A span as people read it: 4.2 s, 3 min 12 s, 2 h 5 min."""
    seconds = max(0.0, span.total_seconds())
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


ROUTES = [get("/jobs", show_all), get("/jobs/{id}", show), post("/jobs/{id}/cancel", cancel)]
