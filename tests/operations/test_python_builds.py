"""Python packages built from checkouts in the real sandbox: what comes out, what is refused, what leaks.

Most are built by a small backend of our own that lies in the tree (`backend-path`) or in a made-up index.
"""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import textwrap
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import distribution
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
from entrepot.core.model import PackageName
from entrepot.git.checkout import Checkout
from entrepot.operations import pythonprogram
from entrepot.operations.builds import Ask, Built
from entrepot.operations.pythonbuilds import build_python, find_python, read_name
from entrepot.sandbox.box import Sandbox, open_sandbox, workplace
from entrepot.sandbox.task import Check, Limits, Task
from entrepot.settings import Git, Settings
from tests.support.distributions import make_record, pack_zip, wheel
from tests.support.fake_pypi import FakePypi

pytestmark = pytest.mark.one_shape
STAMP = 1537204599
LIMITS = Limits(seconds=120, memory=1024**3, disk=256 * 1024**2, processes=128)
ROOT = Path(__file__).parents[2]
BACKEND = (ROOT / "tests/support/python_backend.py").read_text()
IN_TREE = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
DEMO = {"demo/__init__.py": "x = 1\n"}


@pytest.fixture
def place(proxied: App) -> Iterator[Path]:
    """A folder that builds may be given folders of."""
    folder = Path(tempfile.mkdtemp(prefix="test-", dir=workplace(proxied.settings.server.data_dir)))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def box() -> Sandbox:
    try:
        return open_sandbox(limits=LIMITS, allow_unsandboxed=False)
    except SandboxUnavailable as error:
        pytest.skip(f"no sandbox here: {error.message}")


def nothing() -> None:
    """A check that lets everything go on."""


@dataclass
class Site:
    """A repository's tree, and builds of what is in it."""

    app: App
    box: Sandbox
    place: Path
    lines: list[str] = field(default_factory=list)
    asked: int = 0

    @property
    def tree(self) -> Path:
        return self.place / "tree"

    def write(self, files: Mapping[str, str]) -> None:
        for path, text in files.items():
            file = self.tree / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(textwrap.dedent(text))
            file.chmod(0o644)
        for folder, _, _ in os.walk(self.tree):
            Path(folder).chmod(0o755)

    def project(self, version: str | None = "1.0", *, hook: str = "", head: str = IN_TREE, sub_dir: str = "") -> None:
        """A tiny project; `hook` is run when its sdist is built. Without a version it is that of its file VERSION."""
        told = f'version = "{version}"' if version is not None else 'dynamic = ["version"]'
        files = {
            **DEMO,
            "pyproject.toml": f'{head}[project]\nname = "demo"\n{told}\n',
            "backend.py": BACKEND,
            "hook.py": textwrap.dedent(hook),
        }
        self.write({f"{sub_dir}/{path}" if sub_dir else path: text for path, text in files.items()})

    def ask(self, **more: object) -> Ask:
        asked = Ask(
            Checkout(self.tree, "0" * 40, STAMP, STAMP),
            sub_dir="",
            name=PackageName("demo"),
            tag=None,
            stamp=STAMP,
            newest=None,
            build_vignettes=False,
        )
        return replace(asked, **more)  # type: ignore[arg-type]

    def build(self, *, check: Check = nothing, **more: object) -> Built:
        self.asked += 1
        folder = self.place / f"built{self.asked}"
        folder.mkdir()
        self.lines.clear()
        try:
            built = build_python(self.app, self.box, self.ask(**more), folder, log=self.lines.append, check=check)
        except BaseException:
            assert list(folder.iterdir()) == []
            raise
        assert sorted(folder.iterdir()) == sorted(built.files)
        return built

    @property
    def log(self) -> str:
        return "\n".join(self.lines)


@pytest.fixture
def site(proxied: App, box: Sandbox, place: Path) -> Site:
    return Site(proxied, box, place)


def names(built: Built) -> list[str]:
    return [path.name for path in built.files]


def in_sdist(built: Built) -> dict[str, str]:
    """Path below the top folder -> content."""
    with tarfile.open(built.files[0]) as tar:
        members = {each.name.partition("/")[2]: tar.extractfile(each) for each in tar if each.isfile()}
        return {name: file.read().decode() for name, file in members.items() if file is not None}


def publish_backend(pypi: FakePypi, *, requires: tuple[str, ...] = ()) -> None:
    """The backend as a package of the index."""
    pypi.add(*wheel("tiny-backend", "1.0", requires=requires, extra_files={"backend.py": BACKEND.encode()}))


