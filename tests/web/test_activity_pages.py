"""Activity, builds, jobs, sources and status as pages: what they say, where they lead, what they let whom do."""

from __future__ import annotations

import html
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from entrepot.core.access import Scope
from entrepot.core.errors import BuildFailed
from entrepot.core.targets import BUILT
from entrepot.db import jobs as db_jobs
from entrepot.db import sources as db_sources
from entrepot.db import targets as db_targets
from entrepot.db.schema import git_attempts
from entrepot.settings import Settings
from entrepot.web.csrf import FIELD, csrf_of
from tests.support.archives import make_description, make_source_package
from tests.support.browser import Browser, Page
from tests.support.closed import token
from tests.support.git import Repo
from tests.support.gitsite import OVER, team
from tests.support.packer import Packer, packing
from tests.support.server import Clock, Live, eventually

pytestmark = pytest.mark.one_shape
UI = "/__ui__"
HOSTILE = "<script>x</script> \x1b[31mred\x1b[0m \u202etxet"
HOSTILE_SHOWN = "<script>x</script> red txet"


@pytest.fixture
def packer(monkeypatch: pytest.MonkeyPatch) -> Packer:
    return packing(monkeypatch)


@pytest.fixture
def site(settings: Settings, clock: Clock, packer: Packer, tmp_path: Path) -> Iterator[Live]:
    """The repository `team` with a git source, of which one build failed and one did not, and a local one."""
    with team(settings, clock, source="git", repo="r") as live:
        live.api("POST", "/sources", {"name": "local"})
        live.api("POST", "/repos/team/sources", {"source": "local"})
        live.upload("local", ("plain_1.0.tar.gz", make_source_package("plain", "1.0")), comment=HOSTILE)
        clock.wait(days=1)
        live.upload("local", ("plain_2.0.tar.gz", make_source_package("plain", "2.0")))
        repo = Repo(tmp_path / "served" / "demo.git")
        repo.tag("v1.0", repo.commit({"DESCRIPTION": make_description("demo", "1.0")}))
        packer.failing = lambda _: BuildFailed("<script>no</script>")
        (_, told) = live.api("POST", "/sources/git/git-builders", {"url": repo.file_url, "build_trigger": "tags"})
        over(live, told["job"]["id"])
        packer.failing = lambda _: None
        over(live, live.api("POST", "/sources/git/git-builders/demo/rerun", {"tag": "v1.0"})[1]["id"])
        yield live


def put_log(site: Live, transaction: int, text: str) -> None:
    """Let a build have said something: what real ones say is made plain before it is kept."""
    with site.app.db.write(shows=False) as connection:
        of = git_attempts.c.transaction_id == transaction
        connection.execute(update(git_attempts).where(of).values(log=zlib.compress(text.encode())))


def over(live: Live, job: int) -> None:
    eventually(lambda: live.api("GET", f"/jobs/{job}")[1]["state"], lambda state: state in OVER, seconds=60)


def words(text: str) -> str:
    """What a page says, without its marks, in one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())


def links(text: str) -> set[str]:
    return {html.unescape(url) for url in re.findall(r'href="([^"]*)"', text)}


def rows(text: str) -> list[str]:
    """The rows of a page's tables, as words."""
    return [
        words(row) for body in re.findall(r"<tbody>(.*?)</tbody>", text, re.DOTALL) for row in body.split("</tr>")[:-1]
    ]


def shown(site: Live, path: str, *, status: int = 200) -> str:
    answer = site.get(UI + path)
    assert answer.status == status, answer.data
    return answer.data.decode()


def signed_in(site: Live, *scopes: Scope, **more: Any) -> Browser:
    browser = Browser(site)
    browser.sign_in(token(site.app, *scopes, **more))
    return browser


def press(browser: Browser, path: str, action: str, **fields: str) -> Page:
    """Send the form of a page whose action ends with that."""
    page = browser.get(UI + path)
    form = next(part for part in page.text.split("<form")[1:] if re.search(rf'action="[^"]*{action}"', part))
    hidden = {
        name: html.unescape(value) for name, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form)
    }
    return browser.post(f"{UI}{path}{action}" if action.startswith("/") else action, {**hidden, **fields})


# --- activity ---


def test_the_activity_of_a_repository(site: Live) -> None:
    """Each transaction with what it did, whose it was, the build that it records, and the packages at that time."""
    text = shown(site, "/repos/team/activity")
    found = rows(text)
    assert len(found) == len(site.api("GET", "/repos/team/transactions")[1]) == 6
    assert "built demo tag v1.0 commit" in found[0]
    assert "build failed demo tag v1.0" in found[1]
    assert "1 updated" in found[2]
    assert HOSTILE_SHOWN.lower() in found[3].lower()
    assert "the repository itself" in found[4]
    ids = [int(row.split()[0]) for row in found]
    assert {f"{UI}/transactions/{id_}?repo=team" for id_ in ids} <= links(text)
    assert {f"{UI}/repos/team/packages?snapshot={id_}" for id_ in ids} <= links(text)
    assert "<script>x" not in text


