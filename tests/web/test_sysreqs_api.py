"""System requirements by API and command line: the shapes that clients know, what isn't known, and bad requests."""

from __future__ import annotations

import gzip
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from entrepot.app import App
from entrepot.cli.main import build
from entrepot.core.errors import Invalid
from entrepot.core.facts import Fact
from entrepot.db import facts as db_facts
from entrepot.db import jobs as db_jobs
from entrepot.db import sources as db_sources
from entrepot.db import sysreqs as db_sysreqs
from entrepot.operations import sysreqrules
from entrepot.settings import Settings, load_settings
from tests.support.archives import make_description, make_source_package
from tests.support.fake_cran import FakeCran
from tests.support.git import Repo
from tests.support.server import Clock, Live, opened, sync

pytestmark = pytest.mark.one_shape
UNSUPPORTED = "unsupported-system"
UBUNTU = "distribution=ubuntu&release=22.04"


def _linux(*distributions: str) -> list[dict[str, str]]:
    return [{"os": "linux", "distribution": name} for name in distributions]


RULES: dict[str, Any] = {
    "libcurl.json": {
        "patterns": [r"\blibcurl\b"],
        "dependencies": [
            {
                "packages": ["libcurl4-openssl-dev"],
                "apt_satisfy": ["libcurl4-openssl-dev | libcurl4-dev"],
                "constraints": _linux("ubuntu", "debian"),
            },
            {"packages": ["libcurl-devel"], "constraints": _linux("redhat")},
        ],
    },
    "java.json": {
        "patterns": [r"\bjava\b"],
        "dependencies": [
            {
                "packages": ["default-jdk"],
                "pre_install": [{"command": "apt-get update"}],
                "post_install": [{"command": "R CMD javareconf"}],
                "constraints": _linux("ubuntu"),
            }
        ],
    },
    "openssl.json": {
        "patterns": [r"\bopenssl\b"],
        "dependencies": [{"packages": ["libssl-dev"], "constraints": _linux("ubuntu")}],
    },
}


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A folder of rules, as the public database has them; one of them is no rule."""
    folder = tmp_path / "database"
    (folder / "rules").mkdir(parents=True)
    for name, value in RULES.items():
        (folder / "rules" / name).write_text(json.dumps(value))
    (folder / "rules" / "bad.json").write_text('{"patterns": []}')
    (folder / "schema.json").write_text("{}")
    return folder


@pytest.fixture
def settings(settings: Settings, rules: Path) -> Settings:
    section = settings.sysreqs.model_copy(update={"rules": str(rules)})
    git = settings.git.model_copy(update={"allow_file": True})
    return settings.model_copy(update={"sysreqs": section, "git": git})


def _read(app: App) -> sysreqrules.Read:
    return sysreqrules.read(app, report=lambda *_: None, log=lambda _: None)


def _package(name: str, **fields: str) -> bytes:
    return make_source_package(name, "1.0", fields=fields)


def _hide_requirements(cran: FakeCran) -> None:
    """Let the index be as CRAN's own, which doesn't tell SystemRequirements."""
    index = cran.find("src/contrib/PACKAGES.gz")
    assert index is not None
    lines = gzip.decompress(index.data).splitlines(keepends=True)
    kept = b"".join(line for line in lines if not line.startswith(b"SystemRequirements:"))
    cran.put("src/contrib/PACKAGES.gz", gzip.compress(kept, mtime=0), index.modified)


@pytest.fixture
def served(live_mirrored: Live, cran: FakeCran) -> Live:
    """A mirror of five packages, with rules: app -> middle -> net, and jvm and calm, which app suggests."""
    cran.add("app", "1.0", _package("app", Imports="middle (>= 1), utils", Suggests="jvm", SystemRequirements="C++17"))
    cran.add("middle", "1.0", _package("middle", Depends="R (>= 4.0)", LinkingTo="net", Imports="gone"))
    cran.add("net", "1.0", _package("net", SystemRequirements="libcurl (>= 7.1),\n  OpenSSL"))
    cran.add("jvm", "1.0", _package("jvm", SystemRequirements="Java"))
    cran.add("calm", "1.0", _package("calm"))
    cran.publish()
    _hide_requirements(cran)
    sync(live_mirrored.app)
    _read(live_mirrored.app)
    cran.requests.clear()
    return live_mirrored


NET = {
    "packages": ["libcurl4-openssl-dev", "libssl-dev"],
    "apt_satisfy": ["libcurl4-openssl-dev | libcurl4-dev"],
    "pre_install": [],
    "install_scripts": ["apt-get install -y libcurl4-openssl-dev", "apt-get install -y libssl-dev"],
    "post_install": [],
}
JVM = {
    "packages": ["default-jdk"],
    "apt_satisfy": [],
    "pre_install": [{"command": "apt-get update"}],
    "install_scripts": ["apt-get install -y default-jdk"],
    "post_install": [{"command": "R CMD javareconf"}],
}
NOTHING: dict[str, Any] = {key: [] for key in NET}


def test_packages_with_their_dependencies(served: Live, cran: FakeCran) -> None:
    """What CRAN's index doesn't tell is read from heads of tarballs, once; packages without needs are left out."""
    asked = served.api("GET", f"/repos/1/sysreqs?all=false&pkgname=app&pkgname=jvm&{UBUNTU}", token="")
    rows = [{"name": "jvm", "requirements": JVM}, {"name": "net", "requirements": NET}]
    assert asked == (200, {"requirements": rows, "unread": []})
    assert cran.count("src/contrib/net_1.0.tar.gz") == 1
    assert served.api("GET", f"/repos/cran/sysreqs?pkgname=net&{UBUNTU}")[1]["requirements"] == rows[1:]
    assert cran.count("src/contrib/net_1.0.tar.gz") == 1
    assert served.api("GET", f"/repos/cran/sysreqs?pkgname=calm&{UBUNTU}")[1]["requirements"] == []


def test_all_packages(served: Live, cran: FakeCran, monkeypatch: pytest.MonkeyPatch) -> None:
    """Upstream is asked for a few that nobody knows of; of more, their names are told."""
    monkeypatch.setattr("entrepot.sources.facts.MOST_READ", 2)
    with served.app.db.write() as connection:
        source = db_sources.get(connection, "cran")
        facts = [Fact("net", "1.0", None, "libcurl"), Fact("jvm", "0.9", None, "Java"), Fact("calm", "1.0", None, None)]
        db_facts.add(connection, source.id, facts)
    status, found = served.api("GET", f"/repos/cran/sysreqs?all=true&{UBUNTU}")
    assert (status, [row["name"] for row in found["requirements"]]) == (200, ["net"])
    assert found["requirements"][0]["requirements"]["packages"] == ["libcurl4-openssl-dev"]
    assert found["unread"] == ["app", "jvm", "middle"]
    assert cran.requests == []
    monkeypatch.undo()
    found = served.api("GET", f"/repos/cran/sysreqs?all=true&{UBUNTU}")[1]
    assert ([row["name"] for row in found["requirements"]], found["unread"]) == (["jvm", "net"], [])


def test_one_package_and_its_dependencies(served: Live) -> None:
    found = served.api("GET", f"/repos/cran/packages/app/sysreqs?{UBUNTU}", token="")
    assert found == (200, {"name": "app", **NOTHING, "dependencies": [{"name": "net", **NET}], "unread": []})
    _, found = served.api("GET", "/repos/cran/packages/net/sysreqs?distribution=rhel&release=9.3")
    assert found["install_scripts"] == ["dnf install -y libcurl-devel"]


def test_a_description_as_remotes_sends_it(served: Live) -> None:
    """Any type of content, no token; what the repository lacks is passed over."""
    text = make_description(
        "own", "0.1", fields={"Imports": "middle, elsewhere", "Suggests": "jvm", "SystemRequirements": "openssl"}
    )

    def posted(query: str, body: bytes) -> tuple[int, Any]:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        url = f"{served.address}/__api__/repos/1/sysreqs?{UBUNTU}{query}"
        answer = served.pool.request("POST", url, body=body, headers=headers)
        return answer.status, answer.json()

    own = {"name": "own", **NOTHING, "packages": ["libssl-dev"], "install_scripts": ["apt-get install -y libssl-dev"]}
    dependencies = [{"name": "jvm", **JVM}, {"name": "net", **NET}]
    assert posted("&suggests=true", text.encode()) == (200, {**own, "dependencies": dependencies, "unread": []})
    assert posted("", text.encode())[1]["dependencies"] == dependencies[1:]
    assert posted("", b"<html>")[0] == 422
    assert posted("", b"")[0] == 422
    assert posted("", b"Package: x\n" * 100_000)[0] == 413


def test_local_packages_tell_in_their_index_entry(served: Live) -> None:
    served.api("POST", "/sources", {"name": "own", "type": "local"})
    served.api("POST", "/repos", {"name": "team", "type": "r"})
    served.api("POST", "/repos/team/sources", {"source": "own"})
    mine, still = _package("mine", SystemRequirements="java"), _package("still")
    files = [("mine_1.0.tar.gz", mine), ("still_1.0.tar.gz", still)]
    assert served.upload("own", *files)[0] in (200, 201)
    found = served.api("GET", f"/repos/team/sysreqs?pkgname=mine&pkgname=still&{UBUNTU}")[1]
    assert found == {"requirements": [{"name": "mine", "requirements": JVM}], "unread": []}


def test_an_upstream_that_is_away_leaves_them_unread(served: Live, cran: FakeCran) -> None:
    cran.fail("*", 404)
    found = served.api("GET", f"/repos/cran/sysreqs?pkgname=net&{UBUNTU}")
    assert found == (200, {"requirements": [], "unread": ["net"]})


@pytest.mark.parametrize(
    ("path", "status", "code", "said"),
    [
        (f"/repos/cran/sysreqs?pkgname=app&pkgname=nope&{UBUNTU}", 404, "package-not-found", "no package 'nope' at"),
        (f"/repos/cran/sysreqs?{UBUNTU}", 422, "invalid", "no package is named"),
        ("/repos/cran/sysreqs?pkgname=app&distribution=ubuntu&release=99.04", 400, UNSUPPORTED, "Unsupported system"),
        ("/repos/cran/sysreqs?pkgname=app&distribution=beos&release=5", 400, UNSUPPORTED, "Unsupported system"),
        ("/repos/cran/sysreqs?pkgname=app&distribution=ubuntu", 422, "invalid", "release: Field required"),
        (f"/repos/pypi/sysreqs?pkgname=app&{UBUNTU}", 422, "wrong-type", "R packages alone"),
        (f"/repos/nope/sysreqs?pkgname=app&{UBUNTU}", 404, "repository-not-found", "nope"),
        (f"/repos/cran/packages/nope/sysreqs?{UBUNTU}", 404, "package-not-found", "nope"),
    ],
)
def test_what_can_not_be_answered_has_a_code(served: Live, path: str, status: int, code: str, said: str) -> None:
    found, body = served.api("GET", path)
    assert (found, body["code"]) == (status, code)
    assert said in body["error"]


def test_without_rules_the_error_says_what_to_do(live: Live) -> None:
    status, body = live.api("GET", f"/repos/cran/sysreqs?pkgname=app&{UBUNTU}")
    assert (status, body["code"]) in {(503, "never-synced"), (503, "sysreqs-rules-unavailable")}
    assert live.api("GET", "/sysreqs/rules")[1] | {"configured": "", "systems": []} == {
        **{"configured": "", "origin": None, "read": None, "digest": None, "count": 0, "faults": [], "systems": []}
    }


def _run(live: Live, *words: str) -> tuple[int, str, str]:
    command = [*words, f"--address={live.address}", f"--token={live.token}"]
    found = CliRunner().invoke(build(), command)
    return found.exit_code, found.stdout, found.stderr


def test_rules_are_read_by_the_command_line(live_mirrored: Live, rules: Path) -> None:
    """Faults are told by the job and by the API; without a token nobody reads them again."""
    code, said, told = _run(live_mirrored, "sync", "--type=sysreqs", "--quiet")
    assert (code, said) == (0, f"Rules of system requirements: 3 from {rules} read; 1 fault\n")
    assert "bad.json: patterns: " in told
    assert "are as before" in _run(live_mirrored, "sync", "--type=sysreqs", "--quiet")[1]
    found = live_mirrored.api("GET", "/sysreqs/rules", token="")[1]
    assert (found["count"], found["origin"], len(found["faults"])) == (3, str(rules), 1)
    assert {"distribution": "ubuntu", "release": "22.04"} in found["systems"]
    assert live_mirrored.api("POST", "/sysreqs/rules/sync", {}, token="")[0] == 401


def test_list_requirements_says_what_to_run(served: Live) -> None:
    where = ("list", "requirements", "--repo=cran", "--distribution=ubuntu", "--release=22.04")
    code, said, told = _run(served, *where, "--packages=app,jvm")
    assert (code, said.splitlines()) == (
        0,
        [
            "apt-get update",
            "apt-get install -y default-jdk libcurl4-openssl-dev libssl-dev",
            "R CMD javareconf",
        ],
    )
    assert told.splitlines() == ["jvm: default-jdk", "net: libcurl4-openssl-dev, libssl-dev"]
    assert _run(served, *where, "--packages=calm")[1:] == ("", "Nothing is needed\n")
    found = json.loads(_run(served, *where, "--packages=*", "-o", "json")[1])
    assert [row["name"] for row in found["requirements"]] == ["jvm", "net"]
    assert _run(served, *where, "--packages=nope")[0] == 4
    assert _run(served, *where[:4], "--release=1", "--packages=app")[0] == 2


def _archives(rules: Path, folder: Path) -> list[Path]:
    """The rules as archives of several kinds, below a folder of their own."""
    made = [folder / f"rules.{suffix}" for suffix in ("tar.gz", "tar.xz", "zip")]
    for path, mode in zip(made[:2], ("w:gz", "w:xz"), strict=True):
        with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
            tar.add(rules, arcname="database-1")
    with zipfile.ZipFile(made[2], "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(rules.rglob("*.json")):
            archive.write(path, Path("database-1", path.relative_to(rules)))
    return made


def test_rules_from_archives_folders_and_git_are_the_same(settings: Settings, rules: Path, tmp_path: Path) -> None:
    repository = Repo(tmp_path / "repository")
    files = {str(path.relative_to(rules)): path.read_bytes() for path in rules.rglob("*.json")}
    repository.commit(files)
    origins = [*map(str, _archives(rules, tmp_path)), str(rules), str(rules / "rules"), repository.file_url]
    origins.append((tmp_path / "rules.tar.gz").as_uri())
    found = []
    for origin in origins:
        section = settings.sysreqs.model_copy(update={"rules": origin})
        with opened(settings.model_copy(update={"sysreqs": section})) as app:
            read = _read(app)
            with app.db.read() as connection:
                found.append((read.rules, len(read.told.faults), db_sysreqs.rules(connection)))
    assert found == [(3, 1, RULES)] * len(origins)


def test_rules_that_can_not_be_read_leave_those_in_use(settings: Settings, rules: Path, tmp_path: Path) -> None:
    """And the error says which setting it is about."""
    with opened(settings) as app:
        assert (_read(app).is_new, _read(app).is_new) == (True, False)
    empty, broken = tmp_path / "empty", tmp_path / "broken.tar.gz"
    empty.mkdir()
    broken.write_bytes((_archives(rules, tmp_path)[0]).read_bytes()[:-100])
    for origin, said in ((empty, "no rules in"), (broken, "no archive that can be read"), (tmp_path / "x", "can't be")):
        section = settings.sysreqs.model_copy(update={"rules": str(origin)})
        with opened(settings.model_copy(update={"sysreqs": section})) as app:
            with pytest.raises(Invalid, match=said):
                _read(app)
            with app.db.read() as connection:
                assert db_sysreqs.rules(connection) == RULES


def test_the_schedule_brings_the_rules(settings: Settings) -> None:
    """At once where they were never read, then by the cron expression; not without rules."""
    clock = Clock()
    with opened(settings, clock) as app:
        assert sysreqrules.is_due(app)
        job = sysreqrules.request(app, actor="test")
        assert not sysreqrules.is_due(app)
        with app.db.write() as connection:
            db_jobs.change(connection, job.id, state="done", finished=clock())
        assert not sysreqrules.is_due(app)
        clock.wait(hours=24)
        assert sysreqrules.is_due(app)
    without = settings.model_copy(update={"sysreqs": settings.sysreqs.model_copy(update={"rules": ""})})
    with opened(without, clock) as app:
        assert not sysreqrules.is_due(app)
        with pytest.raises(Invalid, match="no rules of system requirements to read"):
            sysreqrules.request(app, actor="test")


def test_the_settings_name_paths_beside_them_and_urls(tmp_path: Path) -> None:
    file = tmp_path / "entrepot.toml"
    for said, meant in (
        ("rules", str(tmp_path / "rules")),
        ("https://index.example.org/rules.git", "https://index.example.org/rules.git"),
        ("git@index.example.org:rules.git", "git@index.example.org:rules.git"),
        ("", ""),
    ):
        file.write_text(f'[sysreqs]\nrules = "{said}"\n')
        assert load_settings(file, {}).sysreqs.rules == meant
