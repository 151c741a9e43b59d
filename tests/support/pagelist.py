"""Each page of the application by name, with what there is to see on it in the showroom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starlette.routing import Match, Route

from tests.support.showroom import Showroom
from tests.support.showstock import (
    BIOC_REPO,
    BUILT,
    CLOSED_REPO,
    CURATED,
    FAMOUS,
    GIT,
    LOCAL,
    OWN,
    PY_FAMOUS,
    PY_REPO,
    R_REPO,
    RETIRED,
    TARGET,
)

UI = "/__ui__"
Path = str | Callable[[Showroom], str]
NO_PAGES = {
    "/__login__/sso": "sends the browser to a provider, which is tried in tests/web/test_sign_in.py",
    "/__login__/callback": "as above",
    "/client": "leads to the home page, from where links of other products were made",
    "/client/": "as above",
}
"""Routes that show no page of their own, and why."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A page, or one state of it: `path` leads to it; `status` is what it is answered with."""

    name: str
    path: Path
    is_signed_in: bool = False
    needs_builds: bool = False
    status: int = 200

    def at(self, room: Showroom) -> str:
        return self.path if isinstance(self.path, str) else self.path(room)


PAGES = (
    Shown("home", "/"),
    Shown("home-found", "/?search=plot"),
    Shown("packages", f"{UI}/repos/{R_REPO}/packages"),
    Shown("packages-found", f"{UI}/repos/{R_REPO}/packages?search=gg&license=MIT&snapshot=2025-05-06"),
    Shown("packages-none", f"{UI}/repos/{R_REPO}/packages?search=ggplto2"),
    Shown("packages-bioconductor", f"{UI}/repos/{BIOC_REPO}/packages"),
    Shown("packages-python", f"{UI}/repos/{PY_REPO}/packages"),
    Shown("login", "/__login__"),
    Shown("device", "/__device__", is_signed_in=True),
    Shown("setup", f"{UI}/repos/{R_REPO}/setup"),
    Shown("setup-date", f"{UI}/repos/{R_REPO}/setup?snapshot=2025-05-06&environment=renv"),
    Shown("setup-bioconductor", f"{UI}/repos/{BIOC_REPO}/setup"),
    Shown("setup-python", f"{UI}/repos/{PY_REPO}/setup"),
    Shown("calendar", f"{UI}/repos/{R_REPO}/calendar"),
    Shown("compare", f"{UI}/repos/{R_REPO}/compare"),
    Shown("compared", f"{UI}/repos/{R_REPO}/compare?from=2025-05-01&to=latest"),
    Shown("check", f"{UI}/repos/{R_REPO}/check"),
    Shown("activity", f"{UI}/repos/{R_REPO}/activity"),
    Shown("activity-source", f"{UI}/sources/{GIT}/activity"),
    Shown("transaction", lambda room: f"{UI}/transactions/{room.own_transaction}"),
    Shown("transaction-failed", lambda room: f"{UI}/transactions/{room.failed_build}", needs_builds=True),
    Shown("package", f"{UI}/repos/{R_REPO}/packages/{FAMOUS}"),
    Shown("package-old", f"{UI}/repos/{R_REPO}/packages/{FAMOUS}?version=3.5.1&client=renv&distribution=bookworm"),
    Shown("package-own", f"{UI}/repos/{R_REPO}/packages/{OWN}?distribution=jammy"),
    Shown("package-python", f"{UI}/repos/{PY_REPO}/packages/{PY_FAMOUS}"),
    Shown("package-bioconductor", f"{UI}/repos/{BIOC_REPO}/packages/Biobase"),
    Shown("package-versions", f"{UI}/repos/{R_REPO}/packages/{FAMOUS}/versions"),
    Shown("package-compared", f"{UI}/repos/{R_REPO}/packages/{FAMOUS}/versions?from=3.4.0&to=3.5.2"),
    Shown("package-history", f"{UI}/repos/{R_REPO}/packages/{FAMOUS}/history"),
    Shown("package-history-python", f"{UI}/repos/{PY_REPO}/packages/{PY_FAMOUS}/history"),
    Shown("package-retired", f"{UI}/repos/{R_REPO}/packages/{RETIRED}/history"),
    Shown("package-dependencies", f"{UI}/repos/{R_REPO}/packages/{FAMOUS}/dependencies"),
    Shown("package-dependents", f"{UI}/repos/{R_REPO}/packages/rlang/dependents"),
    Shown("package-missing", f"{UI}/repos/{R_REPO}/packages/{FAMOUS[:-1]}", status=404),
    Shown("version-missing", f"{UI}/repos/{R_REPO}/packages/{FAMOUS}?version=9.9", status=404),
    Shown("usage", f"{UI}/repos/{R_REPO}/usage"),
    Shown("usage-year", f"{UI}/repos/{R_REPO}/usage?days=365"),
    Shown("usage-python", f"{UI}/repos/{PY_REPO}/usage?days=7"),
    Shown("sources", f"{UI}/sources"),
    Shown("source", f"{UI}/sources/cran", is_signed_in=True),
    Shown("source-local", f"{UI}/sources/{LOCAL}"),
    Shown("proposals", f"{UI}/sources/{CURATED}/proposals"),
    Shown("proposal", lambda room: f"{UI}/sources/{CURATED}/proposals/{room.proposal}", is_signed_in=True),
    Shown("proposal-leaving", lambda room: f"{UI}/sources/{CURATED}/proposals/{room.proposal}?show=leaving"),
    Shown("proposal-missing", lambda room: f"{UI}/sources/{CURATED}/proposals/{room.proposal}?show=missing"),
    Shown("builds", f"{UI}/builds", is_signed_in=True, needs_builds=True),
    Shown("builder", f"{UI}/sources/{GIT}/builders/{BUILT}", is_signed_in=True, needs_builds=True),
    Shown("target", f"{UI}/builds/targets/{TARGET}", is_signed_in=True, needs_builds=True),
    Shown(
        "binary",
        lambda room: f"{UI}/builds/binaries/{room.binary_builds['teamslow']}",
        is_signed_in=True,
        needs_builds=True,
    ),
    Shown("jobs", f"{UI}/jobs"),
    Shown("job", lambda room: f"{UI}/jobs/{room.job}"),
    Shown("job-running", lambda room: f"{UI}/jobs/{room.running_job}", is_signed_in=True),
    Shown("status", f"{UI}/status"),
    Shown("admin", f"{UI}/admin", is_signed_in=True),
    Shown("admin-audit", f"{UI}/admin/audit?verify=true", is_signed_in=True),
    Shown("admin-signed-out", f"{UI}/admin", status=401),
    Shown("admin-repositories", f"{UI}/admin/repositories", is_signed_in=True),
    Shown("admin-repository", f"{UI}/admin/repositories/{R_REPO}", is_signed_in=True),
    Shown(
        "admin-repository-wish",
        f"{UI}/admin/repositories/{R_REPO}?source=cran&source={LOCAL}&source={CURATED}",
        is_signed_in=True,
    ),
    Shown(
        "admin-order",
        f"{UI}/admin/repositories/{R_REPO}?source=cran&source={GIT}&source={LOCAL}",
        is_signed_in=True,
    ),
    Shown("admin-repository-settings", f"{UI}/admin/repositories/{R_REPO}/settings", is_signed_in=True),
    Shown("admin-repository-delete", f"{UI}/admin/repositories/validated/delete", is_signed_in=True),
    Shown("admin-sources", f"{UI}/admin/sources", is_signed_in=True),
    Shown("admin-source", f"{UI}/admin/sources/{LOCAL}", is_signed_in=True),
    Shown("admin-source-delete", f"{UI}/admin/sources/{LOCAL}/delete", is_signed_in=True),
    Shown("admin-tokens", f"{UI}/admin/tokens", is_signed_in=True),
    Shown("admin-token-new", f"{UI}/admin/tokens/new", is_signed_in=True),
    Shown("admin-token", lambda room: f"{UI}/admin/tokens/{room.guids['ci']}", is_signed_in=True),
    Shown("admin-token-revoke", lambda room: f"{UI}/admin/tokens/{room.guids['ci']}/revoke", is_signed_in=True),
    Shown("not-found", f"{UI}/repos/teem/packages", is_signed_in=True, status=404),
    Shown("not-allowed", f"{UI}/repos/{CLOSED_REPO}/packages", status=401),
)


def route_of(path: str, routes: list[Route]) -> str:
    """The route that a path leads to; empty if there is none."""
    scope = {"type": "http", "path": path.partition("?")[0], "method": "GET", "headers": []}
    return next((route.path for route in routes if route.matches(scope)[0] is Match.FULL), "")