def test_it_is_searched(site: Live) -> None:
    """The form's fields are the search, and are kept in it; what can't be meant is told beside the form."""
    text = shown(site, "/repos/team/activity?kind=added&kind=updated&package=plain&source=local&from=2024-03-02&to=")
    assert [row.partition("plain 2.0")[1] for row in rows(text)] == ["plain 2.0"]
    assert "plain 2.0, in place of 1.0" in words(text)
    assert re.findall(r'<input type="checkbox"[^>]*value="([a-z-]+)" checked', text) == ["added", "updated"]
    assert 'name="package" type="text" value="plain"' in text
    assert 'value="2024-03-02"' in text
    assert '<option value="local" selected' in text
    assert "Nothing of that kind happened" in words(shown(site, "/repos/team/activity?package=none"))
    wrong = shown(site, "/repos/team/activity?from=2024-03-02&to=2024-03-01", status=422)
    assert "The days from 2024-03-02 to 2024-03-01 are none" in words(wrong)
    assert 'value="2024-03-02"' in wrong
    assert "Never had a source" in words(shown(site, "/repos/team/activity?source=cran", status=404)).replace(
        "never", "Never"
    )
    assert len(rows(shown(site, "/repos/team/activity?kind=odd"))) == 6, "no page of ours asks for that"


def test_it_comes_in_pages(site: Live) -> None:
    """The search goes on to the next page."""
    for n in range(30):
        site.upload("local", (f"more_1.{n}.tar.gz", make_source_package("more", f"1.{n}")))
        site.api("POST", "/sources/local/packages/more/remove", {"scope": "all"})
    text = shown(site, "/sources/local/activity?kind=added&kind=removed")
    assert len(rows(text)) == 50
    assert "Page 1 of 2" in words(text)
    second = next(url for url in links(text) if "page=2" in url)
    assert second.startswith(f"{UI}/sources/local/activity?kind=added&kind=removed")
    assert len(rows(shown(site, second.removeprefix(UI)))) == 11


def test_one_transaction(site: Live) -> None:
    """Its changes lead to the packages as they were then; a removed one to where it was before."""
    (_, (row, *_)) = site.api("GET", "/repos/team/transactions?source=local")
    text = shown(site, f"/transactions/{row['id']}")
    assert f"{UI}/repos/team/packages/plain?snapshot={row['id']}" in links(text)
    assert rows(text) == ["plain updated 2.0 1.0"]
    (_, removed) = site.api("POST", "/sources/local/packages/plain/remove", {"scope": "all"})
    text = shown(site, f"/transactions/{removed['transaction']}?change=removed&package=plain")
    assert f"{UI}/repos/team/packages/plain?snapshot={removed['transaction'] - 1}" in links(text)
    assert {tuple(found.split()[:3]) for found in rows(text)} == {
        ("plain", "removed", "1.0"),
        ("plain", "removed", "2.0"),
    }
    assert "It changed no package" in words(shown(site, "/transactions/1"))
    assert site.get(f"{UI}/transactions/999").status == 404
    assert site.get(f"{UI}/transactions/no").status == 422


def test_the_log_of_a_failed_build(site: Live) -> None:
    """With the command that shows it, and the whole as text; nothing in it does anything."""
    (_, (row,)) = site.api("GET", "/repos/team/transactions?kind=failed-build")
    put_log(site, row["id"], f"it says {HOSTILE}\n")
    text = shown(site, f"/transactions/{row['id']}")
    assert f"entrepot logs --transaction-id={row['id']}" in words(text)
    assert f"it says {HOSTILE_SHOWN}" in words(text)
    assert not {"\x1b", "\u202e"}.intersection(text)
    assert "<script>x" not in text
    whole = f"/__api__/transactions/{row['id']}/log.txt"
    assert whole in links(text)
    assert site.get(whole).headers["Content-Type"].startswith("text/plain")
    assert f"{UI}/sources/git/builders/demo" in links(text)


def test_of_a_long_log_the_end_is_shown(site: Live) -> None:
    """A page stays small; the link leads to all of it."""
    (_, (row,)) = site.api("GET", "/repos/team/transactions?kind=failed-build")
    put_log(site, row["id"], "".join(f"line {n} of very many\n" for n in range(20_000)))
    text = shown(site, f"/transactions/{row['id']}")
    assert len(text) < 90_000
    assert "The end of the log" in words(text)
    assert "line 19999 of very many" in words(text)
    assert "line 1 of very many" not in words(text)


# --- builds ---


