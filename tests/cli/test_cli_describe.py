"""`describe`: how much there is to read, and what was read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.conftest import Entrepot
from tests.cli.stub import Stub

RESULT: dict[str, Any] = {"from": "2019-01-01", "to": "2019-12-31", "described": 1234, "faulty": 0, "faults": []}


@pytest.fixture
def mirrors(stubbed: Entrepot, stub: Stub) -> Entrepot:
    """The command line for the stub with the mirror `cran`."""
    stub.job_states = [
        {"state": "queued"},
        {"state": "running", "progress": {"step": "reading descriptions", "done": 200, "total": 1234}},
        {"state": "done", "result": RESULT},
    ]
    return stubbed


def test_describe_waits_and_sums_up(mirrors: Entrepot, stub: Stub) -> None:
    """`describe` tells how far it is, then one line of summary; the days are sent as they were given."""
    result = mirrors("describe", "--source=cran", "--from=2019-01-01", "--to=2019-12-31")
    assert (result.exit_code, result.stdout) == (0, "Described 'cran': 1,234 versions\n")
    assert result.stderr.splitlines() == ["cran: queued", "cran: reading descriptions 200 of 1234", "cran: done"]
    (sent,) = [asked["body"] for asked in stub.seen if asked["path"].endswith("/describe")]
    assert json.loads(sent) == {"from": "2019-01-01", "to": "2019-12-31"}


@pytest.mark.parametrize(
    ("described", "faulty", "said"),
    [(0, 0, "nothing was missing"), (1, 0, "1 version"), (2, 1, "2 versions, 1 fault"), (0, 2, "0 versions, 2 faults")],
)
def test_the_summary(mirrors: Entrepot, stub: Stub, described: int, faulty: int, said: str) -> None:
    """What was read and what could not be is counted; the faults are listed, and it is still a success."""
    faults = ["a_1.0.tar.gz: the upstream answered 404"][:faulty]
    result = {**RESULT, "described": described, "faulty": faulty, "faults": faults}
    stub.job_states = [{"state": "done", "result": result}]
    done = mirrors("describe", "--source=cran", "--quiet")
    assert (done.exit_code, done.stdout) == (0, f"Described 'cran': {said}\n")
    listed = "".join(f"  {fault}\n" for fault in faults)
    assert done.stderr == (f"Faults in 'cran':\n{listed}" if faults else "")
    assert json.loads(stub.seen[0]["body"]) == {}


def test_describe_without_waiting(mirrors: Entrepot) -> None:
    """`--no-wait` prints the job's number alone on standard output."""
    result = mirrors("describe", "--source=cran", "--no-wait")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "1\n", "Describe of 'cran' is queued as job 1\n")


def test_how_much_there_is_to_read(mirrors: Entrepot, stub: Stub) -> None:
    """`--dry-run` asks for the numbers and starts nothing."""
    said = "1,234 of 56,789 versions that were current from 2019-02-01 to 2019-12-31 lack their dependencies"
    assert mirrors.said("describe", "--source=cran", "--from=2019-02-01", "--dry-run") == [said]
    found = mirrors.json("describe", "--source=cran", "--dry-run")
    assert found == {"from": "2019-01-01", "to": "2019-12-31", "incomplete": 1234, "versions": 56789}
    assert [asked["method"] for asked in stub.seen] == ["GET", "GET"]


def test_describe_needs_a_source(mirrors: Entrepot) -> None:
    """Without a source it is a wrong command line (2); a source that isn't there is not found (4)."""
    assert mirrors("describe").exit_code == 2
    assert mirrors("describe", "--source=none", "--dry-run=false").exit_code == 4