FROM_INDEX = '[build-system]\nrequires = ["tiny-backend>=1"]\nbuild-backend = "backend"\n'


# --- versions and names --------------------------------------------------------------------------------------------


def test_a_commit_gets_its_stamp(site: Site) -> None:
    """Its own version and the commit's time, in both files, their metadata and the sdist's pyproject.toml."""
    site.project()
    built = site.build()
    assert (built.package, built.version) == (PackageName("demo"), "1.0.post1537204599")
    assert names(built) == ["demo-1.0.post1537204599.tar.gz", "demo-1.0.post1537204599-py3-none-any.whl"]
    assert 'version = "1.0.post1537204599"\n' in in_sdist(built)["pyproject.toml"]
    assert site.lines[-2:] == ["building the sdist", "building the wheel"]


def test_a_commit_is_above_what_was_there(site: Site) -> None:
    """A project whose own version went down goes on from the one before, and the log says so."""
    site.project()
    assert site.build(newest="1.1.post1600000000").version == "1.1.post1600000001"
    assert "its version 1.0 is below 1.1.post1600000000" in site.log


def test_a_version_that_the_backend_works_out(site: Site) -> None:
    """It counts as it is as long as it grows; else the project is given one, and built once more."""
    site.project(None)
    site.write({"VERSION": "1.2+git7"})
    before = (site.tree / "pyproject.toml").read_bytes()
    assert site.build(newest="1.1").version == "1.2+git7"
    assert (site.tree / "pyproject.toml").read_bytes() == before
    assert site.build(newest="1.2+git7").version == "1.2.post1537204599"
    assert site.log.count("building the sdist") == 2
    assert site.log.count("building the wheel") == 1


@pytest.mark.parametrize("version", ["1.0", None])
def test_a_tag_names_the_version(site: Site, version: str | None) -> None:
    """It is kept, be it below what was there, and nothing is changed; another one fails with both."""
    site.project(version)
    site.write({"VERSION": "1.0"})
    before = (site.tree / "pyproject.toml").read_bytes()
    assert site.build(tag="v1.0", newest="2.0").version == "1.0"
    with pytest.raises(BuildFailed, match=r"the tag 'v1.1' does not name the package's version, which is 1.0"):
        site.build(tag="v1.1")
    assert ("building" in site.log) == (version is None)
    assert (site.tree / "pyproject.toml").read_bytes() == before


def test_a_project_in_a_folder(site: Site) -> None:
    """A folder of the repository; what it shares with others is at hand by a link into the repository."""
    site.project(sub_dir="python/demo", hook="open('demo/shared.txt', 'w').write(open('../../shared').read())")
    site.write({"shared": "ours"})
    built = site.build(sub_dir="python/demo")
    assert in_sdist(built)["demo/shared.txt"] == "ours"
    assert read_name(site.ask(sub_dir="python/demo")) == "demo"
    with pytest.raises(BuildFailed, match="there is no folder python/other"):
        site.build(sub_dir="python/other")


def test_another_name_than_the_builders(site: Site) -> None:
    """The message says both, whether the name stands in a file or only in what was built."""
    site.project()
    told = "the package is called demo, but the builder's name is other"
    with pytest.raises(BuildFailed, match=told):
        site.build(name=PackageName("other"))
    assert site.lines == []
    site.write({"pyproject.toml": IN_TREE, "NAME": "demo", "VERSION": "1"})
    assert read_name(site.ask()) is None
    with pytest.raises(BuildFailed, match=told):
        site.build(name=PackageName("other"))


def test_no_project_there(site: Site) -> None:
    """Neither file, one that can't be read, one that is a link out of the repository."""
    site.write({"one/README": "", "two/pyproject.toml": "[", "three/x": ""})
    (site.tree / "three/pyproject.toml").symlink_to("/etc/passwd")
    for sub_dir, told in (
        ("one", "neither a pyproject.toml nor a setup.py"),
        ("two", "pyproject.toml can't be read"),
        ("three", "three/pyproject.toml in the repository is no regular file"),
    ):
        with pytest.raises(BuildFailed, match=told):
            site.build(sub_dir=sub_dir)


