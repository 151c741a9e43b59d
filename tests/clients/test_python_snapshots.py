"""Clients at a dated URL resolve what their own cut-off dates resolve from `latest`; hashes; names of our own."""

from __future__ import annotations

import hashlib
import re
from datetime import date, timedelta

import pytest

from tests.support.distributions import sdist, wheel
from tests.support.fake_pypi import FakePypi, Form
from tests.support.pages import files
from tests.support.python import Tools, index
from tests.support.server import Live

pytestmark = pytest.mark.one_shape

DAYS = ["2023-02-01", "2023-03-15", "2023-05-01", "2023-06-01", "2023-06-30", "2023-07-01", "2023-08-01", "2023-08-02"]


def day_after(day: str) -> str:
    return f"{date.fromisoformat(day) + timedelta(days=1)}T00:00:00Z"


def compiled(tools: Tools, url: str, *arguments: str) -> str:
    """What `uv pip compile` pins for `app`, with hashes; or why it can't."""
    wanted = tools.folder / "wanted.in"
    wanted.write_text("app\n")
    options = ["--no-header", "--no-annotate", "--generate-hashes", "--quiet", "--python-version", "3.11"]
    status, said = tools.attempt("uv", "pip", "compile", *options, "--default-index", url, *arguments, str(wanted))
    assert not status or "No solution found" in said
    return said if not status else "no solution"


@pytest.mark.parametrize("form", [Form.JSON, Form.HTML_WITH_API])
def test_a_day_resolves_as_uv_with_a_cut_off(stocked: Live, pypi: FakePypi, tools: Tools, form: Form) -> None:
    """Versions and hashes, on each of some days, are those that uv finds in `latest` before the day's end."""
    pypi.form = form
    for upload in [*pypi.uploads("app"), *pypi.uploads("leaf"), *pypi.uploads("six-foo-bar")]:
        pypi.change(upload.name)
    found = {day: compiled(tools, index(stocked, day)) for day in DAYS}
    expected = {day: compiled(tools, index(stocked), "--exclude-newer", day_after(day)) for day in DAYS}
    assert found == expected
    assert len(set(found.values())) >= 4


def test_a_day_resolves_as_pip_with_a_cut_off(stocked: Live, tools: Tools) -> None:
    """The same for pip, where it has that option."""
    if "--uploaded-prior-to" not in tools.run("pip", "install", "--help"):
        pytest.skip("this pip can't leave out what came later")
    venv = tools.venv()

    def resolved(url: str, *arguments: str) -> set[str]:
        options = ["install", "--dry-run", "--ignore-installed", "--no-cache-dir", "--no-build-isolation"]
        said = tools.pip(*options, "--index-url", url, *arguments, "app", venv=venv)
        would = re.search(r"^Would install (.*)$", said, re.MULTILINE)
        assert would, said
        return set(would[1].split())

    for day in ("2023-05-01", "2023-07-01"):
        expected = resolved(index(stocked), "--uploaded-prior-to", day_after(day))
        assert resolved(index(stocked, day)) == expected
        assert len(expected) == 3


def test_pip_downloads_an_old_release(stocked: Live, pypi: FakePypi, tools: Tools) -> None:
    """The wheel and the sdist of a version long superseded, whole."""
    venv, into = tools.venv(), tools.folder / "downloads"
    options = ["--no-deps", "--no-cache-dir", "--dest", str(into), "--index-url", index(stocked)]
    tools.pip("download", *options, "app==1.0", venv=venv)
    tools.pip("download", *options, "--no-binary", ":all:", "--no-build-isolation", "app==1.0", venv=venv)
    got = {path.name: path.read_bytes() for path in into.iterdir()}
    assert got == {upload.name: upload.data for upload in pypi.uploads("app") if upload.version == "1.0"}


def test_a_yanked_version_is_taken_only_if_pinned(stocked: Live, tools: Tools) -> None:
    """As PEP 592 says, with its reason shown."""
    venv = tools.venv()
    said = tools.pip("install", "--no-cache-dir", "--index-url", index(stocked), "leaf==1.9", venv=venv)
    assert "broken" in said
    assert tools.installed(venv) == {"leaf": "1.9"}


def test_pip_lists_the_versions(stocked: Live, tools: Tools) -> None:
    """`pip index versions`, of now and of a day."""
    for snapshot, expected in (("latest", "1.9.1, 1.5, 1.1"), ("2023-05-01", "1.5, 1.1")):
        said = tools.pip("index", "versions", "--index-url", index(stocked, snapshot), "leaf", venv=tools.venv())
        assert f"Available versions: {expected}\n" in said


