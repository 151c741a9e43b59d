"""Typed client of the JSON API, synchronous, over urllib3: the requests. One method per row of `docs/api.md` is in the
parts, a module for each kind of thing."""

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

from entrepot.client.audit import AuditCalls
from entrepot.client.binaries import BinaryCalls
from entrepot.client.bioconductor import BioconductorCalls
from entrepot.client.bootstrap import BootstrapCalls
from entrepot.client.builders import BuilderCalls
from entrepot.client.calls import PAGE_LIMIT, given
from entrepot.client.credentials import CredentialCalls
from entrepot.client.jobs import JobCalls
from entrepot.client.login import LoginCalls
from entrepot.client.multipart import Multipart
from entrepot.client.repositories import RepositoryCalls
from entrepot.client.setups import SetupCalls
from entrepot.client.shapes import (
    ApiError,
    Page,
)
from entrepot.client.sources import SourceCalls
from entrepot.client.sysreqs import SysreqsCalls
from entrepot.client.targets import TargetCalls
from entrepot.client.tokens import TokenCalls
from entrepot.core.errors import Invalid, ServerUnreachable

log = logging.getLogger(__name__)

_UPLOAD_TIMEOUT = 900.0
_HOW_TO_SET = "set the server's address with --address or ENTREPOT_ADDRESS, and see that the server runs"


class Client(
    RepositoryCalls,
    SourceCalls,
    JobCalls,
    BinaryCalls,
    BioconductorCalls,
    BuilderCalls,
    CredentialCalls,
    SetupCalls,
    SysreqsCalls,
    TargetCalls,
    AuditCalls,
    TokenCalls,
    LoginCalls,
    BootstrapCalls,
):
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

    def status(self) -> dict[str, Any]:
        return cast(dict[str, Any], self._call("GET", "/status"))

    # HTTP

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

    def _form(self, path: str, fields: Mapping[str, str]) -> Any:
        """What a route of OAuth answers to a form; without a token, as the fields say who asks."""
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": None}
        return self._document(self._send("POST", path, body=urlencode(fields).encode(), headers=headers))

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | None] | None = None,
        body: bytes | Iterator[bytes] | None = None,
        headers: Mapping[str, str | None] | None = None,
        timeout: float | None = None,
    ) -> urllib3.BaseHTTPResponse:
        asked = urlencode(given(**(query or {})))
        url = f"{self.address}/__api__{path}" + (f"?{asked}" if asked else "")
        limits = urllib3.Timeout(connect=min(self._timeout, 15.0), read=timeout or self._timeout)
        began = time.monotonic()
        try:
            answer = self._pool.request(
                method,
                url,
                body=body,
                headers=given(**{**self._headers, **(headers or {})}),
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
        if isinstance(said := document.get("error_description"), str):
            raise ApiError(said, code=document["error"], status=answer.status)  # RFC 6749, 5.2
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