def test_the_repositorys_history_is_at_hand(site: Site) -> None:
    """A backend may ask git for the version, as those do that go by tags."""
    if shutil.which("git") is None:
        pytest.skip("no git here")
    run = "import subprocess\nopen('VERSION', 'w').write(subprocess.check_output(['git', 'describe'], text=True))\n"
    site.project(None, hook=run)
    for arguments in (
        ("init", "-q"),
        ("add", "."),
        ("-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", "x"),
        ("-c", "user.name=a", "-c", "user.email=a@example.org", "tag", "-m", "x", "v3.1"),
    ):
        subprocess.run(["git", "-C", site.tree, *arguments], check=True)
    assert site.build(tag="v3.1").version == "3.1"


# --- what builds need ----------------------------------------------------------------------------------------------


def test_what_a_build_needs_comes_from_a_repository_of_ours(site: Site, pypi: FakePypi) -> None:
    """The backend and what that needs, as wheels; what it asks for when it runs; each with its programs."""
    script = "[console_scripts]\nmake-name = deeply:main\n"
    code = b"def main():\n    print('by a program')\n"
    deep = {"deeply.py": code, "deep-1.0.dist-info/entry_points.txt": script.encode()}
    pypi.add(*wheel("deep", "1.0", extra_files=deep))
    pypi.add(*wheel("late", "2.0", extra_files={"lately.py": b"said = 'late'\n"}))
    publish_backend(pypi, requires=("deep",))
    hook = """
        import lately, subprocess
        open("demo/said.txt", "w").write(lately.said + " " + subprocess.check_output(["make-name"], text=True))
    """
    site.project(hook=hook, head=FROM_INDEX)
    site.write({"NEEDS": "late>1"})
    (site.tree / "backend.py").unlink()
    assert in_sdist(site.build())["demo/said.txt"] == "late by a program\n"
    assert [line for line in site.lines if line.startswith("fetching")] == [
        "fetching what the build needs: tiny-backend>=1",
        "fetching what the build needs: tiny-backend>=1, late>1",
    ]
    assert " + deep==1.0" in site.lines


def test_an_index_elsewhere(site: Site, pypi: FakePypi) -> None:
    """`[git] python_index` may be the URL of any index; what is in it of a login is never told."""
    publish_backend(pypi)
    site.project(head=FROM_INDEX)
    (site.tree / "backend.py").unlink()
    site.app = with_git(site.app, python_index=pypi.upstream)
    assert site.build().version == "1.0.post1537204599"
    site.app = with_git(site.app, python_index=pypi.upstream.replace("//", "//user:hunter2@").replace("simple", "no"))
    with pytest.raises(BuildFailed, match="tiny-backend") as caught:
        site.build()
    assert "hunter2" not in f"{caught.value} {caught.value.hint} {site.log}"


def with_git(app: App, **values: object) -> App:
    git = Git.model_validate({**app.settings.git.model_dump(), **values})
    return replace(app, settings=app.settings.model_copy(update={"git": git}))


def test_what_cant_be_had(site: Site, pypi: FakePypi) -> None:
    """A name that nobody has, a version, only an sdist, a conflict: one line that says it; nothing was run."""
    pypi.add(*wheel("old", "1.0"))
    pypi.add("source-1.0.tar.gz", b"")
    for requires, told in (
        ('"nosuch"', "nosuch is not on the index"),
        ('"old>2"', "old>2"),
        ('"source"', "source"),
        ('"old", "old!=1.0"', "old"),
    ):
        site.project(head=IN_TREE.replace("[]", f"[{requires}]"))
        with pytest.raises(BuildFailed, match=f"what its build needs can't be had: .*{told}") as caught:
            site.build()
        assert "\n" not in caught.value.message
        assert "building" not in site.log


@pytest.mark.parametrize("requirement", ["x @ file:///etc/passwd", "x @ http://127.0.0.1:9/x.whl", "--pre", "-e ."])
def test_only_an_index_is_asked(site: Site, requirement: str) -> None:
    """No URLs and no options, neither in a file nor from a backend that runs."""
    site.project(head=IN_TREE.replace("[]", f'["{requirement}"]'))
    with pytest.raises(BuildFailed, match="its build needs"):
        site.build()
    site.project()
    site.write({"NEEDS": requirement})
    with pytest.raises(BuildFailed, match="its build needs"):
        site.build()


def test_an_index_that_is_away(site: Site, pypi: FakePypi) -> None:
    """It is not the package's fault, and worth another try."""
    publish_backend(pypi)
    pypi.fail(pypi.page("tiny-backend"), "503")
    site.project(head=FROM_INDEX)
    with pytest.raises(UpstreamUnavailable):
        site.build()
    site.app = with_git(site.app, python_index="http://127.0.0.1:9/simple")
    with pytest.raises(UpstreamUnavailable):
        site.build()
    for name in ("nosuch", "cran"):
        site.app = with_git(site.app, python_index=name)
        with pytest.raises(Unavailable, match=name) as caught:
            site.build()
        assert "[git] python_index" in (caught.value.hint or "")


