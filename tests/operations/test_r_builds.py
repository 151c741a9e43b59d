"""Packages of R built from checkouts by real R in the real sandbox: what comes out, what is refused, what leaks."""

from __future__ import annotations

import os
import shutil
import socket
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from entrepot.app import App
from entrepot.core.errors import (
    BuildFailed,
    BuildStopped,
    Cancelled,
    InvalidSettings,
    SandboxUnavailable,
    Unavailable,
    UpstreamUnavailable,
)
from entrepot.core.jobs import no_log
from entrepot.core.model import PackageName, RepositoryType, SourceType
from entrepot.ecosystems.r import tarball
from entrepot.ecosystems.r.build import Described
from entrepot.fetch import Fetch
from entrepot.git.checkout import Checkout
from entrepot.operations import repositories, vignettes
from entrepot.operations.builds import Ask, Built
from entrepot.operations.curating import Curation
from entrepot.operations.packages import Upload, add_files
from entrepot.operations.rbuilds import build_r, find_r, read_name
from entrepot.operations.sources import create_source
from entrepot.sandbox.box import Sandbox, open_sandbox, workplace
from entrepot.sandbox.task import Check, Limits, Task
from entrepot.settings import Git, Settings
from tests.support.archives import make_description, make_source_package
from tests.support.fake_cran import FakeCran
from tests.support.server import sync

pytestmark = [pytest.mark.r, pytest.mark.one_shape]
STAMP = 1537204599
TINY: Mapping[str, bytes] = {"NAMESPACE": b"export(f)\n", "R/f.R": b"f <- function() 1\n"}
LIMITS = Limits(seconds=120, memory=1024**3, disk=256 * 1024**2, processes=128)


@pytest.fixture
def place(app: App, rscript: Path) -> Iterator[Path]:
    """A folder that builds may be given folders of."""
    folder = Path(tempfile.mkdtemp(prefix="test-", dir=workplace(app.settings.server.data_dir)))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def box() -> Sandbox:
    try:
        return open_sandbox(limits=LIMITS, allow_unsandboxed=False)
    except SandboxUnavailable as error:
        pytest.skip(f"no sandbox here: {error.message}")


@dataclass
class Site:
    """A repository's tree, and builds of what is in it."""

    app: App
    box: Sandbox
    place: Path
    lines: list[str] = field(default_factory=list)
    asked: int = 0

    def write(self, files: Mapping[str, bytes], *, executable: bool = False) -> None:
        for path, data in files.items():
            file = self.place / "tree" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
            file.chmod(0o755 if executable else 0o644)
        for folder, _, _ in os.walk(self.place / "tree"):
            Path(folder).chmod(0o755)

    def package(self, sub_dir: str = "", version: str = "1.1-3", **fields: str | None) -> None:
        """A tiny package as people keep it in Git."""
        described = {"Packaged": None, "NeedsCompilation": None} | fields
        files = {**TINY, "DESCRIPTION": make_description("demo", version, fields=described).encode()}
        self.write({f"{sub_dir}/{path}" if sub_dir else path: data for path, data in files.items()})

    def ask(self, **more: object) -> Ask:
        asked = Ask(
            Checkout(self.place / "tree", "0" * 40, STAMP, STAMP),
            sub_dir="",
            name=None,
            tag=None,
            stamp=STAMP,
            newest=None,
            build_vignettes=False,
        )
        return replace(asked, **more)  # type: ignore[arg-type]

    def build(self, **more: object) -> Built:
        self.asked += 1
        folder = self.place / f"built{self.asked}"
        folder.mkdir()
        self.lines.clear()
        try:
            return build_r(self.app, self.box, self.ask(**more), folder, log=self.lines.append, check=lambda: None)
        except BuildFailed:
            assert list(folder.iterdir()) == []
            raise

    @property
    def log(self) -> str:
        return "\n".join(self.lines)


@pytest.fixture
def site(app: App, box: Sandbox, place: Path) -> Site:
    return Site(app, box, place)


def contents(built: Built) -> dict[str, bytes]:
    """Path -> content of the files in what was built; it is alone in its folder and under its name."""
    (path,) = built.files
    assert list(path.parent.iterdir()) == [path]
    assert path.name == f"{built.package}_{built.version}.tar.gz"
    with tarfile.open(path) as tar:
        members = {each.name: tar.extractfile(each) for each in tar if each.isfile()}
        return {name: file.read() for name, file in members.items() if file is not None}