def binary_build(site: Live) -> int:
    """A target for bookworm and one build for it; its number."""
    app = site.app
    with app.db.write(shows=False) as connection:
        target = db_targets.add(
            connection, name="bookworm", distribution="bookworm", r="/opt/R", r_version="4.2.2", arch="x86_64",
            command="", repository="team", sources=None, created=app.clock(), seen=0, fault="2 could not be fetched",
        )  # fmt: skip
        source = db_sources.get(connection, "local")
        db_targets.add_build(
            connection, f"** {HOSTILE}\n", target_id=target, source_id=source.id, package="plain", version="2.0",
            platform="linux/bookworm/4.2/x86_64", inputs="x", linking={"Rcpp": "1.0"}, status=BUILT, exit_code=0,
            error=None, started=app.clock(), finished=app.clock(), transaction_id=None,
        )  # fmt: skip
    return int(site.api("GET", "/binary-builds")[1][0]["id"])


def test_what_is_built(site: Live) -> None:
    """Each git builder with its last build, each target with its last run, and the newest binary packages."""
    id_ = binary_build(site)
    text = shown(site, "/builds")
    git, target, binary = rows(text)
    assert git.startswith("demo git tags")
    assert "built v1.0" in git
    assert target.startswith("bookworm 4.2-bookworm-x86_64 R 4.2.2 team all that can be built 2 could not be fetched")
    assert binary.startswith("plain 2.0 built 4.2-bookworm-x86_64 local")
    assert {f"{UI}/builds/binaries/{id_}", f"{UI}/builds/targets/bookworm", f"{UI}/sources/git/builders/demo"} <= links(
        text
    )
    assert "<form" not in text.partition("<main")[2], "nothing to press for who may do nothing"
    of_target = shown(site, "/builds/targets/bookworm?status=built&package=plain")
    assert len(rows(of_target)) == 1
    assert rows(shown(site, "/builds/targets/bookworm?status=failed")) == []
    assert "/opt/R" not in of_target
    log = shown(site, f"/builds/binaries/{id_}")
    assert f"** {HOSTILE_SHOWN}" in words(log)
    assert f"/__api__/binary-builds/{id_}/log.txt" in links(log)
    assert "Rcpp 1.0" in words(log)
    assert site.get(f"{UI}/builds/binaries/99").status == 404
    assert site.get(f"{UI}/builds/targets/none").status == 404
    assert site.get(f"{UI}/sources/git/builders/none").status == 404


def test_builds_are_begun_by_those_who_may(site: Live) -> None:
    """Who may write to the source has buttons to build and to build again, which lead to the job."""
    git = next(source["name"] for source in site.api("GET", "/sources")[1] if source["name"] == "git")
    browser = signed_in(site, sources=[git])
    page = press(browser, "/sources/git/builders/demo", "/run")
    assert re.fullmatch(rf".*{UI}/jobs/\d+", page.location)
    over(site, int(page.location.rpartition("/")[2]))
    page = press(browser, "/sources/git/builders/demo", "/rerun")
    job = site.api("GET", f"/jobs/{page.location.rpartition('/')[2]}")[1]
    assert (job["kind"], job["actor"]) == ("build", "ann")
    over(site, job["id"])
    assert "Build what is new" not in browser.get(f"{UI}/sources/local").text
    refused = signed_in(site, sources=["local"])
    assert "Build what is new" not in refused.get(f"{UI}/sources/git/builders/demo").text
    assert press_anyway(refused, "/sources/git/builders/demo/run").status == 403


def press_anyway(browser: Browser, path: str) -> Page:
    """Send a form that the page doesn't show, with what goes with the session."""
    return browser.post(UI + path, {FIELD: csrf_of(browser.session or "")})


def test_targets_are_run_by_administrators(site: Live) -> None:
    """They see the program as well; a fault of the request is told on the page."""
    binary_build(site)
    browser = signed_in(site, Scope.GLOBAL_ADMIN)
    assert "/opt/R" in browser.get(f"{UI}/builds/targets/bookworm").text
    page = press(browser, "/builds/targets/bookworm", "/rerun")
    job = int(page.location.rpartition("/")[2])
    assert site.api("GET", f"/jobs/{job}")[1]["kind"] == "binaries"
    site.api("POST", f"/jobs/{job}/cancel", {})
    writer = signed_in(site, sources=None)
    assert press_anyway(writer, "/builds/targets/bookworm/run").status == 403


# --- jobs ---