def test_a_backend_that_always_wants_more(site: Site, pypi: FakePypi) -> None:
    """It is given up after a few rounds."""
    for number in range(20):
        pypi.add(*wheel(f"more-{number}", "1"))
    site.project()
    site.write({"NEEDS": "each time"})
    with pytest.raises(BuildFailed, match="asks for something else each time"):
        site.build()


# --- what goes wrong -----------------------------------------------------------------------------------------------


def test_a_backend_that_fails(site: Site) -> None:
    """The last line of its traceback is the message; all of it is in the log. One that isn't there is named."""
    site.project(hook="print('to standard output')\nraise ValueError('this is why')")
    with pytest.raises(BuildFailed, match="its build failed: ValueError: this is why"):
        site.build()
    assert "to standard output" in site.lines
    assert any(line.startswith("Traceback") for line in site.lines)
    site.project(head=IN_TREE.replace('"backend"', '"nosuch"'))
    with pytest.raises(BuildFailed, match="Backend 'nosuch' is not available"):
        site.build()
    assert "Cannot find module 'nosuch'" in site.log


@pytest.mark.parametrize(
    ("hook", "told"),
    [
        ("GIVES['sdist'] = 'nosuch.tar.gz'", "build_sdist gave 'nosuch.tar.gz', which is no file"),
        ("GIVES['sdist'] = '../../../../../../../etc/hostname'", "build_sdist gave 'hostname', which is no file"),
        ("(MADE / 'p.tar.gz').symlink_to('/etc/passwd'); GIVES['sdist'] = 'p.tar.gz'", "which is no file .tar.gz"),
        ("GIVES['sdist'] = pathlib.Path(MADE, 'demo.zip').write_text('') or 'demo.zip'", "which is no file .tar.gz"),
        ("open(MADE / 'a-1.tar.gz', 'w').close(); GIVES['sdist'] = 'a-1.tar.gz'", "its build failed"),
        ("VERSION[0] = '9.9'", r"the version was set to 1.0.post1537204599, but 9.9 was built"),
        ("VERSION[0] = 'nine'", "the version 'nine' of the sdist is none"),
        ("NAME[0] = 'evil'", "the package is called evil, but the builder's name is demo"),
        ("open('WHEEL_VERSION', 'w').write('7')", r"the sdist is demo .*, but the wheel .* is demo 7"),
    ],
)
def test_what_is_built_has_to_be_what_was_meant(site: Site, hook: str, told: str) -> None:
    """One sdist and one wheel, regular files, of the package and the version."""
    site.project(hook=hook)
    with pytest.raises(BuildFailed, match=told):
        site.build()


def test_what_else_lies_there_stays_there(site: Site) -> None:
    """Files beside the two never come out."""
    site.project(hook="(MADE / 'other-1.tar.gz').write_text('x')\n(MADE / 'link.whl').symlink_to('/etc/passwd')")
    assert len(names(site.build())) == 2


FORGED = [
    "",
    "{",
    "[]\n",
    "{}\n",
    '{"files": 1}\n',
    '{"files": [["../x.tar.gz", 0], ["x.whl", 0]]}\n',
    '{"files": [["/x.tar.gz", 0], ["x.whl", 0]]}\n',
    '{"files": [["x.tar.gz", -1], ["x.whl", 0]]}\n',
    '{"files": [["x.tar.gz", 9], ["x.whl", 0]]}\n',
    '{"files": [["x.tar.gz", 0], ["x.whl", 0]]}\nmore',
    '{"files": [["x.tar.gz", 0], ["y.tar.gz", 0]]}\n',
    '{"files": [["x.tar.gz", 0], ["x.whl", 0], ["y.whl", 0]]}\n',
    '{"files": [["x.tar.gz", 0], ["x.whl", true]]}\n',
    '{"files": [["x.tar.gz", 0], ["x.whl"]]}\n',
    '{"version": "1.0"}\n',
    '{"needs": []}\n',
    '{"needs": [1]}\n',
    '{"a": "' + "x" * (1 << 20) + '"}\n',
    "[" * 100_000 + "\n",
    "9" * 5000 + "\n",
]


