"""Over the API: the record of changes, searched; what the installation holds and has to do; logs as text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from entrepot.core.errors import BuildFailed
from entrepot.core.targets import BUILT, FAILED
from entrepot.db import jobs as db_jobs
from entrepot.db import sources as db_sources
from entrepot.db import targets as db_targets
from entrepot.settings import Settings
from tests.support.archives import make_description, make_source_package
from tests.support.binaries import X86_64, make_binary
from tests.support.closed import token
from tests.support.git import Repo
from tests.support.gitsite import OVER, team
from tests.support.packer import Packer, packing
from tests.support.server import Clock, Live, eventually

NOWHERE = {"kind": "git", "version": None, "target": None, "number": None}


@pytest.fixture
def packer(monkeypatch: pytest.MonkeyPatch) -> Packer:
    return packing(monkeypatch)


@pytest.fixture
def site(settings: Settings, clock: Clock, packer: Packer) -> Iterator[Live]:
    with team(settings, clock, source="git", repo="r") as live:
        live.api("POST", "/sources", {"name": "local"})
        live.api("POST", "/repos/team/sources", {"source": "local"})
        live.upload("local", ("plain_1.0.tar.gz", make_source_package("plain", "1.0")), comment="by hand")
        clock.wait(days=1)
        live.upload("local", ("plain_2.0.tar.gz", make_source_package("plain", "2.0")))
        yield live


def built(live: Live, packer: Packer, folder: Path) -> str:
    """A builder of `demo` whose first build failed and whose second one did not; the commit."""
    repo = Repo(folder / "served" / "demo.git")
    sha = repo.commit({"DESCRIPTION": make_description("demo", "1.0")})
    repo.tag("v1.0", sha)
    packer.failing = lambda _: BuildFailed("no \x1b[31mway\x1b[0m")
    (_, told) = live.api("POST", "/sources/git/git-builders", {"url": repo.file_url, "build_trigger": "tags"})
    over(live, told["job"])
    packer.failing = lambda _: None
    over(live, live.api("POST", "/sources/git/git-builders/demo/rerun", {"tag": "v1.0"})[1])
    return sha


def over(live: Live, job: dict[str, Any]) -> None:
    eventually(lambda: live.api("GET", f"/jobs/{job['id']}")[1]["state"], lambda state: state in OVER, seconds=60)


def told(live: Live, query: str, of: str = "/repos/team") -> list[tuple[str, str]]:
    """(source or repository, message's beginning) of the transactions that are found, and as many as are said to be."""
    response = live.get(f"/__api__{of}/transactions?{query}", Authorization=f"Bearer {live.token}")
    assert response.status == 200, response.data
    rows = response.json()
    assert response.headers["X-Total-Count"] == str(len(rows))
    return [(row["source"] or row["repository"], row["message"].partition(" from ")[0][:30]) for row in rows]


def test_builds_in_the_record(site: Live, packer: Packer, tmp_path: Path) -> None:
    """Who looks for builds finds each attempt with its tag, its commit, and the command that shows its log."""
    sha = built(site, packer, tmp_path)
    (_, rows) = site.api("GET", "/repos/team/transactions?kind=build")
    assert [row["build"] for row in rows] == [
        {
            **NOWHERE,
            "status": status,
            "package": "demo",
            "tag": "v1.0",
            "sha": sha,
            "builder": "demo",
            "command": command,
        }
        for status, command in (
            ("succeeded", f"entrepot logs --transaction-id={rows[0]['id']}"),
            ("failed", f"entrepot logs --transaction-id={rows[1]['id']}"),
        )
    ]
    assert [row["changes"] for row in rows] == [[], []]
    assert site.api("GET", f"/transactions/{rows[0]['id']}")[1]["build"] == rows[0]["build"]
    assert site.api("GET", "/sources/git/transactions?kind=failed-build")[1] == rows[1:]
    of_package = site.api("GET", "/repos/team/transactions?package=demo")[1]
    assert of_package == [
        {**rows[0], "changes": [{"change": "added", "name": "demo", "version": "1.0", "previous": None}]},
        rows[1],
    ]
    assert site.api("GET", "/repos/team/transactions?package=demo&kind=failed-build")[1] == rows[1:]
    site.api("DELETE", "/sources/git/git-builders/demo")
    gone = site.api("GET", "/repos/team/transactions?kind=build")[1]
    assert [(row["build"]["package"], row["build"]["builder"]) for row in gone] == [("demo", None)] * 2


def test_what_is_found(site: Live) -> None:
    """By kind, package, source and day; of each as many as `X-Total-Count` says."""
    subscribed = [("team", "subscribed to local"), ("team", "subscribed to git")]
    plain = [("local", "added 1 package"), ("local", "by hand")]
    everything = told(site, "")
    assert everything[1:] == [plain[1], *subscribed]
    first = everything[:1]
    assert told(site, "kind=subscription") == subscribed
    assert told(site, "kind=added") == [plain[1]]
    assert told(site, "kind=added&kind=updated&source=local") == [*first, plain[1]]
    assert told(site, "source=git") == []
    assert told(site, "package=plain&kind=updated") == first
    assert told(site, "from=2024-03-02") == first
    assert told(site, "to=2024-03-01") == everything[1:]
    assert told(site, "package=plain&_order=asc", "/sources/local") == [plain[1], *first]
    (_, rows) = site.api("GET", "/repos/team/transactions?package=plain")
    assert rows[0]["changes"] == [{"change": "updated", "name": "plain", "version": "2.0", "previous": "1.0"}]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("kind=odd", 422, "invalid"),
        ("from=2024-02-30", 422, "invalid"),
        ("from=2024-03-02&to=2024-03-01", 422, "invalid"),
        ("source=cran", 404, "source-not-found"),
        ("package=a%00b", 422, "invalid"),
    ],
)
def test_what_can_not_be_looked_for(site: Live, query: str, status: int, code: str) -> None:
    answer = site.api("GET", f"/repos/team/transactions?{query}")
    assert (answer[0], answer[1]["code"]) == (status, code)