def test_jobs(site: Live) -> None:
    """What waits, runs and is over, filtered by state, kind and source; each with its log, result and error."""
    text = shown(site, "/jobs")
    assert [row.split()[0] for row in rows(text)] == ["2", "1"]
    assert "2 build from Git done git took" in rows(text)[0]
    assert "1 build from Git failed git Tag v1.0 of demo: <script>no</script>" in rows(text)[1]
    assert [row.split()[0] for row in rows(shown(site, "/jobs?state=failed&kind=build&source=git"))] == ["1"]
    assert rows(shown(site, "/jobs?state=queued")) == []
    assert "There is no source" in words(shown(site, "/jobs?source=none", status=404))
    failed = shown(site, "/jobs/1")
    assert "Tag v1.0 of demo: <script>no</script>" in words(failed)
    assert "entrepot logs --job=1" in words(failed)
    assert "/__api__/jobs/1/log.txt" in links(failed)
    assert "data-live" not in failed
    done = shown(site, "/jobs/2")
    (_, (row, *_)) = site.api("GET", "/repos/team/transactions?kind=build")
    assert f"{UI}/transactions/{row['id']}" in links(done)
    assert f"succeeded Transaction {row['id']} 1.0 tag v1.0" in words(done)
    assert site.get(f"{UI}/jobs/99").status == 404


def test_a_job_is_cancelled_once(site: Live) -> None:
    """By who may write to its source; what is over is told, and stays over."""
    with site.app.db.write(shows=False) as connection:
        source = db_sources.get(connection, "local")
        later = site.app.clock().replace(year=2030)
        job = db_jobs.add(connection, kind="sync", payload={}, source_id=source.id, now=site.app.clock())
        db_jobs.change(connection, job.id, due=later, error={"code": "x", "error": HOSTILE, "hint": "wait"})
    browser = signed_in(site, sources=["local"])
    text = browser.get(f"{UI}/jobs/{job.id}").text
    assert "tried again from 2030" in words(text)
    assert f'data-live="/__api__/jobs/{job.id}"' in text
    guest = shown(site, f"/jobs/{job.id}")
    assert "<form" not in guest.partition("<main")[2]
    page = press(browser, f"/jobs/{job.id}", "/cancel")
    assert page.location.endswith(f"{UI}/jobs/{job.id}")
    text = browser.get(f"{UI}/jobs/{job.id}").text
    assert "Cancelled by ann" in words(text)
    again = press_anyway(browser, f"/jobs/{job.id}/cancel")
    assert (again.status, f"Job {job.id} is over" in words(again.text)) == (409, True)


# --- sources and status ---


def test_sources(site: Live) -> None:
    """Each with its type, what it has, how it stands and who uses it; of one what happened and what it builds."""
    text = shown(site, "/sources")
    found = {row.split()[0]: row for row in rows(text)}
    assert found["local"] == "local local 1 kept here team"
    assert found["cran"].startswith("cran cran 0 never synced")
    assert [row.split()[0] for row in rows(shown(site, "/sources?type=git"))] == ["git"]
    one = shown(site, "/sources/git")
    assert f"{UI}/sources/git/builders/demo" in links(one)
    assert "build failed" in words(one)
    assert f"{UI}/sources/git/activity" in links(one)
    assert f"{UI}/sources/git/proposals" not in links(one)
    assert site.get(f"{UI}/sources/none").status == 404


def test_sync_now(site: Live) -> None:
    """A mirror is synced by who may write to it; where it can't be it is told on the page."""
    assert "Sync now" not in shown(site, "/sources/cran")
    browser = signed_in(site, sources=None)
    assert "Sync now" not in browser.get(f"{UI}/sources/local").text
    page = press(browser, "/sources/cran", "/sync")
    job = int(page.location.rpartition("/")[2])
    assert site.api("GET", f"/jobs/{job}")[1]["actor"] == "ann"
    over(site, job)
    wrong = press_anyway(browser, "/sources/local/sync")
    assert (wrong.status, "has no upstream to sync with" in words(wrong.text)) == (422, True)
    assert press_anyway(signed_in(site, sources=["local"]), "/sources/cran/sync").status == 403
    assert browser.post(f"{UI}/sources/cran/sync", {}).status == 403, "a form that no page of ours sent"
    failed = words(shown(site, "/status"))
    assert "The last sync of 1 mirror failed." in failed


def test_the_status_page(site: Live) -> None:
    """Version, mirrors, work, storage, and what is built here; nothing of what is closed to whoever looks."""
    text = words(shown(site, "/status"))
    for part in ("Entrepot 0.1.0", "cran never synced", "2 sources that are no mirrors", "failed 1", "a local folder"):
        assert part in text
    assert re.search(r"Files \d+ files, ", text)
    assert re.search(r"(SQLite|PostgreSQL), ", text)
    site.api("PATCH", "/repos/team", {"authenticated": True})
    assert "a local folder" not in words(shown(site, "/status"))
    assert "git" not in words(shown(site, "/sources"))
    for path in ("/repos/team/activity", "/sources/git", "/sources/git/activity", "/sources/git/builders/demo"):
        assert site.get(UI + path).status == 401
    for path in ("/transactions/6", "/jobs/1"):
        assert site.get(UI + path).status == 404
    assert rows(shown(site, "/builds")) == []
