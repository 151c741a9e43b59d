"""Progress on standard error: a bar on a terminal, plain lines elsewhere, nothing for programs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from entrepot.cli.output import printable, when

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from entrepot.cli.output import Out
    from entrepot.client import Job

_LINE_EVERY = 10.0
_SMALL_UPLOAD = 4 * 1024 * 1024


@contextmanager
def job_progress(out: Out, *, quiet: bool = False) -> Iterator[Callable[[Job], None]]:
    """What `wait_for_job` calls with each state of the jobs that it waits for."""
    if quiet or out.as_json:
        yield lambda _: None
    elif sys.stderr.isatty():
        with _bars() as bars:
            yield _job_bars(bars)
    else:
        yield _job_lines(out)


@contextmanager
def upload_progress(out: Out) -> Iterator[Callable[[int, int], None] | None]:
    """What `add_packages` calls with the bytes sent; None where nobody looks."""
    if out.as_json or not sys.stderr.isatty():
        yield None
        return
    with _bars(in_bytes=True) as bars:
        yield _upload_bar(bars)


def _bars(*, in_bytes: bool = False) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    amount = DownloadColumn() if in_bytes else MofNCompleteColumn()
    text = TextColumn("{task.description}", markup=False)
    return Progress(text, BarColumn(), amount, TimeElapsedColumn(), console=Console(stderr=True), transient=True)


def _job_bars(bars: Progress) -> Callable[[Job], None]:
    tasks: dict[int, TaskID] = {}

    def on_progress(job: Job) -> None:
        if job["id"] not in tasks:
            tasks[job["id"]] = bars.add_task(_step(job), total=None)
        state = job["progress"]
        bars.update(
            tasks[job["id"]],
            description=_step(job),
            completed=state["done"],
            total=state["total"] or None,
        )

    return on_progress


def _job_lines(out: Out) -> Callable[[Job], None]:
    """A line at each new step, and every ten seconds within a step."""
    last: dict[int, tuple[str, float]] = {}

    def on_progress(job: Job) -> None:
        step, before = _step(job), last.get(job["id"])
        now = time.monotonic()
        if before and before[0] == step and now - before[1] < _LINE_EVERY:
            return
        last[job["id"]] = (step, now)
        state = job["progress"]
        counts = f" {state['done']} of {state['total']}" if state["total"] else ""
        out.info(f"{step}{counts}")

    return on_progress


def _step(job: Job) -> str:
    said = job["progress"]["step"] or job["state"]
    if job["state"] == "queued" and job["due"] and job["error"]:
        said = f"tried again from {when(job['due'])}: {job['error']['error']}"
    return printable(f"{job['source'] or job['kind']}: {said}")


def _upload_bar(bars: Progress) -> Callable[[int, int], None]:
    tasks: list[TaskID] = []

    def on_progress(sent: int, total: int) -> None:
        if total < _SMALL_UPLOAD:
            return
        if not tasks:
            tasks.append(bars.add_task("Sending", total=total))
        bars.update(tasks[0], completed=sent)

    return on_progress
