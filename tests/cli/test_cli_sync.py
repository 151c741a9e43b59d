"""`sync`: waiting, not waiting, failing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from entrepot.core.errors import ServerUnreachable
from tests.cli.conftest import Entrepot
from tests.cli.stub import Stub

RESULT = {"transactions": 3, "added": 120, "updated": 30, "archived": 0, "removed": 1, "faults": []}


@pytest.fixture
def mirrors(stubbed: Entrepot, stub: Stub) -> Entrepot:
    """The command line for the stub with the mirror `cran`."""
    stub.job_states = [
        {"state": "queued"},
        {"state": "running", "progress": {"step": "reading indexes", "done": 1, "total": 4}},
        {"state": "done", "result": RESULT},
    ]
    return stubbed


def test_sync_waits_and_sums_up(mirrors: Entrepot) -> None:
    """`sync` tells its steps in plain lines off a terminal, then one line of summary."""
    result = mirrors("sync")
    assert (result.exit_code, result.stdout) == (
        0,
        "Synced 'cran': 120 added, 30 updated, 1 removed in 3 transactions\n",
    )
    assert result.stderr.splitlines() == ["cran: queued", "cran: reading indexes 1 of 4", "cran: done"]


def test_sync_quietly(mirrors: Entrepot) -> None:
    """`--quiet` leaves only the summary; the type is read in any case."""
    said = mirrors.said("sync", "--type=CRAN", "--quiet")
    assert said == ["Synced 'cran': 120 added, 30 updated, 1 removed in 3 transactions"]


def test_sync_as_json(mirrors: Entrepot) -> None:
    """JSON is the list of the finished jobs, and nothing on standard error."""
    assert [(job["state"], job["result"]) for job in mirrors.json("sync")] == [("done", RESULT)]


def test_sync_without_news(mirrors: Entrepot, stub: Stub) -> None:
    """A sync that found nothing new says so."""
    stub.job_states = [{"state": "done", "result": {**RESULT, "added": 0, "updated": 0, "removed": 0}}]
    assert mirrors.said("sync", "--quiet") == ["Synced 'cran': already up to date"]


def test_sync_tells_faults(mirrors: Entrepot, stub: Stub) -> None:
    """What a sync could not read is counted and listed; it is still a success."""
    stub.job_states = [{"state": "done", "result": {**RESULT, "faults": ["line 7 of PACKAGES: no Version"]}}]
    result = mirrors("sync", "--quiet")
    assert result.stdout == "Synced 'cran': 120 added, 30 updated, 1 removed in 3 transactions; 1 fault\n"
    assert result.stderr == "Faults in 'cran':\n  line 7 of PACKAGES: no Version\n"


@pytest.mark.parametrize("flag", ["--no-wait", "--wait=false", "--no-wait=true"])
def test_sync_without_waiting(mirrors: Entrepot, stub: Stub, flag: str) -> None:
    """`--no-wait` prints the job's number alone on standard output."""
    result = mirrors("sync", flag, "--force")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "1\n", "Sync of 'cran' is queued as job 1\n")
    assert json.loads(stub.seen[-1]["body"]) == {"force": True}


def test_sync_without_waiting_as_json(mirrors: Entrepot) -> None:
    """`--no-wait` as JSON is the list of the queued jobs."""
    assert [(job["id"], job["state"]) for job in mirrors.json("sync", "--no-wait")] == [(1, "queued")]


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [("upstream-unavailable", 6), ("hash-mismatch", 6), ("build-failed", 7), ("package-not-found", 4), ("odd", 1)],
)
def test_a_failed_sync_exits_by_its_error(mirrors: Entrepot, stub: Stub, code: str, exit_code: int) -> None:
    """The exit code of a sync that failed is that of its job's error."""
    stub.job_states = [{"state": "failed", "error": {"code": code, "error": "it broke", "hint": "mend it"}}]
    said = mirrors.failed("sync", "--quiet")
    assert said == (exit_code, ["Error: sync of 'cran' failed: it broke", "Hint: mend it"])


