"""The client's methods for sources, their packages and proposals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from entrepot.client.calls import LONG_TIMEOUT, Calls, given, part
from entrepot.client.shapes import Completeness, Difference, Job, Outcome, Page, Proposal, Source


class SourceCalls(Calls):
    def list_sources(self, *, type: str | None = None) -> list[Source]:
        return cast(list[Source], self._all("/sources", type=type))

    def create_source(
        self,
        name: str,
        *,
        type: str = "local",
        snapshot: str | None = None,
        include: Sequence[str] | None = None,
        archived: bool = True,
        version: str | None = None,
        succeed_on_existing: bool = False,
    ) -> Source:
        """`snapshot`, `include` and `archived` are for sources that are drawn from a snapshot of CRAN, `version` for
        one of Bioconductor, which is named after it if `name` is empty."""
        body: dict[str, object] = {"name": name, "type": type, "succeed_on_existing": succeed_on_existing}
        body |= {} if archived else {"archived": False}
        body |= {} if snapshot is None else {"snapshot": snapshot}
        body |= {} if include is None else {"include": list(include)}
        body |= {} if version is None else {"version": version}
        return cast(Source, self._call("POST", "/sources", body=body, timeout=LONG_TIMEOUT))

    def source(self, source: str) -> Source:
        return cast(Source, self._call("GET", f"/sources/{part(source)}"))

    def edit_source(self, source: str, *, name: str) -> Source:
        return cast(Source, self._call("PATCH", f"/sources/{part(source)}", body={"name": name}))

    def delete_source(self, source: str) -> None:
        self._call("DELETE", f"/sources/{part(source)}")

    def source_packages(self, source: str, *, limit: int = 100, page: int = 1, **filters: str | None) -> Page:
        """One page of package summaries; filters are `name`, `name_like` and `snapshot`."""
        return self._page(f"/sources/{part(source)}/packages", limit=limit, page=page, **filters)

    def source_difference(self, source: str, *, start: str, end: str = "latest") -> Difference:
        """What differs between two snapshots."""
        query = {"from": start, "to": end}
        return cast(Difference, self._call("GET", f"/sources/{part(source)}/diff", query=query))

    def source_package(self, source: str, name: str, *, version: str | None = None) -> dict[str, Any]:
        path = f"/sources/{part(source)}/packages/{part(name)}"
        return cast(dict[str, Any], self._call("GET", path, query={"version": version}))

    def add_packages(
        self,
        source: str,
        files: Sequence[Path],
        *,
        replace: bool = False,
        comment: str | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Outcome:
        """Send `files` from disk as one request; `on_progress(sent, total)` hears of the bytes.

        Raises:
            OSError: a file can't be read.
        """
        fields = given(replace="true" if replace else None, comment=comment)
        return cast(Outcome, self._upload(f"/sources/{part(source)}/packages", fields, files, on_progress))

    def propose(self, source: str, **wish: object) -> Proposal:
        """What a change to a curated or pinned source would bring; `wish` as in `docs/api.md`, what is None left out.

        With `commit=True` it is applied as well.
        """
        path = f"/sources/{part(source)}/proposals"
        return cast(
            Proposal,
            self._call(
                "POST",
                path,
                body=given(**wish),
                timeout=LONG_TIMEOUT,
            ),
        )

    def list_proposals(self, source: str, *, limit: int = 100, page: int = 1) -> Page:
        return self._page(f"/sources/{part(source)}/proposals", limit=limit, page=page)

    def proposal(self, source: str, id: int) -> Proposal:
        return cast(Proposal, self._call("GET", f"/sources/{part(source)}/proposals/{int(id)}"))

    def commit_proposal(
        self, source: str, id: int, *, snapshot: str | None = None, comment: str | None = None
    ) -> Proposal:
        path = f"/sources/{part(source)}/proposals/{int(id)}/commit"
        body = given(snapshot=snapshot, comment=comment)
        return cast(Proposal, self._call("POST", path, body=body, timeout=LONG_TIMEOUT))

    def archive_package(self, source: str, name: str, *, comment: str | None = None) -> Outcome:
        path = f"/sources/{part(source)}/packages/{part(name)}/archive"
        return cast(Outcome, self._call("POST", path, body=given(comment=comment)))

    def remove_package(self, source: str, name: str, *, scope: str, comment: str | None = None) -> Outcome:
        path = f"/sources/{part(source)}/packages/{part(name)}/remove"
        return cast(Outcome, self._call("POST", path, body=given(scope=scope, comment=comment)))

    def yank_package(
        self, source: str, name: str, *, scope: str, reason: str | None = None, comment: str | None = None
    ) -> Outcome:
        """`scope` is a version or the name of a file."""
        path = f"/sources/{part(source)}/packages/{part(name)}/yank"
        return cast(Outcome, self._call("POST", path, body=given(scope=scope, reason=reason, comment=comment)))

    def unyank_package(self, source: str, name: str, *, scope: str, comment: str | None = None) -> Outcome:
        path = f"/sources/{part(source)}/packages/{part(name)}/unyank"
        return cast(Outcome, self._call("POST", path, body=given(scope=scope, comment=comment)))

    def source_transactions(self, source: str, *, limit: int = 100, page: int = 1) -> Page:
        return self._page(f"/sources/{part(source)}/transactions", limit=limit, page=page)

    def sync(
        self, source: str, *, force: bool = False, history: str | None = None, versions: Sequence[str] = ()
    ) -> Job:
        """Bring a mirror up to date; `history` (full or none) is for its first sync alone, `versions` of Bioconductor
        for these alone."""
        body: dict[str, object] = {"force": force, **given(history=history)}
        body |= {"versions": list(versions)} if versions else {}
        return cast(Job, self._call("POST", f"/sources/{part(source)}/sync", body=body))

    def describe(self, source: str, *, start: str | None = None, end: str | None = None) -> Job:
        """Read the dependencies of archived versions that were current from one day to the other (YYYY-MM-DD)."""
        days = given(**{"from": start, "to": end})
        return cast(Job, self._call("POST", f"/sources/{part(source)}/describe", body=days))

    def completeness(self, source: str, *, start: str | None = None, end: str | None = None) -> Completeness:
        """How many of these versions there are, and how many lack their dependencies."""
        days = {"from": start, "to": end}
        return cast(Completeness, self._call("GET", f"/sources/{part(source)}/describe", query=days))
