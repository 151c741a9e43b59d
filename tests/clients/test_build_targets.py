"""Our own builds of binary packages: what R installs from them, when they are made anew, and what goes wrong."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from entrepot.app import App
from entrepot.core.errors import SandboxUnavailable
from entrepot.core.model import TransactionId
from entrepot.db import targets as db_targets
from entrepot.db import transactions as db_transactions
from entrepot.operations import building, compiling, targets
from entrepot.settings import Settings
from tests.support.archives import make_source_package
from tests.support.fake_cran import FakeCran
from tests.support.git import Repo
from tests.support.gitsite import OVER, finished
from tests.support.r import run_r
from tests.support.server import Clock, Live, eventually, installed, running, sync

pytestmark = [pytest.mark.r, pytest.mark.one_shape, pytest.mark.usefixtures("rscript", "sandboxed")]
PLATFORM = "distribution=bookworm&r_version={r}&arch={arch}"


@pytest.fixture
def live(settings: Settings, clock: Clock, cran: FakeCran) -> Iterator[Live]:
    """A repository of a local and a git source, and a mirror with one package."""
    cran.add("leaf", "1.0", make_source_package("leaf", "1.0"))
    cran.publish()
    sections = {
        "git": settings.git.model_copy(update={"allow_file": True}),
        "cran": settings.cran.model_copy(update={"upstream": cran.url}),
    }
    with installed(settings.model_copy(update=sections), clock) as app, running(app) as site:
        sync(app)
        assert site.api("POST", "/repos", {"name": "team", "type": "r"})[0] == 201
        for name, type_ in (("local", "local"), ("git", "git"), ("cran", None)):
            if type_ is not None:
                assert site.api("POST", "/sources", {"name": name, "type": type_})[0] == 201
            assert site.api("POST", "/repos/team/sources", {"source": name})[0] == 200
        yield site


def c_package(name: str, version: str, code: str, **fields: str) -> tuple[str, bytes]:
    """A package with a C function `NAME_number` that an R function `number` calls."""
    source = f"""
        #include <Rinternals.h>
        #include <R_ext/Rdynload.h>
        {code}
        static SEXP number(void) {{ return Rf_ScalarInteger(NUMBER); }}
        static const R_CallMethodDef calls[] = {{{{"number", (DL_FUNC) &number, 0}}, {{NULL, NULL, 0}}}};
        void R_init_{name}(DllInfo *dll) {{ R_registerRoutines(dll, NULL, calls, NULL, NULL); }}
    """
    files = {
        "NAMESPACE": f"useDynLib({name})\nexport(number)\n".encode(),
        "R/x.R": f'number <- function() .Call("number", PACKAGE = "{name}")\n'.encode(),
        "src/code.c": source.encode(),
        "inst/include/number.h": f"#define NUMBER {version.partition('.')[0]}\n".encode(),
    }
    data = make_source_package(name, version, fields={"NeedsCompilation": "yes", **fields}, files=files)
    return f"{name}_{version}.tar.gz", data


def headers(version: str) -> tuple[str, bytes]:
    return c_package("headers", version, f"#define NUMBER {version.partition('.')[0]}")


LINKED = c_package("linked", "1.0", "#include <number.h>", LinkingTo="headers", Imports="leaf")
BROKEN = c_package("broken", "1.0", "#error <b>no & never</b>")


def upload(live: Live, *files: tuple[str, bytes]) -> None:
    status, told = live.upload("local", *files)
    assert status in (200, 201), told


def create(live: Live, **more: Any) -> dict[str, Any]:
    """A new target for bookworm, and the result of its first run."""
    status, told = live.api("POST", "/build-targets", {"distribution": "bookworm", **more})
    assert status == 201, told
    return finished(live, told["job"])


def due(live: Live) -> list[dict[str, Any]]:
    """The results of the runs that changes brought."""
    jobs = targets.request_due(live.app)
    for job in jobs:
        wake(live, job.id)
    return [finished(live, {"id": job.id}) for job in jobs]


def wake(live: Live, job: int) -> None:
    """As the runner of a server would: that of the test does what it is asked for alone."""
    name = live.api("GET", "/build-targets")[1][0]["name"]
    assert live.api("POST", f"/build-targets/{name}/run", {})[1]["id"] == job


def names(done: list[dict[str, Any]]) -> list[str]:
    return [f"{each['source']}/{each['package']} {each['version']}" for each in done]


def platform(live: Live) -> dict[str, str]:
    (target,) = live.api("GET", "/build-targets")[1]
    return {"r": ".".join(target["r_version"].split(".")[:2]), "arch": target["arch"]}


def install(live: Live, package: str, snapshot: str | int, lib: Path) -> str:
    """What R says while it installs a package and those that it needs, as a user of bookworm."""
    return run_r(
        f"""
        options(HTTPUserAgent = sprintf("R/%s R (%s)", getRversion(),
                paste(getRversion(), R.version$platform, R.version$arch, R.version$os)))
        install.packages("{package}", repos = "{live.address}/team/__linux__/bookworm/{snapshot}")
        cat("@", {package}::number(), "\\n")
        """,
        lib=lib,
    ).stdout


def test_r_installs_what_was_built_and_what_changed_is_built_again(live: Live, tmp_path: Path) -> None:
    upload(live, headers("1.0"), LINKED)
    first = create(live)
    assert names(first["built"]) == ["cran/leaf 1.0", "local/headers 1.0", "local/linked 1.0"]
    assert first["faults"] == []
    # Those of one architecture and those of any are both there, each beside its source package.
    said = install(live, "linked", "latest", tmp_path / "first")
    assert "@ 1" in said
    done = run_r("cat(packageDescription('linked')$Built)", lib=tmp_path / "first").stdout
    assert "linux" in done
    with live.app.db.read() as connection:
        before = db_transactions.newest(connection)

    assert due(live) == []
    upload(live, headers("2.0"))
    (second,) = due(live)
    assert names(second["built"]) == ["local/headers 2.0", "local/linked 1.0"]
    assert second["ready"] == 3
    (build, *_), linking = live.api("GET", "/binary-builds?name=linked")[1], {"headers": "2.0"}
    assert (build["linking"], build["status"], build["exit_code"]) == (linking, "built", 0)
    assert "@ 2" in install(live, "linked", "latest", tmp_path / "second")
    assert "@ 1" in install(live, "linked", before, tmp_path / "before")
    assert due(live) == []
    status, told = live.api("POST", "/build-targets/bookworm-none/run", {})
    assert (status, told["code"]) == (404, "target-not-found")


def test_r_says_that_the_packages_are_binary(live: Live, tmp_path: Path) -> None:
    """A package comes from Git, is compiled, and R installs it without compiling."""
    repo = Repo(tmp_path / "served" / "demo.git")
    repo.commit({
        "DESCRIPTION": "Package: demo\nVersion: 1.0\nTitle: A Demo\nDescription: It demonstrates.\nAuthor: A Person\n"
        "Maintainer: A Person <person@example.org>\nLicense: MIT\n",
        "NAMESPACE": "useDynLib(demo)\nexport(number)\n",
        "R/x.R": 'number <- function() .Call("number", PACKAGE = "demo")\n',
        "src/code.c": "#include <Rinternals.h>\nSEXP number(void) { return Rf_ScalarInteger(7); }\n",
    })  # fmt: skip
    assert create(live, sources=["git"])["built"] == []
    status, told = live.api("POST", "/sources/git/git-builders", {"url": repo.file_url})
    assert status == 201, told
    (made,) = finished(live, told["job"])["builds"]
    (ran,) = due(live)
    assert names(ran["built"]) == [f"git/demo {made['version']}"]
    script = f"""
        options(HTTPUserAgent = sprintf("R/%s R (%s)", getRversion(),
                paste(getRversion(), R.version$platform, R.version$arch, R.version$os)))
        said <- system2(file.path(R.home("bin"), "R"), c("CMD", "INSTALL", "-l", shQuote(.libPaths()[1]),
            {{ download.file("{live.address}/team/__linux__/bookworm/latest/src/contrib/demo_{made["version"]}.tar.gz",
               f <- file.path(tempdir(), "demo.tar.gz"), quiet = TRUE); shQuote(f) }}), stdout = TRUE, stderr = TRUE)
        cat(said, sep = "\\n")
        cat("@", demo::number(), "\\n")
    """
    said = run_r(script, lib=tmp_path / "lib").stdout
    assert "installing *binary* package" in said
    assert "@ 7" in said


def test_failures_stay_by_themselves(live: Live) -> None:
    needs_broken = ("needy_1.0.tar.gz", make_source_package("needy", "1.0", fields={"Imports": "broken"}))
    lacking = ("lacking_1.0.tar.gz", make_source_package("lacking", "1.0", fields={"Imports": "nowhere"}))
    one = ("one_1.0.tar.gz", make_source_package("one", "1.0", fields={"Imports": "two"}))
    two = ("two_1.0.tar.gz", make_source_package("two", "1.0", fields={"Imports": "one"}))
    upload(live, BROKEN, needs_broken, lacking, one, two, headers("1.0"))
    ran = create(live, name="fails")
    assert names(ran["built"]) == ["local/headers 1.0"]
    assert names(ran["failed"]) == ["local/broken 1.0"]
    reasons = {each["package"]: each["reason"] for each in ran["skipped"]}
    assert reasons["needy"] == "needs broken, which failed"
    assert reasons["lacking"] == "needs nowhere, which neither its source nor the target's repository has"
    assert reasons["one"] == reasons["two"] == "needs packages that need each other in a circle"

    where = PLATFORM.format(**platform(live))
    page = live.get(f"/__api__/repos/team/packages/broken/binaries/logs?{where}&version=1.0")
    text = page.data.decode()
    assert page.headers["Content-Type"].startswith("text/html")
    for heading in ("Name", "Version", "Platform", "Exit code", "Started", "Ended", "Duration", "System dependencies"):
        assert f"<h2>{heading}</h2>" in text
    assert "&lt;b&gt;no &amp; never&lt;/b&gt;" in text
    assert "<b>" not in text
    assert live.api("GET", f"/repos/team/packages/broken/binaries/logs?{where}&version=9")[0] == 404
    assert live.api("GET", f"/repos/team/packages/needy/binaries/logs?{where}")[0] == 404
    wrong = where.replace("r_version=", "r_version=4.")
    assert live.api("GET", f"/repos/team/packages/broken/binaries/logs?{wrong}")[0] == 400

    again = finished(live, live.api("POST", "/build-targets/fails/run", {})[1])
    assert (again["built"], again["failed"]) == ([], [])
    rerun = finished(live, live.api("POST", "/build-targets/fails/rerun", {"package": "broken"})[1])
    assert names(rerun["failed"]) == ["local/broken 1.0"]
    assert live.api("POST", "/build-targets/fails/rerun", {"package": "headers"})[0] == 404
    (first, second) = live.api("GET", "/binary-builds?name=broken&status=failed")[1]
    assert first["error"].startswith("R CMD INSTALL failed: ")
    assert "never" in live.api("GET", f"/binary-builds/{second['id']}/log")[1]["log"]


def test_nothing_is_half_published(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash within the transaction leaves neither the binary nor the attempt; the next run makes both."""
    upload(live, ("pure_1.0.tar.gz", make_source_package("pure", "1.0")))
    add = db_targets.add_build

    def crashing(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(db_targets, "add_build", crashing)
    status, told = live.api("POST", "/build-targets", {"distribution": "bookworm"})
    assert status == 201
    over = eventually(
        lambda: live.api("GET", f"/jobs/{told['job']['id']}")[1], lambda job: job["state"] in OVER, seconds=60
    )
    assert over["state"] == "failed"
    assert live.api("GET", "/binary-builds")[1] == []
    # A run that went wrong is due again after a while, not at once.
    assert targets.request_due(live.app) == []
    monkeypatch.setattr(db_targets, "add_build", add)
    name = told["target"]["name"]
    ran = finished(live, live.api("POST", f"/build-targets/{name}/run", {})[1])
    assert names(ran["built"]) == ["local/pure 1.0"]


def test_a_shell_elsewhere_builds(live: Live, tmp_path: Path) -> None:
    """A command that runs a shell, which could be that of another system: it gets all that a build needs."""
    upload(live, headers("1.0"), LINKED)
    noise = tmp_path / "shell"
    noise.write_text('#!/bin/sh\necho welcome to "$1"\nexec sh -s\n')
    noise.chmod(0o755)
    ran = create(live, command=f"{noise} {{distribution}}/{{package}}", r=str(shutil.which("R")))
    assert names(ran["built"]) == ["cran/leaf 1.0", "local/headers 1.0", "local/linked 1.0"]
    assert "@ 1" in install(live, "linked", "latest", tmp_path / "lib")

    upload(live, headers("2.0"))
    noise.write_text("#!/bin/sh\nexit 255\n")
    (job,) = targets.request_due(live.app)
    wake(live, job.id)
    over = eventually(lambda: live.api("GET", f"/jobs/{job.id}")[1], lambda each: each["state"] in OVER, seconds=60)
    assert over["state"] == "failed"
    (target,) = live.api("GET", "/build-targets")[1]
    assert "runs no shell that takes our script" in target["fault"]
    assert targets.request_due(live.app) == []


def test_the_r_of_a_target(live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = shutil.which("R")
    program = tmp_path / "R"
    program.write_text(f'#!/bin/sh\nexec {real} "$@"\n')
    program.chmod(0o755)
    for body, word in (
        ({"distribution": "no-such"}, "there is no distribution"),
        ({"distribution": "bookworm", "r": str(tmp_path / "none")}, "there is no R that works at"),
        ({"distribution": "bookworm", "r": "/bin/true"}, "there is no R that works at"),
        ({"distribution": "bookworm", "r": str(tmp_path / "none"), "command": "sh -s"}, "is no R that works there"),
        ({"distribution": "bookworm", "command": "sh '"}, "the command can't be read"),
        ({"distribution": "bookworm", "sources": ["cran"]}, "not built by themselves"),
        ({"distribution": "bookworm", "repository": "pypi"}, "is of type python"),
    ):
        status, told = live.api("POST", "/build-targets", body)
        assert (status, word in told["error"]) == (422, True), told
        assert told["hint"]
    assert live.api("POST", "/build-targets", {"distribution": "bookworm", "repository": "none"})[0] == 404
    assert live.api("POST", "/build-targets", {"distribution": "bookworm", "command": "/no/such"})[0] == 503
    assert live.api("POST", "/build-targets", {"distribution": "bookworm"}, token="")[0] == 401

    create(live, name="own", r=str(program), distribution="debian12")
    assert live.api("POST", "/build-targets", {"distribution": "bookworm", "name": "own"})[0] == 409
    program.unlink()
    assert "there is no R that works" in fault(live, "own")
    program.symlink_to(str(real))
    with live.app.db.write(shows=False) as connection:
        (target,) = db_targets.live(connection)
        db_targets.change(connection, target.id, r_version="3.6.3")
    assert "it was made for 3.6" in fault(live, "own")

    def closed(_: Settings) -> None:
        raise SandboxUnavailable("bubblewrap (bwrap) is not installed", hint="install it")

    monkeypatch.setattr(building, "sandbox_of", closed)
    assert "bubblewrap (bwrap) is not installed" in fault(live, "own")
    assert live.api("DELETE", "/build-targets/own")[0] == 204
    assert live.api("GET", "/build-targets")[1] == []
    assert compiling.run(live.app, target.id, actor="", report=lambda *_: None, log=lambda _: None) is None


def fault(live: Live, name: str) -> str:
    """Why a run of a target fails, as the list of targets tells it then."""
    job = live.api("POST", f"/build-targets/{name}/run", {})[1]
    over = eventually(lambda: live.api("GET", f"/jobs/{job['id']}")[1], lambda each: each["state"] in OVER, seconds=60)
    assert over["state"] == "failed"
    return str(live.api("GET", f"/build-targets/{name}")[1]["fault"])


def test_a_cancelled_run_waits_for_a_change(live: Live, clock: Clock) -> None:
    upload(live, headers("1.0"))
    slow = ("slow_1.0.tar.gz", make_source_package("slow", "1.0", files={"R/x.R": b"Sys.sleep(600)\n"}))
    upload(live, slow)
    job = live.api("POST", "/build-targets", {"distribution": "bookworm"})[1]["job"]["id"]
    eventually(lambda: live.api("GET", f"/jobs/{job}")[1], lambda each: "slow" in str(each), seconds=60)
    assert live.api("POST", f"/jobs/{job}/cancel")[0] in (200, 202)
    eventually(lambda: live.api("GET", f"/jobs/{job}")[1], lambda each: each["state"] == "cancelled", seconds=30)
    assert [build["package"] for build in live.api("GET", "/binary-builds")[1]] == ["headers"]
    assert targets.request_due(live.app) == []
    clock.wait(minutes=1)
    upload(live, headers("2.0"))
    assert len(targets.request_due(live.app)) == 1


def test_what_is_seen(app: App) -> None:
    """A look without a target, and one at nothing, asks for no run."""
    assert targets.request_due(app) == []
    with app.db.read() as connection:
        assert db_targets.newest_concerning(connection, TransactionId(0), source_ids=[], repository_id=None) is None
