"""What background work and those who carry it out say to each other."""

from __future__ import annotations

from collections.abc import Callable

Report = Callable[[str, int, int], None]
"""Told about progress: the step, how much of it is done and its total (0 if unknown).

It may be called anywhere and often, also within a write transaction: it never touches the database. It raises
`Cancelled` when the work shall end; the caller leaves everything as it was, or at a point from which it can go on.
"""

Log = Callable[[str], None]
"""Takes a line for the job's log; it may be called wherever `Report` may."""


def no_report(step: str, done: int, total: int) -> None:
    """For work that nobody watches."""


def no_log(line: str) -> None:
    """For work without a log."""