def test_changes_of_one_transaction(site: Live) -> None:
    """A page at a time, of one package or of some kinds; and the transaction without them."""
    (_, (row, *_)) = site.api("GET", "/sources/local/transactions")
    of = f"/transactions/{row['id']}"
    assert site.api("GET", f"{of}?changes=false")[1] == {**row, "changes": None}
    (_, whole) = site.api("GET", f"{of}/changes")
    assert whole == site.api("GET", of)[1]["changes"] != []
    assert site.api("GET", f"{of}/changes?package=plain&change=updated&change=removed")[1] == whole
    assert site.api("GET", f"{of}/changes?change=removed")[1] == []
    assert site.api("GET", f"{of}/changes?_page=2")[1] == []
    assert site.api("GET", "/transactions/999/changes")[0] == 404


def binary_build(live: Live) -> None:
    """A binary package of `plain`, as a build target's run records it."""
    app = live.app
    with app.db.write(shows=False) as connection:
        target = db_targets.add(
            connection, name="bookworm", distribution="bookworm", r="R", r_version="4.2.2", arch="x86_64", command="",
            repository="team", sources=None, created=app.clock(), seen=0,
        )  # fmt: skip
        source = db_sources.get(connection, "local")
    data = make_binary("plain", "2.0", platform=X86_64)
    live.pool.request(
        "POST",
        f"{live.address}/__api__/sources/local/binaries",
        headers={"Authorization": f"Bearer {live.token}"},
        fields=[("files", ("plain_2.0.tar.gz", data, "application/gzip")), ("distribution", "bookworm")],
    )
    (at, *_) = live.api("GET", "/sources/local/transactions")[1]
    common = {
        "target_id": target, "source_id": source.id, "package": "plain", "version": "2.0", "inputs": "x",
        "platform": "linux/bookworm/4.2/x86_64", "linking": {}, "started": app.clock(), "finished": app.clock(),
    }  # fmt: skip
    with app.db.write(shows=False) as connection:
        db_targets.add_build(
            connection, "it failed\n", **common, status=FAILED, exit_code=1, error="no", transaction_id=None
        )
        db_targets.add_build(
            connection, "it went well\n", **common, status=BUILT, exit_code=0, error=None, transaction_id=at["id"]
        )


def test_binary_builds_in_the_record(site: Live) -> None:
    """A binary package that a build target made is told with its build; who may not see the build is told of none."""
    binary_build(site)
    (_, (row,)) = site.api("GET", "/repos/team/transactions?kind=build")
    assert row["source"] == "local/linux/bookworm/4.2/x86_64"
    assert row["build"] == {
        "kind": "binary", "status": "succeeded", "package": "plain", "version": "2.0", "tag": None, "sha": None,
        "builder": None, "target": "bookworm", "number": 2, "command": "entrepot logs --binary-build=2",
    }  # fmt: skip
    assert [each["id"] for each in site.api("GET", "/sources/local/transactions?package=plain&kind=build")[1]] == [
        row["id"]
    ]
    text = site.get("/__api__/binary-builds/2/log.txt", Authorization=f"Bearer {site.token}")
    assert (text.data, text.headers["X-Content-Type-Options"]) == (b"it went well\n", "nosniff")
    # Its libraries come from a repository that not everybody may read, the package itself from one that all may.
    site.api("POST", "/repos", {"name": "open", "type": "r"})
    site.api("POST", "/repos/open/sources", {"source": "local"})
    site.api("PATCH", "/repos/team", {"authenticated": True})
    (_, (row, *_)) = site.api("GET", "/repos/open/transactions?source=local", token="")
    assert (row["source"], row["build"]) == ("local/linux/bookworm/4.2/x86_64", None)
    assert site.api("GET", "/binary-builds/2/log", token="")[0] == 404
    assert site.get("/__api__/binary-builds/2/log.txt").status == 404