def test_a_failed_sync_as_json(mirrors: Entrepot, stub: Stub) -> None:
    """The jobs go to standard output, the error to standard error."""
    fault = {"code": "upstream-unavailable", "error": "it broke", "hint": None}
    stub.job_states = [{"state": "failed", "error": fault}]
    result = mirrors("sync", "-o", "json")
    assert [job["error"] for job in json.loads(result.stdout)] == [fault]
    assert json.loads(result.stderr) == {
        "code": "upstream-unavailable",
        "error": "sync of 'cran' failed: it broke",
        "hint": None,
        "payload": {"job": 1, "source": "cran"},
    }


def test_history_of_the_first_sync(mirrors: Entrepot, stub: Stub) -> None:
    """`--history` goes to the server, which knows whether it is the first sync; other words are refused (2)."""
    mirrors.json("sync", "--history=none", "--no-wait")
    assert json.loads(stub.seen[-1]["body"]) == {"force": False, "history": "none"}
    assert mirrors.failed("sync", "--history=some")[0] == 2


def test_another_try_is_told_while_waiting(mirrors: Entrepot, stub: Stub) -> None:
    """Who waits for a job that is tried again learns why and when."""
    fault = {"code": "upstream-unavailable", "error": "it does not answer", "hint": None}
    later = {"state": "queued", "error": fault, "due": "2026-07-01T10:05:00Z"}
    stub.job_states = [later, {"state": "done", "result": RESULT}]
    assert mirrors("sync").stderr.splitlines()[0] == "cran: tried again from 2026-07-01 10:05 UTC: it does not answer"


def test_several_mirrors_of_a_type(mirrors: Entrepot, stub: Stub) -> None:
    """All mirrors of the type are synced."""
    mirrors.said("create", "source", "--name=cran2", "--type=cran")
    stub.job_states = [{"state": "done", "result": RESULT}]
    assert [line.split(":")[0] for line in mirrors.said("sync", "--quiet")] == ["Synced 'cran'", "Synced 'cran2'"]


def test_sync_of_one_source(mirrors: Entrepot, stub: Stub) -> None:
    """`--source` names one mirror, of whatever type; of an index of projects these are counted."""
    mirrors.said("create", "source", "--name=pypi", "--type=pypi")
    stub.job_states = [{"state": "done", "result": {**RESULT, "updated": 0, "transactions": 1}}]
    said = ["Synced 'pypi': 120 projects added, 1 project removed in 1 transaction"]
    assert mirrors.said("sync", "--source=pypi", "--quiet") == said
    assert mirrors.said("sync", "--type=PyPI", "--quiet") == said
    assert mirrors.failed("sync", "--source=nothing")[0] == 4


def test_sync_without_a_mirror(mirrors: Entrepot) -> None:
    """A type without a mirror is not found (4), with the way to make one."""
    assert mirrors.failed("sync", "--type=pypi") == (
        4,
        [
            "Error: there is no mirror of type 'pypi'",
            "Hint: 'entrepot info' shows the mirrors",
        ],
    )


def test_ctrl_c_says_that_the_job_goes_on(mirrors: Entrepot, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C stops the waiting (130), not the job."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupt)
    result = mirrors("sync", "--quiet")
    said = "No longer waiting; the server goes on with job 1; 'entrepot cancel --job=1' ends it\n"
    assert (result.exit_code, result.stderr) == (130, said)


def test_a_sync_that_somebody_cancelled(mirrors: Entrepot, stub: Stub) -> None:
    """A sync that was cancelled while the command waited collides with that (5)."""
    fault = {"code": "cancelled", "error": "cancelled by admin", "hint": None}
    stub.job_states = [{"state": "cancelled", "error": fault}]
    assert mirrors.failed("sync", "--quiet") == (5, ["Error: sync of 'cran' was cancelled"])


def test_a_server_that_goes_away_while_waiting(mirrors: Entrepot, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting outlives a short absence of the server, not a long one (6)."""
    from entrepot.client import Client

    ask, absent = Client.job, iter([True, True, False])

    def job(self: Client, id: int) -> Any:
        if next(absent, False):
            raise ServerUnreachable("gone")
        return ask(self, id)

    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr(Client, "job", job)
    assert mirrors("sync", "--quiet").exit_code == 0
    absent = iter([True] * 9)
    assert mirrors("sync", "--quiet").exit_code == 6
