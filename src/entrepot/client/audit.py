"""The client's methods for the audit log."""

from __future__ import annotations

from typing import TypedDict, cast

from entrepot.client.calls import LONG_TIMEOUT, Calls
from entrepot.client.shapes import Page


class ActRow(TypedDict):
    """An act; `outcome` is done, refused, failed, or begun where none is known."""

    id: int
    time: str
    actor: str
    token: str | None
    address: str
    action: str
    subject: str
    outcome: str
    status: int
    detail: str
    began: int | None
    previous: str
    hash: str


class BreakRow(TypedDict):
    """The first row that doesn't hold."""

    id: int
    reason: str


class Verification(TypedDict):
    """Whether the audit log holds, up to which row, and that row's hash."""

    intact: bool
    rows: int
    id: int
    hash: str
    broken: BreakRow | None


class AuditCalls(Calls):
    def audit(self, *, limit: int = 100, page: int = 1, **filters: str | None) -> Page:
        """One page of acts, newest first; filters are `since`, `until` (ISO 8601), `actor`, `action`, `outcome`."""
        return self._page("/audit", limit=limit, page=page, **filters)

    def verify_audit(self, *, known_id: int | None = None, known_hash: str | None = None) -> Verification:
        """Walk the whole log; `known_id` and `known_hash` are of a row that was noted elsewhere."""
        known = {"known_id": None if known_id is None else str(known_id), "known_hash": known_hash}
        return cast(Verification, self._call("GET", "/audit/verify", query=known, timeout=LONG_TIMEOUT))