def test_logs_as_text(site: Live, packer: Packer, tmp_path: Path) -> None:
    """The whole log of a job or a build, as nothing but text; and the last lines of a job's."""
    built(site, packer, tmp_path)
    (_, (row, *_)) = site.api("GET", "/repos/team/transactions?kind=failed-build")
    for path in (f"/transactions/{row['id']}", "/jobs/1"):
        text = site.get(f"/__api__{path}/log.txt", Authorization=f"Bearer {site.token}")
        assert (text.status, text.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
        assert text.headers["X-Content-Type-Options"] == "nosniff"
        assert text.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert "packing" in text.data.decode().splitlines()
    assert text.data.decode().splitlines() == [line["text"] for line in site.api("GET", "/jobs/1/logs")[1]]
    lines = site.api("GET", "/jobs/1/logs")[1]
    assert site.api("GET", "/jobs/1/logs?tail=true&_limit=3")[1] == lines[-3:]
    assert site.get("/__api__/jobs/99/log.txt").status == 404
    assert site.get("/__api__/transactions/1/log.txt").status == 404


def test_what_is_held(site: Live) -> None:
    """The number and the bytes of the files in the store, the room on the disks, the size of the database."""
    (status, held) = site.api("GET", "/storage")
    files = [make_source_package("plain", version) for version in ("1.0", "2.0")]
    is_local = site.app.settings.storage_url.startswith("file:")
    assert status == 200
    assert (held["kind"], held["files"], held["bytes"]) == ("file" if is_local else "s3", 2, sum(map(len, files)))
    assert held["measured"] == "2024-03-02T12:00:00Z"
    assert (held["room"] is not None) == is_local
    assert 0 < held["data_room"]["free"] < held["data_room"]["total"]
    assert held["database"]["kind"] == ("sqlite" if site.app.db.is_sqlite else "postgresql")
    assert held["database"]["bytes"] > 10_000
    # It is not measured again at once: a look costs nothing.
    site.upload("local", ("more_1.0.tar.gz", make_source_package("more", "1.0")))
    assert site.api("GET", "/storage")[1]["files"] == 2


def test_what_waits_and_who_works(site: Live, clock: Clock) -> None:
    """Jobs by state, since when the oldest one waits, the processes that work on them."""
    with site.app.db.write(shows=False) as connection:
        source = db_sources.get(connection, "local")
        for worker in (None, "somewhere:1:ab", "somewhere:1:ab"):
            job = db_jobs.add(connection, kind="demo", payload={}, source_id=source.id, subject=1, now=clock())
            if worker:
                db_jobs.change(connection, job.id, state="running", worker=worker, heartbeat=clock())
            clock.wait(minutes=1)
    (_, queue) = site.api("GET", "/queue")
    assert (queue["jobs"]["queued"], queue["jobs"]["running"], queue["jobs"]["failed"]) == (1, 2, 0)
    assert queue["waits_since"] == "2024-03-02T12:00:00Z"
    assert queue["workers"] == [{"name": "somewhere:1:ab", "jobs": 2, "seen": "2024-03-02T12:02:00Z"}]
    assert (queue["processes"] is None) == site.app.db.is_sqlite


def test_what_is_held_is_for_those_who_see_everything(site: Live) -> None:
    """Once something is closed, others are refused, and are told of the jobs alone that they see."""
    with site.app.db.write(shows=False) as connection:
        for name in ("local", "cran"):
            of = db_sources.get(connection, name).id
            db_jobs.add(connection, kind="demo", payload={}, source_id=of, now=site.app.clock())
    assert site.api("GET", "/storage", token="")[0] == 200
    assert site.api("GET", "/queue", token="")[1]["jobs"]["queued"] == 2
    site.api("PATCH", "/repos/team", {"authenticated": True})
    assert site.api("GET", "/storage", token="")[0] == 401
    one = token(site.app, repos=["team"])
    assert site.api("GET", "/storage", token=one)[0] == 403
    assert site.api("GET", "/queue", token="")[1]["jobs"]["queued"] == 1
    assert site.api("GET", "/queue", token=one)[1]["jobs"]["queued"] == 2
