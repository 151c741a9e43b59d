"""The client's methods for build targets and the binary packages that they build."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypedDict, cast

from entrepot.client.calls import Calls, given, part
from entrepot.client.shapes import Job, Page


class BuildTarget(TypedDict):
    """`sources` is None for all that can be built; `fault` why the last run could not do all it should."""

    id: int
    name: str
    distribution: str
    platform: str
    r: str
    r_version: str
    arch: str
    command: str
    repository: str
    sources: list[str] | None
    created: str
    fault: str | None
    job: int | None


class BinaryBuild(TypedDict):
    """One attempt to build a binary package."""

    id: int
    target: str
    source: str
    package: str
    version: str
    platform: str
    status: Literal["built", "failed"]
    exit_code: int | None
    error: str | None
    linking: dict[str, str]
    started: str
    finished: str
    transaction: int | None


class StartedTarget(TypedDict):
    """A build target, and the job that runs it."""

    target: BuildTarget
    job: Job


class TargetCalls(Calls):
    """A part of `Client`."""

    def create_target(
        self,
        distribution: str,
        *,
        r: str | None = None,
        name: str | None = None,
        repository: str | None = None,
        command: str | None = None,
        sources: Sequence[str] | None = None,
    ) -> StartedTarget:
        """Build binary packages for a distribution; what is None is chosen by the server."""
        settings = given(r=r, name=name, repository=repository, command=command)
        body = {"distribution": distribution, **settings, **({"sources": list(sources)} if sources else {})}
        return cast(StartedTarget, self._call("POST", "/build-targets", body=body))

    def list_targets(self) -> list[BuildTarget]:
        return cast(list[BuildTarget], self._call("GET", "/build-targets"))

    def build_target(self, name: str) -> BuildTarget:
        return cast(BuildTarget, self._call("GET", f"/build-targets/{part(name)}"))

    def delete_target(self, name: str) -> None:
        self._call("DELETE", f"/build-targets/{part(name)}")

    def run_target(self, name: str) -> Job:
        return cast(Job, self._call("POST", f"/build-targets/{part(name)}/run", body={}))

    def rerun_target(self, name: str, *, package: str | None = None) -> Job:
        """Run a target, and try what failed (of one package) once more."""
        body = {} if package is None else {"package": package}
        return cast(Job, self._call("POST", f"/build-targets/{part(name)}/rerun", body=body))

    def list_binary_builds(
        self,
        *,
        target: str | None = None,
        source: str | None = None,
        name: str | None = None,
        status: str | None = None,
        limit: int = 100,
        page: int = 1,
    ) -> Page:
        """Attempts to build binary packages, the newest first."""
        wanted = {"target": target, "source": source, "name": name, "status": status}
        return self._page("/binary-builds", limit=limit, page=page, **wanted)

    def binary_build_log(self, id_: int) -> str:
        return str(self._call("GET", f"/binary-builds/{int(id_)}/log")["log"])