def test_a_commit_gets_its_stamp(site: Site) -> None:
    """The package's own version and the commit's time, in the file's name, in DESCRIPTION and for R."""
    site.package()
    site.write({".git/objects/pack/noise": b"x", ".Rbuildignore": b"^notes$\n", "notes": b"mine", "inst/x": b"1\n"})
    built = site.build()
    assert (built.package, built.version) == (PackageName("demo"), "1.1-3.0.0.0.1537204599")
    found = contents(built)
    assert found.keys() == {f"demo/{path}" for path in ("DESCRIPTION", "NAMESPACE", "R/f.R", "inst/x")}
    assert b"\nVersion: 1.1-3.0.0.0.1537204599\n" in found["demo/DESCRIPTION"]
    assert "building ‘demo_1.1-3.0.0.0.1537204599.tar.gz’" in site.log


def test_a_commit_is_above_what_was_there(site: Site) -> None:
    """A package whose own version went down goes on from the one before, and the log says so."""
    site.package(version="1.0")
    assert site.build(newest="1.1.0.0.0.1600000000").version == "1.1.0.0.0.1600000001"
    assert "DESCRIPTION has version 1.0, the source had 1.1.0.0.0.1600000000 already" in site.log


@pytest.mark.parametrize("tag", ["1.1-3", "v1.1-3"])
def test_a_tag_keeps_its_version(site: Site, tag: str) -> None:
    """The version of a tag is the package's own."""
    site.package()
    before = (site.place / "tree/DESCRIPTION").read_bytes()
    assert site.build(tag=tag, newest="2.0").version == "1.1-3"
    assert (site.place / "tree/DESCRIPTION").read_bytes() == before


def test_a_package_in_a_folder_with_links_into_its_repository(site: Site) -> None:
    """A folder of any name; what is shared by several packages of one repository comes along."""
    site.package("packages/r-demo")
    site.write({"shared/data.csv": b"a,b\n1,2\n", "LICENSE": b"ours\n"})
    (site.place / "tree/packages/r-demo/LICENSE").symlink_to("../../LICENSE")
    (site.place / "tree/packages/r-demo/inst").symlink_to("../../shared")
    built = site.build(sub_dir="packages/r-demo", name=PackageName("demo"))
    found = contents(built)
    assert (found["demo/inst/data.csv"], found["demo/LICENSE"]) == (b"a,b\n1,2\n", b"ours\n")
    assert read_name(site.ask(sub_dir="packages/r-demo")) == "demo"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_description_in_another_encoding(site: Site, end: str) -> None:
    """Latin-1 comes out as Latin-1, whatever the line ends are; R wants it declared, we don't."""
    site.package(Encoding="latin1", Author="Jürgen Öztürk [aut, cre]")
    file = site.place / "tree/DESCRIPTION"
    file.write_bytes(file.read_text().replace("\n", end).encode("latin-1"))
    assert "Author: Jürgen Öztürk".encode("latin-1") in contents(site.build())["demo/DESCRIPTION"]


def test_a_package_with_c_code(site: Site) -> None:
    """src/ is packed as it is, without what a compiler left in it, and its cleanup runs."""
    site.package()
    site.write({"src/one.c": b"int one(void) { return 1; }\n", "src/one.o": b"left", "src/gone.txt": b"x"})
    site.write({"cleanup": b"#!/bin/sh\nrm -f src/gone.txt\n"}, executable=True)
    found = contents(site.build())
    assert {path for path in found if path.startswith("demo/src/")} == {"demo/src/one.c"}
    assert b"NeedsCompilation: yes" in found["demo/DESCRIPTION"]


def test_help_that_runs_code_needs_no_other_package(site: Site) -> None:
    """R installs the package for \\Sexpr in its help: what fails there is told with the way out."""
    rd = b"\\name{f}\\title{F}\\description{\\Sexpr[stage=build,results=text]{demo::f() + 40}}\n"
    site.package()
    site.write({"man/f.Rd": rd})
    assert "demo/build/partial.rdb" in contents(site.build())
    site.package(Imports="nosuch")
    with pytest.raises(BuildFailed, match="R CMD build failed: ERROR: dependency ‘nosuch’ is not available") as caught:
        site.build()
    assert "--build-vignettes" in (caught.value.hint or "")


def test_a_tag_of_another_version(site: Site) -> None:
    """The message says both, and nothing is built."""
    site.package()
    with pytest.raises(BuildFailed, match=r"the tag 'v1.2' is not the version of DESCRIPTION, 1.1-3"):
        site.build(tag="v1.2")
    assert site.lines == []


