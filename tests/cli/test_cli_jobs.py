"""`list jobs`, `logs` and `cancel`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Entrepot
from tests.cli.stub import TIME, Stub

FAULT = {"code": "upstream-unavailable", "error": "it does not answer", "hint": None}
STATES: list[dict[str, Any]] = [
    {"state": "done"},
    {"state": "failed", "error": FAULT},
    {"state": "queued", "error": FAULT, "due": "2026-07-01T10:05:00Z", "attempts": 1},
    {"state": "running", "progress": {"step": "writing", "done": 100, "total": 2000}},
    {"state": "running", "is_cancelled": True},
]


@pytest.fixture
def worked(stubbed: Entrepot, stub: Stub) -> Entrepot:
    """The command line for a stub with a job in each state."""
    for state in STATES:
        stub.job_states = [state]
        stubbed("sync", "--no-wait")
    return stubbed


def test_jobs_are_listed_newest_first(worked: Entrepot) -> None:
    """A line tells number, state, kind, source, time, and what there is to say in that state."""
    at = "2026-07-01 10:00 UTC"
    assert worked.said("list", "jobs") == [
        f"5  cancelling  sync  cran  {at}",
        f"4  running     sync  cran  {at}  writing 100 of 2000",
        f"3  queued      sync  cran  {at}  tried again from 2026-07-01 10:05 UTC: it does not answer",
        f"2  failed      sync  cran  {at}  it does not answer",
        f"1  done        sync  cran  {at}",
    ]


def test_jobs_by_state_and_page(worked: Entrepot, stub: Stub) -> None:
    """Filters go to the server; a page says which it is; JSON is the rows."""
    assert [job["id"] for job in worked.json("list", "jobs", "--state=Failed", "--kind=sync", "--source=cran")] == [2]
    asked = stub.seen[-1]["query"]
    assert {k: v for k, v in asked.items() if k[0] != "_"} == {"state": "failed", "kind": "sync", "source": "cran"}
    result = worked("list", "jobs", "--count=2", "--page=2")
    assert [line[0] for line in result.stdout.splitlines()] == ["3", "2"]
    assert result.stderr == "3-4 of 5 jobs; --page=3 shows the next\n"
    assert worked("list", "jobs", "--kind=other").stderr == "No jobs\n"
    assert worked.failed("list", "jobs", "--state=odd")[0] == 2


def test_a_log(worked: Entrepot, stub: Stub, tmp_path: Path) -> None:
    """A log is lines with their times, on standard output, in a file, or as JSON."""
    stub.lines = ["begun by node:1", "asking\nupstream"]
    lines = ["2026-07-01 10:00:00  begun by node:1", "2026-07-01 10:00:00  asking upstream"]
    assert worked.said("logs", "--job=1") == lines
    assert worked.json("logs", "--job=1")[0] == {"id": 1, "time": TIME, "text": "begun by node:1"}
    path = tmp_path / "job.log"
    assert worked.said("logs", "--job=1", f"--file-out={path}") == [f"2 lines written to '{path}'"]
    assert path.read_text().splitlines() == lines
    assert worked.failed("logs", "--job=99")[0] == 4
    assert worked.failed("logs", "--job=1", f"--file-out={tmp_path}")[0] == 2


def test_a_long_log_comes_in_pieces(worked: Entrepot, stub: Stub) -> None:
    """However many lines there are, all are shown, once."""
    stub.lines = [f"line {n}" for n in range(2500)]
    assert [line.split("  ")[1] for line in worked.said("logs", "--job=1")] == stub.lines


def test_a_log_is_followed_to_the_end(stubbed: Entrepot, stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--follow` asks for what is new until the job is over."""
    stub.job_states = [{"state": "running"}] * 4 + [{"state": "done"}]
    stub.lines = ["begun"]
    monkeypatch.setattr("time.sleep", lambda _: stub.lines.append(f"step {len(stub.lines)}"))
    stubbed("sync", "--no-wait")
    assert [line.split("  ")[1] for line in stubbed.said("logs", "--job=1", "--follow")] == [
        "begun",
        "step 1",
        "step 2",
    ]


def test_cancel(worked: Entrepot) -> None:
    """What waits is over at once, what runs ends at its next step, what is over can't be cancelled (5)."""
    assert worked.said("cancel", "--job=3") == ["Job 3 (sync of 'cran') is cancelled"]
    assert worked.said("cancel", "--job=4") == ["Job 4 (sync of 'cran') is asked to end; it does so at its next step"]
    said = ["Error: job 1 is over: done", "Hint: only what waits or runs can be cancelled"]
    assert worked.failed("cancel", "--job=1") == (5, said)
    assert worked.failed("cancel")[0] == 2
    assert json.loads(worked("cancel", "--job=5", "-o", "json").stdout)["is_cancelled"] is True