@pytest.mark.parametrize("snapshot", ["latest", "2023-05-01"])
def test_pip_with_hashes(stocked: Live, pypi: FakePypi, tools: Tools, snapshot: str) -> None:
    """--require-hashes takes what the page's hashes say, and refuses a file of another hash."""
    version = "1.0" if snapshot != "latest" else "2.0"
    listed = files(stocked, "app", snapshot)
    name = f"app-{version}-py3-none-any.whl"
    wanted = tools.folder / "wanted.txt"

    def install(digest: str, *, fails: bool = False) -> str:
        wanted.write_text(f"app=={version} --hash=sha256:{digest}\n")
        options = ["--require-hashes", "--no-deps", "--no-cache-dir", "-r", str(wanted)]
        return tools.pip("install", "--index-url", index(stocked, snapshot), *options, venv=tools.venv(), fails=fails)

    install(listed[name]["hashes"]["sha256"])
    assert listed[name]["hashes"]["sha256"] == hashlib.sha256(pypi.upload(name).data).hexdigest()
    assert "DO NOT MATCH" in install("0" * 64, fails=True)


def test_a_day_that_is_not_over(stocked: Live, tools: Tools) -> None:
    """pip and uv fail; uv shows why."""
    tools.pip("install", "--index-url", index(stocked, "2024-03-01"), "app", venv=tools.venv(), fails=True)
    said = tools.uv(
        "pip", "install", "--dry-run", "--python", str(tools.venv()), "--default-index", index(stocked, "2024-03-01"),
        "app", fails=True,
    )  # fmt: skip
    assert "not found" in said


# --- our own packages ----------------------------------------------------------------------------------------------


@pytest.fixture
def team(stocked: Live) -> Live:
    """Repository `team`: our own `leaf` 0.1 and `secret` before the public index."""
    assert stocked.api("POST", "/sources", {"name": "internal", "type": "local-python"})[0] == 201
    assert stocked.api("POST", "/repos", {"name": "team", "type": "python"})[0] == 201
    for source in ("internal", "pypi"):
        assert stocked.api("POST", "/repos/team/sources", {"source": source})[0] == 200
    own = [wheel("leaf", "0.1"), sdist("leaf", "0.2"), wheel("secret", "1.0", requires=["leaf", "app[none]>=1"])]
    assert stocked.upload("internal", *own)[0] in (200, 201)
    return stocked


def test_our_own_package_shadows_the_public_one(team: Live, pypi: FakePypi, tools: Tools) -> None:
    """pip and uv take ours, though the public one is newer, for us and for what public packages need."""
    url = index(team, repo="team")
    for install in (
        lambda venv: tools.pip("install", "--no-cache-dir", "--index-url", url, "leaf", venv=venv),
        lambda venv: tools.uv("pip", "install", "--python", str(venv), "--default-index", url, "leaf"),
    ):
        venv = tools.venv()
        install(venv)
        assert tools.installed(venv) == {"leaf": "0.2"}
        assert tools.says(venv, "import leaf; print(leaf.__version__)") == "0.2"
    assert "leaf" not in " ".join(asked.path for asked in pypi.requests)


def test_a_public_package_that_needs_a_version_of_ours_that_is_not_there(team: Live, tools: Tools) -> None:
    """It can't be had: the public one of that name is no way out."""
    url = index(team, repo="team")
    said = tools.uv(
        "pip", "install", "--dry-run", "--python", str(tools.venv()), "--default-index", url, "secret", fails=True
    )
    assert "leaf" in said


def test_names_as_people_write_them(stocked: Live, tools: Tools) -> None:
    """Any spelling of a name installs the project."""
    for spelling in ("Six_Foo.Bar", "six.foo-bar", "SIX--FOO--BAR"):
        venv = tools.venv()
        tools.pip("install", "--no-deps", "--no-cache-dir", "--index-url", index(stocked), spelling, venv=venv)
        assert tools.installed(venv) == {"six-foo-bar": "2.0"}


@pytest.mark.parametrize("url", ["/pypi/latest/simple", "/pypi/2023-05-01/simple"])
def test_an_index_url_without_its_last_slash(stocked: Live, tools: Tools, url: str) -> None:
    """It works alike."""
    address = f"{stocked.address}{url}"
    tools.pip("install", "--no-cache-dir", "--index-url", address, "leaf", venv=tools.venv())
    tools.uv("pip", "install", "--python", str(tools.venv()), "--default-index", address, "leaf")


def test_uv_asks_again_with_its_cache(stocked: Live, tools: Tools) -> None:
    """A second uv with a warm cache is answered 304s and installs the same."""
    versions = []
    for arguments in ([], ["--refresh"]):
        venv = tools.venv()
        tools.uv("pip", "install", *arguments, "--python", str(venv), "--default-index", index(stocked), "app")
        versions.append(tools.installed(venv))
    assert versions[0] == versions[1]


def test_metadata_alone_is_fetched_to_resolve(stocked: Live, pypi: FakePypi, tools: Tools) -> None:
    """pip reads the metadata of candidates beside the files, here and so upstream; no file is fetched for that."""
    venv = tools.venv()
    options = ["--no-cache-dir", "--index-url", index(stocked)]
    tools.pip("install", *options, "--no-deps", "--dry-run", "app==2.0", "six-foo-bar", "leaf==1.1", venv=venv)
    asked = [asked.path.rpartition("/")[2] for asked in pypi.requests if asked.path.startswith("files/")]
    assert asked
    assert [name for name in asked if not name.endswith(".metadata")] == []