def test_another_name_than_the_builders(site: Site) -> None:
    """The message says both."""
    site.package()
    with pytest.raises(BuildFailed, match="of the package demo, the builder is for other"):
        site.build(name=PackageName("other"))


def test_no_package_there(site: Site) -> None:
    """No DESCRIPTION, none in the folder, no such folder, a folder elsewhere, a link as DESCRIPTION."""
    site.write({"one/README": b"", "two/x": b""})
    (site.place / "tree/two/DESCRIPTION").symlink_to("/etc/passwd")
    for sub_dir, told in (
        ("", "there is no DESCRIPTION in the root of the repository"),
        ("one", "there is no DESCRIPTION in one"),
        ("three", "there is no folder three"),
        ("../../etc", "leads out"),
        ("two", "two/DESCRIPTION in the repository is no regular file"),
    ):
        with pytest.raises(BuildFailed, match=told):
            site.build(sub_dir=sub_dir)
        with pytest.raises(BuildFailed, match=told):
            read_name(site.ask(sub_dir=sub_dir))


def test_what_r_refuses_is_told_in_one_line(site: Site) -> None:
    """R's reason is the message; all that it said is in the log."""
    site.package(Imports="utils (1.0")
    with pytest.raises(BuildFailed, match=r"meta-information [.]{3} ERROR Malformed Depends or Suggests or Imports"):
        site.build()
    assert "utils (1.0" in site.log


def test_a_link_that_leads_nowhere(site: Site) -> None:
    """Links out of the tree lead to nothing of this machine."""
    site.package()
    (site.place / "secret").write_text("secret")
    (site.place / "tree/inst").mkdir(mode=0o755)
    (site.place / "tree/inst/link").symlink_to(site.place / "secret")
    with pytest.raises(BuildFailed, match="R CMD build failed"):
        site.build()
    assert "inst/link" in site.log


