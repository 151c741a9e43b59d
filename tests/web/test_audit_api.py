"""What is written down of requests, and the audit log in the API."""

from __future__ import annotations

from tests.support.server import Live


def test_try(live: Live) -> None:
    """x"""
    print(live.api("POST", "/repos", {"name": "team", "type": "r"}))
    print(live.api("POST", "/repos", {"name": "team", "type": "r"}))
    print(live.api("POST", "/repos", {"name": "team", "type": "r"}, token=""))
    print(live.api("DELETE", "/repos/nope"))
    live.app.audit.flush()
    status, rows = live.api("GET", "/audit")
    for row in rows: print(row)
    print(live.api("GET", "/audit/verify"))
    raise SystemExit
