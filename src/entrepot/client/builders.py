"""The client's methods for Git builders."""

from __future__ import annotations

from typing import Literal, TypedDict, cast

from entrepot.client.calls import Calls, given, part
from entrepot.client.shapes import Job, Page


class Builder(TypedDict):
    """`name` is None until it was read in the package's DESCRIPTION; `fault` is why the last poll failed."""

    id: int
    name: str | None
    source: str
    url: str
    build_trigger: Literal["commits", "tags"]
    branch: str | None
    sub_dir: str
    credential: str | None
    clone_depth: int
    recurse_submodules: int
    build_vignettes: bool
    created: str
    fault: str | None
    job: int | None


class Build(TypedDict):
    package: str
    transaction: int | None
    sha: str | None
    tag: str | None
    status: Literal["waiting", "building", "succeeded", "failed"]
    time: str
    error: str | None
    attempts: int


class Started(TypedDict):
    """A builder, and the job that looks at its endpoint."""

    builder: Builder
    job: Job


class BuilderCalls(Calls):
    """A part of `Client`."""

    def create_builder(self, source: str, *, url: str, **settings: object) -> Started:
        """Watch a Git endpoint; `settings` as in `docs/api.md`, what is None left out."""
        body = {"url": url, **given(**settings)}
        return cast(Started, self._call("POST", _path(source), body=body))

    def edit_builder(self, source: str, name: str, **settings: object) -> Started:
        return cast(Started, self._call("PATCH", _path(source, name), body=given(**settings)))

    def delete_builder(self, source: str, name: str) -> None:
        self._call("DELETE", _path(source, name))

    def list_builders(self, source: str | None = None) -> list[Builder]:
        path = "/git-builders" if source is None else _path(source)
        return cast(list[Builder], self._call("GET", path))

    def run_builder(self, source: str, name: str) -> Job:
        return cast(Job, self._call("POST", f"{_path(source, name)}/run", body={}))

    def rerun_builder(self, source: str, name: str, *, tag: str | None = None, commit_sha: str | None = None) -> Job:
        body = given(tag=tag, commit_sha=commit_sha)
        return cast(Job, self._call("POST", f"{_path(source, name)}/rerun", body=body))

    def list_builds(
        self, source: str, name: str | None = None, *, newest: bool = False, limit: int = 100, page: int = 1
    ) -> Page:
        """Builds of a source's packages, newest first; `newest`: of each the last alone."""
        path = f"/sources/{part(source)}/git-builds"
        return self._page(path, limit=limit, page=page, name=name, newest="true" if newest else None)

    def build_log(self, transaction: int) -> str:
        """The log of the attempt that a transaction records."""
        return str(self._call("GET", f"/transactions/{int(transaction)}/log")["log"])


def _path(source: str, name: str | None = None) -> str:
    path = f"/sources/{part(source)}/git-builders"
    return path if name is None else f"{path}/{part(name)}"
