"""The client's methods for repositories and what they show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from entrepot.client.calls import LONG_TIMEOUT, Calls, given, part
from entrepot.client.shapes import Checking, Difference, Page, Repository, Source


class RepositoryCalls(Calls):
    def list_repositories(self) -> list[Repository]:
        return cast(list[Repository], self._all("/repos"))

    def create_repository(
        self,
        name: str,
        *,
        type: str = "r",
        description: str = "",
        authenticated: bool | None = None,
        succeed_on_existing: bool = False,
    ) -> Repository:
        """`authenticated`: whether reading it needs a token; None: as the server's settings say."""
        body = {"name": name, "type": type, "description": description, "succeed_on_existing": succeed_on_existing}
        return cast(Repository, self._call("POST", "/repos", body={**body, **given(authenticated=authenticated)}))

    def repository(self, repo: str) -> Repository:
        return cast(Repository, self._call("GET", f"/repos/{part(repo)}"))

    def edit_repository(
        self,
        repo: str,
        *,
        name: str | None = None,
        description: str | None = None,
        authenticated: bool | None = None,
    ) -> Repository:
        """Change what is not None."""
        body = {**given(name=name, description=description), **given(authenticated=authenticated)}
        return cast(Repository, self._call("PATCH", f"/repos/{part(repo)}", body=body))

    def delete_repository(self, repo: str) -> None:
        self._call("DELETE", f"/repos/{part(repo)}")

    def repository_sources(self, repo: str) -> list[Source]:
        return cast(list[Source], self._all(f"/repos/{part(repo)}/sources"))

    def subscribe(
        self, repo: str, source: str, *, version: str | None = None, succeed_on_existing: bool = False
    ) -> Repository:
        """`version` is which one of Bioconductor, where the source has all of them."""
        body = {"source": source, "succeed_on_existing": succeed_on_existing, **given(version=version)}
        return cast(Repository, self._call("POST", f"/repos/{part(repo)}/sources", body=body))

    def reorder(self, repo: str, sources: Sequence[str]) -> Repository:
        return cast(Repository, self._call("PUT", f"/repos/{part(repo)}/sources", body={"sources": list(sources)}))

    def unsubscribe(self, repo: str, source: str) -> Repository:
        return cast(Repository, self._call("DELETE", f"/repos/{part(repo)}/sources/{part(source)}"))

    def repository_packages(self, repo: str, *, limit: int = 100, page: int = 1, **filters: str | None) -> Page:
        """One page of package summaries; filters are `name`, `name_like`, `snapshot` and `bioc_version`."""
        return self._page(f"/repos/{part(repo)}/packages", limit=limit, page=page, **filters)

    def repository_package(self, repo: str, name: str, *, version: str | None = None) -> dict[str, Any]:
        path = f"/repos/{part(repo)}/packages/{part(name)}"
        return cast(dict[str, Any], self._call("GET", path, query={"version": version}))

    def repository_transactions(self, repo: str, *, limit: int = 100, page: int = 1) -> Page:
        return self._page(f"/repos/{part(repo)}/transactions", limit=limit, page=page)

    def transaction_dates(self, repo: str) -> list[dict[str, Any]]:
        return self._all(f"/repos/{part(repo)}/transaction-dates")

    def first_transaction(self, repo: str) -> Any:
        return self._call("GET", f"/repos/{part(repo)}/first-transaction")

    def repository_difference(self, repo: str, *, start: str, end: str = "latest") -> Difference:
        """What differs between two snapshots."""
        query = {"from": start, "to": end}
        return cast(Difference, self._call("GET", f"/repos/{part(repo)}/diff", query=query))

    def check_list(self, repo: str, text: str, *, constraints: str | None = None, snapshot: str = "latest") -> Checking:
        """Which entries of a list of wanted packages, the text of a file, the repository can serve."""
        body = {"list": text, "constraints": constraints, "snapshot": snapshot}
        return cast(Checking, self._call("POST", f"/repos/{part(repo)}/check", body=body, timeout=LONG_TIMEOUT))