def test_a_forged_result(site: Site) -> None:
    """Whatever a sandbox lets out is looked at as if its author had written it."""
    site.project()
    for forged in FORGED:
        site.box = Forged(forged.encode())  # type: ignore[assignment]
        with pytest.raises(BuildFailed, match=r"what the build gave|the build gave") as caught:
            site.build()
        assert len(caught.value.message) < 300, forged


@dataclass
class Forged:
    """In place of a sandbox: what a program in one could write."""

    written: bytes

    def run(self, _task: Task, result: Path, **_how: object) -> None:
        result.write_bytes(self.written)


def test_what_a_hostile_backend_finds(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither our variables, keys, data and files nor any network: not in the log, not in what it builds."""
    monkeypatch.setenv("ENTREPOT_SECRET", "hunter2-environment")
    data_dir = site.app.settings.server.data_dir
    (data_dir / "key").write_text("hunter2-key")
    (site.place / "beside").write_text("hunter2-beside")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        hook = f"""
            import glob, os, socket, sys, time
            found = open("demo/found.txt", "w")
            def attempt(what, *arguments):
                try:
                    print(what(*arguments), file=found)
                except Exception as error:
                    print(type(error).__name__, file=found)
            print(dict(os.environ), file=found)
            for path in ("/etc/shadow", "{data_dir}/key", "{data_dir}/entrepot.db", "{site.place}/beside",
                         *glob.glob("/proc/*/environ"), *glob.glob("/tmp/**/beside", recursive=True)):
                attempt(lambda: open(path, "rb").read())
            for host in ("127.0.0.1", "192.0.2.1", "index.example.org"):
                attempt(lambda: socket.create_connection((host, {port}), 1) and "REACHED")
            for path in ("/usr/x", "/etc/x", "{site.tree}/x", "{data_dir}/x", "{site.place}/x", sys.prefix + "/../x"):
                attempt(lambda: open(path, "w").write("x") and "WRITTEN " + path)
            attempt(os.kill, 1, 9)
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    time.sleep(300)
                os._exit(0)
            found.close()
            print(open("demo/found.txt").read())
        """
        site.project(hook=hook)
        found = in_sdist(site.build())["demo/found.txt"]
        listener.settimeout(0)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert "WORK" in found  # it did run
    for text in (found, site.log):
        for secret in (
            "hunter2",
            "root:",
            "REACHED",
            "ENTREPOT_SECRET",
            "SQLite format",
            "WRITTEN /usr",
            "WRITTEN /etc",
        ):
            assert secret not in text
    assert not [path for path in (site.tree / "x", data_dir / "x", site.place / "x") if path.exists()]


def test_a_build_without_an_end(site: Site) -> None:
    """The sandbox's limits are the build's; a cancelled one ends at once, also while it fetches."""
    site.project(hook="import time\ntime.sleep(300)")
    site.box = open_sandbox(limits=replace(LIMITS, seconds=2), allow_unsandboxed=False)
    with pytest.raises(BuildStopped, match="took longer than 2 s"):
        site.build()

    def check() -> None:
        if any("building the sdist" in line for line in site.lines):
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        site.build(check=check)


def test_cancelled_while_it_fetches(site: Site, pypi: FakePypi) -> None:
    """What fetches is ended, and nothing of it stays."""
    publish_backend(pypi)
    site.project(head=FROM_INDEX)

    def check() -> None:
        if any("fetching" in line for line in site.lines):
            raise Cancelled("enough")

    with socket.create_server(("127.0.0.1", 0)) as silent:
        site.app = with_git(site.app, python_index=f"http://127.0.0.1:{silent.getsockname()[1]}/simple")
        with pytest.raises(Cancelled):
            site.build(check=check)


# --- real build backends -------------------------------------------------------------------------------------------


def setuptools() -> tuple[str, bytes]:
    """Its wheel, out of a tool that brings it along."""
    found = sorted((ROOT / ".tools").glob("clients*/lib/*/site-packages/virtualenv/seed/wheels/embed/setuptools-*.whl"))
    if not found:
        pytest.skip("no wheel of setuptools in .tools (make test installs it)")
    return found[-1].name, found[-1].read_bytes()


SETUP_PY = "from setuptools import setup\nsetup(name='demo', version='1.0.dev0', packages=['demo'])\n"
SETUP_CFG = (
    "[metadata]\nname = demo\nversion = attr: demo.v\n[options]\npackages = demo\n[egg_info]\ntag_build = .dev\n"
)
TABLE = '[project]\nname = "demo"\ndynamic = ["version"]\n[tool.setuptools.dynamic]\nversion = {attr = "demo.v"}\n'


@pytest.mark.parametrize(
    ("files", "newest", "expected"),
    [
        ({"setup.py": SETUP_PY}, None, "1.0.dev1537204599"),
        ({"setup.py": "from setuptools import setup\nsetup()\n", "setup.cfg": SETUP_CFG}, "2", "2.post1537204599"),
        ({"pyproject.toml": TABLE}, "2.post1600000000", "2.post1600000001"),
    ],
    ids=["setup.py", "setup.cfg", "dynamic"],
)
def test_setuptools(site: Site, pypi: FakePypi, files: Mapping[str, str], newest: str | None, expected: str) -> None:
    """Old and new ways to say what a project is."""
    pypi.add(*setuptools())
    site.write({"demo/__init__.py": "v = '2'\n", **files})
    built = site.build(newest=newest)
    assert (built.version, names(built)[1]) == (expected, f"demo-{expected}-py3-none-any.whl")


def installed(name: str) -> tuple[str, bytes]:
    """A wheel of a pure package of this environment."""
    found = distribution(name)
    kept = {
        str(path): Path(str(path.locate())).read_bytes()
        for path in found.files or ()
        if not {"..", "__pycache__"} & set(path.parts) and path.name not in ("RECORD", "INSTALLER", "REQUESTED")
    }
    info = next(path.partition("/")[0] for path in kept if path.endswith(".dist-info/METADATA"))
    kept[f"{info}/RECORD"] = make_record(kept, info).encode()
    return f"{info.removesuffix('.dist-info')}-py3-none-any.whl", pack_zip(kept.items())


def test_hatchling(site: Site, pypi: FakePypi) -> None:
    """A version that is read out of the code, in a folder of the repository."""
    for name in ("hatchling", "packaging", "pathspec", "pluggy", "tomlkit", "trove-classifiers"):
        pypi.add(*installed(name))
    head = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n[project]\nname = "demo"\n'
    text = head + 'dynamic = ["version"]\n[tool.hatch.version]\npath = "demo/__init__.py"\n'
    site.write({"py/pyproject.toml": text, "py/demo/__init__.py": '__version__ = "0.3"\n'})
    assert site.build(sub_dir="py", newest="0.2").version == "0.3"
    built = site.build(sub_dir="py", newest="0.3")
    assert built.version == "0.3.post1537204599"
    with zipfile.ZipFile(io.BytesIO(built.files[1].read_bytes())) as archive:
        assert "demo/__init__.py" in archive.namelist()


# --- the Python that builds ----------------------------------------------------------------------------------------


def settings_with(python: Path | str) -> Settings:
    return Settings.model_validate({"git": {"python": str(python)}})


def test_which_python_builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one of the settings, a virtual environment's base, else python3 of the PATH, that all may read."""
    found = find_python(Settings())
    assert found.path.is_file()
    assert found.path == found.path.resolve()
    assert find_python(settings_with(found.path)) == found
    link = tmp_path / "bin" / "python3"
    link.parent.mkdir()
    link.symlink_to(found.path)
    (tmp_path / "pyvenv.cfg").write_text(f"home = {found.path.parent}\n")
    assert find_python(settings_with(tmp_path)) == found
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert find_python(Settings()) == found


def test_a_python_that_cant_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that isn't there, is none, is too old, or can be read by root alone: the settings are wrong."""
    wrong = tmp_path / "python3"
    for text, told in (
        (None, "can't be run"),
        ("#!/bin/sh\nexit 1\n", "does not tell its version"),
        ("#!/bin/sh\necho hello\n", "does not tell its version"),
        ('#!/bin/sh\necho \'["/usr/bin/python3", "3.7.1", "/usr", "/usr", "/usr/lib"]\'\n', "is Python 3.7.1, and"),
    ):
        if text is not None:
            wrong.write_text(text)
            wrong.chmod(0o755)
        with pytest.raises(InvalidSettings, match=told) as caught:
            find_python(settings_with(wrong))
        assert "[git] python" in (caught.value.hint or "")
    with pytest.raises(InvalidSettings, match="there is no nosuch on the PATH"):
        find_python(settings_with("nosuch"))
    monkeypatch.setattr(pythonprogram, "_is_for_all", lambda _: False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(InvalidSettings, match="can be read by some users alone"):
        find_python(settings_with(sys.executable))
    with pytest.raises(Unavailable, match="can be read by some users alone"):
        find_python(Settings())