def test_what_a_hostile_package_finds(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither our variables, keys, data and files nor any network: not in the log, not in the package."""
    monkeypatch.setenv("ENTREPOT_SECRET", "hunter2-environment")
    data_dir = site.app.settings.server.data_dir
    (data_dir / "key").write_text("hunter2-key")
    (site.place / "beside").write_text("hunter2-beside")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        site.package()
        script = f"""#!/bin/sh
            {{ env; cat /proc/*/environ | tr '\\0' '\\n'; cat /etc/shadow; cat '{data_dir}/key'; cat '{data_dir}'/*.db
              cat "$(R RHOME)/etc/Renviron.site" && echo TOKENS
              cat '{site.place}/beside'; ls -la '{data_dir}'; cat "$TREE/../beside"
              timeout 2 bash -c 'echo x > /dev/tcp/127.0.0.1/{port}' && echo REACHED
              echo changed > "$TREE/DESCRIPTION" && echo CHANGED
              echo x > /usr/bin/mine && echo WRITTEN
            }} > inst/found 2>&1
            cat inst/found
        """
        site.write({"inst/found": b""})
        site.write({"cleanup": script.encode()}, executable=True)
        description = (site.place / "tree/DESCRIPTION").read_bytes()
        found = contents(site.build(tag="1.1-3"))["demo/inst/found"].decode()
        listener.settimeout(0)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert "WORK=" in found  # it did run
    for text in (found, site.log):
        for secret in (
            "hunter2",
            "root:",
            "TOKENS",
            "REACHED",
            "CHANGED",
            "WRITTEN",
            "ENTREPOT_SECRET",
            "SQLite format",
        ):
            assert secret not in text
    assert (site.place / "tree/DESCRIPTION").read_bytes() == description


def test_a_forged_result_is_refused(site: Site) -> None:
    """A package that gives itself another version while it is built isn't taken for the one that was asked for; what
    comes out is read as an upload is."""
    site.package()
    script = b"#!/bin/sh\nsed -i 's/^Version: .*/Version: 9.9/' DESCRIPTION\n"
    site.write({"cleanup": script}, executable=True)
    with pytest.raises(BuildFailed, match=r"R CMD build made no demo_1.1-3.0.0.0.1537204599.tar.gz"):
        site.build()
    site.package()
    site.write({"cleanup": b"#!/bin/sh\nmkdir inst; touch 'inst/a\\b'\n"}, executable=True)
    with pytest.raises(BuildFailed, match=r"not a source package: .* has a backslash"):
        site.build()


def test_without_a_sandbox_the_same_comes_out(site: Site) -> None:
    """Where the administrator allows that."""
    site.package()
    site.box = Sandbox(LIMITS, is_isolated=False)
    assert contents(site.build()).keys() == {f"demo/{path}" for path in ("DESCRIPTION", "NAMESPACE", "R/f.R")}


def test_a_broken_r_is_no_fault_of_the_package(site: Site) -> None:
    """It is tried again later."""
    git = site.app.settings.git.model_copy(update={"r": str(site.place)})
    site.app = replace(site.app, settings=site.app.settings.model_copy(update={"git": git}))
    site.package()
    with pytest.raises(Unavailable, match="is no R that works"):
        site.build()


def test_a_build_without_an_end(site: Site) -> None:
    """The sandbox's limits are the build's; a cancelled one ends at once."""
    site.package()
    site.write({"cleanup": b"#!/bin/sh\nwhile :; do sleep 1; done\n"}, executable=True)
    site.box = open_sandbox(limits=replace(LIMITS, seconds=2), allow_unsandboxed=False)
    with pytest.raises(BuildStopped):
        site.build()
    folder = site.place / "cancelled"
    folder.mkdir()

    def check() -> None:
        if any("cleanup" in line for line in site.lines):
            raise Cancelled("enough")

    site.lines.clear()
    with pytest.raises(Cancelled):
        build_r(site.app, site.box, site.ask(), folder, log=site.lines.append, check=check)
    assert list(folder.iterdir()) == []


# --- vignettes -----------------------------------------------------------------------------------------------------

ENGINE = b"""
.onLoad <- function(libname, pkgname) tools::vignetteEngine("plain", package = pkgname, pattern = "[.]plain$",
    weave = function(file, ...) {
        out <- sub("[.]plain$", ".html", basename(file))
        writeLines(c("<html>", deep::greeting(), demo::f(), readLines(file), "</html>"), out)
        out
    },
    tangle = function(file, ...) {
        out <- sub("[.]plain$", ".R", basename(file))
        writeLines("demo::f()", out)
        out
    })
"""
VIGNETTE = b"%\\VignetteIndexEntry{Intro}\n%\\VignetteEngine{engine::plain}\nhere we are\n"


def stock(app: App, place: Path, **fields: str) -> App:
    """A repository of ours with a package that weaves vignettes, and what that needs; it is the one to be asked."""
    create_source(app, "internal", type_=SourceType.LOCAL)
    repositories.create_repository(app, "team", type_=RepositoryType.R)
    repositories.subscribe(app, "team", "internal", actor="test")
    deep = {"NAMESPACE": b"export(greeting)\n", "R/x.R": b'greeting <- function() "deep greeting"\n'}
    engine = {"NAMESPACE": b"import(deep)\n", "R/x.R": ENGINE}
    for name, files, more in (("deep", deep, {"Imports": "utils"}), ("engine", engine, {"Imports": "deep", **fields})):
        path = place / name
        path.write_bytes(make_source_package(name, "1.0", fields=more, files=files))
        add_files(app, "internal", [Upload(f"{name}_1.0.tar.gz", path)], actor="test")
    git = app.settings.git.model_copy(update={"r_repository": "team"})
    return replace(app, settings=app.settings.model_copy(update={"git": git}))


def test_vignettes_are_built_with_what_they_need(site: Site) -> None:
    """What they are written with comes from our own repository with all that it needs; without being asked, none."""
    site.app = stock(site.app, site.place)
    site.package(VignetteBuilder="engine", Suggests="engine (>= 1.0), stats")
    site.write({"vignettes/intro.plain": VIGNETTE})
    found = contents(site.build(build_vignettes=True))
    assert found["demo/inst/doc/intro.html"].split(b"\n")[:3] == [b"<html>", b"deep greeting", b"1"]
    assert "demo/build/vignette.rds" in found
    assert [line.split()[-2:] for line in site.lines if "installing *source*" in line][:2] == [
        ["‘deep’", "..."],
        ["‘engine’", "..."],
    ]
    assert not any("inst/doc" in path for path in contents(site.build()))
    assert "installing" not in site.log


def test_what_vignettes_need_and_nobody_has(site: Site) -> None:
    """All that is missing is told, with who needs it; nothing is run."""
    site.app = stock(site.app, site.place, Depends="R (>= 3.5), nosuch")
    site.package(VignetteBuilder="engine", Suggests="alsonot")
    site.write({"vignettes/intro.plain": VIGNETTE})
    with pytest.raises(BuildFailed, match=r"have: alsonot \(needed by demo\), nosuch \(needed by engine\)"):
        site.build(build_vignettes=True)
    assert not any("R CMD build" in line for line in site.lines)


@pytest.mark.parametrize("name", ["nowhere", "pypi"])
def test_no_repository_for_vignettes(site: Site, name: str) -> None:
    """A setting that leads nowhere is no fault of the package."""
    git = site.app.settings.git.model_copy(update={"r_repository": name})
    site.app = replace(site.app, settings=site.app.settings.model_copy(update={"git": git}))
    site.package()
    with pytest.raises(Unavailable) as caught:
        site.build(build_vignettes=True)
    assert "r_repository" in (caught.value.hint or "")


@pytest.fixture
def frozen(mirrored: App, cran: FakeCran) -> App:
    """A repository pinned to January, of which nobody has read what its packages need, nor has their files: top needs
    middle and two that come with R, middle needs bottom; in February top needed news."""
    for name, version, month, needs in (
        ("bottom", "0.1", 1, ""),
        ("middle", "1.0", 1, "bottom, methods"),
        ("top", "1.0", 1, "middle, utils, MASS"),
        ("news", "1.0", 2, ""),
        *((name, "9.0", 2, "news") for name in ("bottom", "middle", "top")),
    ):
        data = make_source_package(name, version, fields={"Imports": needs or None})
        cran.add(name, version, data, datetime(2024, month, 5, 9, tzinfo=UTC))
    cran.publish()
    sync(mirrored)
    create_source(mirrored, "january", type_=SourceType.CRAN_SNAPSHOT, curation=Curation("2024-01-31"))
    repositories.create_repository(mirrored, "frozen", type_=RepositoryType.R)
    repositories.subscribe(mirrored, "frozen", "january", actor="test")
    git = mirrored.settings.git.model_copy(update={"r_repository": "frozen"})
    return replace(mirrored, settings=mirrored.settings.model_copy(update={"git": git}))


def gathered(app: App, folder: Path, suggests: str, check: Check = lambda: None) -> tuple[str, ...]:
    """What vignettes that need some packages are given; R itself has MASS."""
    fields = {"Package": "demo", "Version": "1.0", "Suggests": suggests, "Depends": "R (>= 3.5), stats, demo"}
    of_r = folder / "library"
    (of_r / "MASS").mkdir(parents=True, exist_ok=True)
    (of_r / "MASS/DESCRIPTION").write_text("Package: MASS\n")
    described = Described(PackageName("demo"), "1.0", fields)
    return vignettes.gather(app, described, folder, of_r=of_r, log=no_log, check=check)


def test_what_is_needed_is_fetched_in_the_order_of_installing(frozen: App, cran: FakeCran, tmp_path: Path) -> None:
    """All of it at the versions that the repository shows, from upstream once; R's own packages are left out."""
    assert gathered(frozen, tmp_path, "top") == ("bottom_0.1.tar.gz", "middle_1.0.tar.gz", "top_1.0.tar.gz")
    for name, version in (("bottom", "0.1"), ("middle", "1.0"), ("top", "1.0")):
        with (tmp_path / f"{name}_{version}.tar.gz").open("rb") as file:
            assert tarball.describe(file)[0]["Version"] == version
    (tmp_path / "again").mkdir()
    with cran.closed():
        assert len(gathered(frozen, tmp_path / "again", "top")) == 3


def test_what_is_needed_and_upstream_does_not_give_now(frozen: App, cran: FakeCran, tmp_path: Path) -> None:
    """It is worth trying again: no fault of the package."""
    hasty = Fetch(timeout_connect=0.5, timeout_read=0.5, retries=0, deadline=2)
    try:
        with cran.closed(), pytest.raises(UpstreamUnavailable):
            gathered(replace(frozen, fetch=hasty), tmp_path, "bottom")
    finally:
        hasty.close()


def test_a_build_is_cancelled_while_files_are_fetched(frozen: App, tmp_path: Path) -> None:
    """Between two files at the latest."""
    asked = 0

    def check() -> None:
        nonlocal asked
        asked += 1
        if asked == 4:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        gathered(frozen, tmp_path, "top", check)


def test_what_is_needed_has_a_limit(frozen: App, tmp_path: Path) -> None:
    """What a build may write is the most that it is given."""
    git = frozen.settings.git.model_copy(update={"build_disk": 500})
    small = replace(frozen, settings=frozen.settings.model_copy(update={"git": git}))
    with pytest.raises(BuildFailed, match=r"larger than \[git\] build_disk"):
        gathered(small, tmp_path, "top")


def test_packages_that_need_each_other(app: App, tmp_path: Path) -> None:
    """No order installs them: told with the circle."""
    create_source(app, "internal", type_=SourceType.LOCAL)
    repositories.create_repository(app, "team", type_=RepositoryType.R)
    repositories.subscribe(app, "team", "internal", actor="test")
    for name, other in (("hen", "egg"), ("egg", "hen")):
        path = tmp_path / name
        path.write_bytes(make_source_package(name, "1.0", fields={"Imports": other}))
        add_files(app, "internal", [Upload(f"{name}_1.0.tar.gz", path)], actor="test")
    git = app.settings.git.model_copy(update={"r_repository": "team"})
    circular = replace(app, settings=app.settings.model_copy(update={"git": git}))
    with pytest.raises(BuildFailed, match=r"need each other: (hen > egg > hen|egg > hen > egg)"):
        gathered(circular, tmp_path, "hen")


# --- R itself ------------------------------------------------------------------------------------------------------


def with_r(r: str | Path) -> Settings:
    return Settings(git=Git(r=str(r)))


def test_r_is_found_by_its_program_or_its_folder(rscript: Path, tmp_path: Path) -> None:
    """On the PATH, by name, by its program, by a link to it, by its folder: always the same one."""
    found = find_r(Settings())
    assert found.version.count(".") == 2
    assert (found.home / "bin" / "R").is_file()
    assert all(path.exists() and len(path.parts) > 2 for path in found.folders)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/R").symlink_to(found.path)
    for named in ("R", found.path, found.home, tmp_path, tmp_path / "bin/R"):
        other = find_r(with_r(named))
        assert (other.version, other.home, other.folders) == (found.version, found.home, found.folders)


def test_an_r_that_does_not_work_is_a_wrong_setting(tmp_path: Path) -> None:
    """A path that isn't there, a program that isn't R, one that fails: each says which, and what to do."""
    (tmp_path / "true").write_text("#!/bin/sh\n")
    (tmp_path / "fails").write_text("#!/bin/sh\necho cannot load >&2\nexit 3\n")
    for name in ("true", "fails"):
        (tmp_path / name).chmod(0o755)
    for named in ("nothing", "true", "fails", "."):
        with pytest.raises(InvalidSettings, match=r"\[git\] r, ") as caught:
            find_r(with_r(tmp_path / named))
        assert caught.value.hint


def test_no_r_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without R only builders of R packages are off."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="no R on the PATH"):
        find_r(Settings())


def make_r(home: Path, *programs: Path) -> None:
    """What is asked of an R: its home and its version."""
    script = f'#!/bin/sh\n[ "$1" = RHOME ] && echo {home} || echo "R version 4.3.1 (2023-06-16) -- Beagle Scouts"\n'
    for program in (home / "bin/R", *programs):
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(script)
        program.chmod(0o755)
    (home / "etc").mkdir()


def test_an_r_of_its_own_is_given_without_the_rest_of_its_prefix(tmp_path: Path) -> None:
    """An R in somebody's home needs lib and bin there, and what its links lead to, not what else is there."""
    home, conf = tmp_path / "lib/R", tmp_path / "conf"
    make_r(home, tmp_path / "bin/R")
    for folder in (conf, tmp_path / ".ssh"):
        folder.mkdir()
    for name in ("Renviron", "Renviron.site"):
        (conf / name).write_text("")
        (home / "etc" / name).symlink_to(conf / name)
    found = find_r(with_r(tmp_path))
    assert (found.version, found.home) == ("4.3.1", home)
    assert found.folders == (tmp_path / "bin", tmp_path / "lib", conf / "Renviron")


def test_tokens_of_a_site_are_hidden_in_a_build(box: Sandbox, place: Path) -> None:
    """The home of an R is named to the sandbox where it has site files, which are empty inside."""
    home = place / "lib/R"
    make_r(home)
    (home / "etc/Renviron").write_text("USUAL=1\n")
    (home / "etc/Renviron.site").write_text("TOKEN=hunter2\n")
    found = find_r(with_r(home))
    assert found.folders == (place / "lib", home)
    cat = Task(("sh", "-c", f"cat {home}/etc/Renviron {home}/etc/Renviron.site"), programs=found.folders)
    box.run(cat, place / "result", log=no_log, check=lambda: None)
    assert (place / "result").read_text() == "USUAL=1\n"
