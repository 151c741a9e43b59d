"""The client's methods for jobs, and for waiting until they are over."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, cast

from entrepot.client.calls import PAGE_LIMIT, Calls
from entrepot.client.shapes import Job, Line, Page
from entrepot.core.errors import ServerUnreachable

OVER = ("done", "failed", "cancelled")
"""States of a job in which nothing more comes."""


class JobCalls(Calls):
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
