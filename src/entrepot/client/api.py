"""Typed client of the JSON API: one method per row of `docs/api.md`, synchronous, over urllib3."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, cast
from urllib.parse import urlencode

import urllib3
from urllib3.exceptions import HTTPError, LocationParseError, NameResolutionError, SSLError, TimeoutError

from entrepot.client.binaries import BinaryCalls
from entrepot.client.bioconductor import BioconductorCalls
from entrepot.client.builders import BuilderCalls
from entrepot.client.calls import part
from entrepot.client.credentials import CredentialCalls
from entrepot.client.multipart import Multipart
from entrepot.client.setups import SetupCalls
from entrepot.client.shapes import (
    ApiError,
    Checking,
    Completeness,
    Difference,
    Job,
    Line,
    Outcome,
    Page,
    Proposal,
    Repository,
    Source,
)
from entrepot.client.sysreqs import SysreqsCalls
from entrepot.client.targets import TargetCalls
from entrepot.core.errors import Invalid, ServerUnreachable

log = logging.getLogger(__name__)

PAGE_LIMIT = 1000
"""The most rows that the server sends in one answer."""
OVER = ("done", "failed", "cancelled")
"""States of a job in which nothing more comes."""
_UPLOAD_TIMEOUT = 900.0
_LONG_TIMEOUT = 900.0
"""Seconds for what may have to ask an upstream a thousand questions first."""
_HOW_TO_SET = "set the server's address with --address or ENTREPOT_ADDRESS, and see that the server runs"


class Client(BinaryCalls, BioconductorCalls, BuilderCalls, CredentialCalls, SetupCalls, SysreqsCalls, TargetCalls):
    """Speaks to one server.

    Args:
        address: `http[s]://host[:port][/prefix]`.
        token: sent as a bearer token where it is given.
        insecure: does not check the server's certificate.
        timeout: seconds without a byte from the server after which a request fails (an upload may take longer).

    Every method raises `ApiError` for an error that the server answers and `ServerUnreachable` for none.
    """

    def __init__(
        self, address: str, *, token: str | None = None, insecure: bool = False, timeout: float = 60.0
    ) -> None:
        self.address = _checked_address(address)
        self._headers = {"Accept": "application/json", "User-Agent": "entrepot"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._timeout = timeout
        self._pool = urllib3.PoolManager(cert_reqs="CERT_NONE" if insecure else "CERT_REQUIRED")
        if insecure:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    # Repositories

    def status(self) -> dict[str, Any]:
        return cast(dict[str, Any], self._call("GET", "/status"))

    def list_repositories(self) -> list[Repository]:
        return cast(list[Repository], self._all("/repos"))

    def create_repository(
        self, name: str, *, type: str = "r", description: str = "", succeed_on_existing: bool = False
    ) -> Repository:
        body = {"name": name, "type": type, "description": description, "succeed_on_existing": succeed_on_existing}
        return cast(Repository, self._call("POST", "/repos", body=body))

    def repository(self, repo: str) -> Repository:
        return cast(Repository, self._call("GET", f"/repos/{part(repo)}"))

    def edit_repository(self, repo: str, *, name: str | None = None, description: str | None = None) -> Repository:
        """Change what is not None."""
        body = _given(name=name, description=description)
        return cast(Repository, self._call("PATCH", f"/repos/{part(repo)}", body=body))

    def delete_repository(self, repo: str) -> None:
        self._call("DELETE", f"/repos/{part(repo)}")

    def repository_sources(self, repo: str) -> list[Source]:
        return cast(list[Source], self._all(f"/repos/{part(repo)}/sources"))

    def subscribe(
        self, repo: str, source: str, *, version: str | None = None, succeed_on_existing: bool = False
    ) -> Repository:
        """`version` is which one of Bioconductor, where the source has all of them."""
        body = {"source": source, "succeed_on_existing": succeed_on_existing, **_given(version=version)}
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
        return cast(Checking, self._call("POST", f"/repos/{part(repo)}/check", body=body, timeout=_LONG_TIMEOUT))

    # Sources

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
        return cast(Source, self._call("POST", "/sources", body=body, timeout=_LONG_TIMEOUT))

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
        fields = _given(replace="true" if replace else None, comment=comment)
        return cast(Outcome, self._upload(f"/sources/{part(source)}/packages", fields, files, on_progress))

    def _upload(
        self,
        path: str,
        fields: Mapping[str, str],
        files: Sequence[Path],
        on_progress: Callable[[int, int], None] | None,
    ) -> Any:
        body = Multipart(fields, files)
        headers = {"Content-Type": body.content_type, "Content-Length": str(body.length)}
        timeout = max(self._timeout, _UPLOAD_TIMEOUT)
        answer = self._send("POST", path, body=body.stream(on_progress), headers=headers, timeout=timeout)
        return self._document(answer)

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
                body={key: value for key, value in wish.items() if value is not None},
                timeout=_LONG_TIMEOUT,
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
        body = _given(snapshot=snapshot, comment=comment)
        return cast(Proposal, self._call("POST", path, body=body, timeout=_LONG_TIMEOUT))

    def archive_package(self, source: str, name: str, *, comment: str | None = None) -> Outcome:
        path = f"/sources/{part(source)}/packages/{part(name)}/archive"
        return cast(Outcome, self._call("POST", path, body=_given(comment=comment)))

    def remove_package(self, source: str, name: str, *, scope: str, comment: str | None = None) -> Outcome:
        path = f"/sources/{part(source)}/packages/{part(name)}/remove"
        return cast(Outcome, self._call("POST", path, body=_given(scope=scope, comment=comment)))

    def yank_package(
        self, source: str, name: str, *, scope: str, reason: str | None = None, comment: str | None = None
    ) -> Outcome:
        """`scope` is a version or the name of a file."""
        path = f"/sources/{part(source)}/packages/{part(name)}/yank"
        return cast(Outcome, self._call("POST", path, body=_given(scope=scope, reason=reason, comment=comment)))

    def unyank_package(self, source: str, name: str, *, scope: str, comment: str | None = None) -> Outcome:
        path = f"/sources/{part(source)}/packages/{part(name)}/unyank"
        return cast(Outcome, self._call("POST", path, body=_given(scope=scope, comment=comment)))

    def source_transactions(self, source: str, *, limit: int = 100, page: int = 1) -> Page:
        return self._page(f"/sources/{part(source)}/transactions", limit=limit, page=page)

    def sync(
        self, source: str, *, force: bool = False, history: str | None = None, versions: Sequence[str] = ()
    ) -> Job:
        """Bring a mirror up to date; `history` (full or none) is for its first sync alone, `versions` of Bioconductor
        for these alone."""
        body: dict[str, object] = {"force": force, **_given(history=history)}
        body |= {"versions": list(versions)} if versions else {}
        return cast(Job, self._call("POST", f"/sources/{part(source)}/sync", body=body))

    def describe(self, source: str, *, start: str | None = None, end: str | None = None) -> Job:
        """Read the dependencies of archived versions that were current from one day to the other (YYYY-MM-DD)."""
        days = _given(**{"from": start, "to": end})
        return cast(Job, self._call("POST", f"/sources/{part(source)}/describe", body=days))

    def completeness(self, source: str, *, start: str | None = None, end: str | None = None) -> Completeness:
        """How many of these versions there are, and how many lack their dependencies."""
        days = {"from": start, "to": end}
        return cast(Completeness, self._call("GET", f"/sources/{part(source)}/describe", query=days))

    # Transactions and jobs

    def transaction(self, id: int) -> dict[str, Any]:
        return cast(dict[str, Any], self._call("GET", f"/transactions/{int(id)}"))

    def list_jobs(self, *, limit: int = 100, page: int = 1, **filters: str | None) -> Page:
        """One page of jobs, newest first; filters are `state`, `kind` and `source`."""
        return self._page("/jobs", limit=limit, page=page, **filters)

    def job(self, id: int) -> Job:
        return cast(Job, self._call("GET", f"/jobs/{int(id)}"))

    def job_lines(self, id: int, *, after: int = 0) -> Iterator[Line]:
        """The lines of a job's log after the line `after`, as far as there are any by now."""
        while True:
            query = {"after": str(after), "_limit": str(PAGE_LIMIT)}
            lines = cast(list[Line], self._call("GET", f"/jobs/{int(id)}/logs", query=query))
            yield from lines
            if len(lines) < PAGE_LIMIT:
                return
            after = lines[-1]["id"]

    def cancel_job(self, id: int) -> Job:
        """End a job that waits; ask for the end of one that runs."""
        return cast(Job, self._call("POST", f"/jobs/{int(id)}/cancel", body={}))

    def wait_for_job(self, id: int, on_progress: Callable[[Job], None] | None = None, *, patience: int = 5) -> Job:
        """The job once it is over, asked for every 0.2 to 1 s; `on_progress` hears of each answer.

        A server that restarts meanwhile is asked again, up to `patience` times in a row.
        """
        pause, missed = 0.2, 0
        while True:
            try:
                job = self.job(id)
            except ServerUnreachable:
                missed += 1
                if missed > patience:
                    raise
            else:
                missed = 0
                if on_progress:
                    on_progress(job)
                if job["state"] in OVER:
                    return job
            time.sleep(pause)
            pause = min(pause * 1.25, 1.0)

    # HTTP

    def _all(self, path: str, **query: str | None) -> list[Any]:
        rows: list[Any] = []
        for page in range(1, 1_000_000):
            found = self._page(path, limit=PAGE_LIMIT, page=page, **query)
            rows += found.rows
            if not found.rows or len(rows) >= found.total:
                break
        return rows

    def _page(self, path: str, *, limit: int, page: int, **query: str | None) -> Page:
        answer = self._send("GET", path, query={**query, "_limit": str(limit), "_page": str(page)})
        rows = self._document(answer)
        if not isinstance(rows, list):
            raise self._not_ours(answer)
        total = answer.headers.get("X-Total-Count", "")
        return Page(rows, int(total) if total.isdecimal() else len(rows))

    def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | None] | None = None,
        body: object = None,
        timeout: float | None = None,
    ) -> Any:
        if body is None:
            return self._document(self._send(method, path, query=query))
        sent = json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        return self._document(self._send(method, path, query=query, body=sent, headers=headers, timeout=timeout))

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | None] | None = None,
        body: bytes | Iterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> urllib3.BaseHTTPResponse:
        asked = urlencode(_given(**(query or {})))
        url = f"{self.address}/__api__{path}" + (f"?{asked}" if asked else "")
        limits = urllib3.Timeout(connect=min(self._timeout, 15.0), read=timeout or self._timeout)
        began = time.monotonic()
        try:
            answer = self._pool.request(
                method,
                url,
                body=body,
                headers={**self._headers, **(headers or {})},
                timeout=limits,
                retries=False,  # a write that was cut off may have been done
                redirect=False,  # the token is for this server only
            )
        except HTTPError as error:
            raise self._unreachable(error) from error
        log.debug("%s %s: %d in %.0f ms", method, url, answer.status, (time.monotonic() - began) * 1000)
        return answer

    def _document(self, answer: urllib3.BaseHTTPResponse) -> Any:
        """The JSON value of an answer, None for one without a body; raises the error that it tells."""
        if answer.status == 204:
            return None
        try:
            document = json.loads(answer.data)
        except ValueError:
            raise self._not_ours(answer) from None
        if 200 <= answer.status < 300:
            return document
        if not isinstance(document, dict) or not isinstance(document.get("error"), str):
            raise self._not_ours(answer)
        raise ApiError(
            document["error"],
            code=str(document.get("code") or "error"),
            status=answer.status,
            hint=document.get("hint"),
            payload=document.get("payload"),
        )

    def _not_ours(self, answer: urllib3.BaseHTTPResponse) -> ServerUnreachable:
        """The error for an answer that is not in the words of our API."""
        said = f"{answer.status} {answer.reason or ''}".strip()
        hint = "is this the address of a package manager, with its path prefix if it has one?"
        if 300 <= answer.status < 400:
            hint = f"it sends callers to {answer.headers.get('Location')}; use the address that it means"
        elif answer.status == 413:
            hint = "a proxy in front of the server limits the size of an upload"
        elif answer.status >= 500:
            hint = "a proxy in front of the server can't reach it, or the server is in trouble; see its log"
        return ServerUnreachable(
            f"{self.address} answers ({said}), but not with the package manager's API",
            hint=hint,
            address=self.address,
            status=answer.status,
        )

    def _unreachable(self, error: HTTPError) -> ServerUnreachable:
        hint = _HOW_TO_SET
        if isinstance(error, SSLError):
            hint = "check the certificate; --insecure-ssl-skip-verify goes on without it"
        return ServerUnreachable(f"can't reach {self.address}: {_reason(error)}", hint=hint, address=self.address)


def _given(**fields: str | None) -> dict[str, str]:
    """The fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def _checked_address(address: str) -> str:
    hint = "an address looks like https://packages.example.org or http://localhost:4242/prefix"
    try:
        url = urllib3.util.parse_url(address.strip())
    except LocationParseError:
        raise Invalid(f"'{address}' is not an address", hint=hint) from None
    if url.scheme not in ("http", "https") or not url.host or url.query or url.fragment:
        raise Invalid(f"'{address}' is not an address", hint=hint)
    if url.auth:
        raise Invalid("the address holds a user name or a password", hint="give the token with --token instead")
    return url.url.rstrip("/")


def _reason(error: HTTPError) -> str:
    """Why there was no answer, in a few words."""
    if isinstance(error, NameResolutionError):
        return "its name is not known"
    causes = (error, error.__cause__, error.__context__, *error.args)
    for cause in causes:
        if isinstance(cause, OSError) and cause.strerror and not isinstance(error, SSLError):
            return cause.strerror.lower()
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    return str(error.args[-1] if error.args else error)
