"""A site with a git source in the repository `team`, and what is asked of it over the API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from entrepot.settings import Settings
from tests.support.server import Clock, Live, eventually, installed, running

OVER = ("done", "failed", "cancelled")


@contextmanager
def team(settings: Settings, clock: Clock, *, source: str, repo: str) -> Iterator[Live]:
    """An installation that takes file:// URLs; the types of its source `git` and of its repository are given."""
    settings = settings.model_copy(update={"git": settings.git.model_copy(update={"allow_file": True})})
    with installed(settings, clock) as app, running(app) as site:
        assert site.api("POST", "/sources", {"name": "git", "type": source})[0] == 201
        assert site.api("POST", "/repos", {"name": "team", "type": repo})[0] == 201
        assert site.api("POST", "/repos/team/sources", {"source": "git"})[0] == 200
        yield site


def finished(live: Live, job: dict[str, Any]) -> dict[str, Any]:
    """The result of a job that was done."""
    over = eventually(
        lambda: live.api("GET", f"/jobs/{job['id']}")[1], lambda found: found["state"] in OVER, seconds=90
    )
    assert over["state"] == "done", over["error"]
    return dict(over["result"])


def build(live: Live, **settings: Any) -> list[dict[str, Any]]:
    """The builds of the first run of a new builder."""
    status, told = live.api("POST", "/sources/git/git-builders", settings)
    assert status == 201, told
    return list(finished(live, told["job"])["builds"])


def run(live: Live, name: str = "demo") -> list[dict[str, Any]]:
    """The builds of a run that is asked for."""
    return list(finished(live, live.api("POST", f"/sources/git/git-builders/{name}/run", {})[1])["builds"])
