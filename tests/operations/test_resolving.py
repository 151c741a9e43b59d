"""Lists of Python requirements, resolved against a snapshot: by uv, which asks us alone and builds nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from entrepot.app import App
from entrepot.core.errors import Invalid, Unavailable, Unresolvable, UpstreamInvalid, UpstreamUnavailable
from entrepot.core.model import PackageName
from entrepot.core.snapshots import NOTHING, PRESENT, Cut
from entrepot.db import sources as db_sources
from entrepot.operations import resolver, resolving
from entrepot.operations.resolving import Resolved
from tests.support.distributions import sdist, wheel
from tests.support.fake_pypi import FakePypi
from tests.support.fake_server import FakeServer
from tests.support.python import Tools

pytestmark = pytest.mark.one_shape
MAY = datetime(2023, 5, 1, 12, tzinfo=UTC)
JUNE = MAY + timedelta(days=31)
LATER = MAY + timedelta(days=200)
BEFORE_STATIC = {"Metadata-Version": "2.1"}


def ask(app: App, *requirements: str, at: datetime | None = None, **how: object) -> tuple[Resolved, ...]:
    """What the mirror resolves to, now or at a time; for Python 3.9 unless `how` says otherwise."""
    with app.db.read() as connection:
        source = db_sources.get(connection, "pypi")
    cut = Cut(source.id, PRESENT) if at is None else Cut(source.id, NOTHING, int(at.timestamp()))
    wanted = {"python_versions": ("3.9",), **how}
    return resolving.resolve(app, source, cut, requirements, **wanted)  # type: ignore[arg-type]


def pins(found: Iterable[Resolved]) -> list[str]:
    """As lines of a requirements file."""
    return [f"{each.package}=={each.version}" + (f" ; {each.marker}" if each.marker else "") for each in found]


def refused(app: App, *requirements: str, **how: object) -> Unresolvable:
    with pytest.raises(Unresolvable) as caught:
        ask(app, *requirements, **how)
    return caught.value


def test_all_that_is_needed_and_why(proxied: App, pypi: FakePypi) -> None:
    """The closure comes with what needs each package, under normal names, by name."""
    pypi.add(*wheel("App_One", "1.0", requires=["Lib.Two>=1", "deep"]))
    pypi.add(*wheel("Lib.Two", "2.0", requires=["deep"]))
    pypi.add(*wheel("deep", "0.1"))
    assert ask(proxied, "app-one", "LIB-two") == (
        Resolved(PackageName("app-one"), "1.0", "", (), True),
        Resolved(PackageName("deep"), "0.1", "", ("app-one", "lib-two"), False),
        Resolved(PackageName("lib-two"), "2.0", "", ("app-one",), True),
    )


def test_nothing_needs_nothing(proxied: App) -> None:
    """An empty list is resolved already."""
    assert ask(proxied) == ()


def test_extras(proxied: App, pypi: FakePypi) -> None:
    """What an extra brings is there if it is asked for, for the package that has it."""
    pypi.add(*wheel("app", "1.0", extras=["fast"], requires=["speed; extra == 'fast'", "app[fast]; extra == 'all'"]))
    pypi.add(*wheel("speed", "1.0"))
    assert pins(ask(proxied, "app")) == ["app==1.0"]
    assert [(each.package, each.because) for each in ask(proxied, "app[all,fast]")] == [
        ("app", ()),
        ("speed", ("app",)),
    ]


def test_markers_are_kept(proxied: App, pypi: FakePypi) -> None:
    """What is needed on one platform, or with old Pythons, says so; what no wanted Python can take is left out."""
    pypi.add(*wheel("app", "1", requires=["colours; sys_platform == 'win32'", "old; python_version < '3.11'"]))
    pypi.add(*wheel("colours", "1"))
    pypi.add(*wheel("old", "1", requires=["older"]))
    pypi.add(*wheel("older", "1"))
    both = ["app==1", "colours==1 ; sys_platform == 'win32'"]
    olds = ["old==1 ; python_full_version < '3.11'", "older==1 ; python_full_version < '3.11'"]
    assert pins(ask(proxied, "app")) == both + olds
    assert pins(ask(proxied, "app", python_versions=("3.12", "3.9"))) == both + olds
    assert pins(ask(proxied, "app", python_versions=("3.12",))) == both


def test_a_version_for_each_python(proxied: App, pypi: FakePypi) -> None:
    """Where Pythons need different versions there is one for each, and none for a Python that nobody wants."""
    for version, python in (("1.9", ">=3.8"), ("2.2", ">=3.10"), ("2.4", ">=3.11")):
        pypi.add(*wheel("numbers", version, requires_python=python))
    assert pins(ask(proxied, "numbers", python_versions=("3.9", "3.12"))) == [
        "numbers==1.9 ; python_full_version < '3.10'",
        "numbers==2.4 ; python_full_version >= '3.11'",
    ]
    assert pins(ask(proxied, "numbers", python_versions=("3.11.4",))) == ["numbers==2.4"]


def test_the_python_of_the_server(proxied: App, pypi: FakePypi) -> None:
    """Without any Python it is the server's own that counts."""
    own, next_ = (f"3.{sys.version_info.minor + more}" for more in (0, 1))
    pypi.add(*wheel("demo", "1", requires_python=f">={own}"))
    pypi.add(*wheel("demo", "2", requires_python=f">={next_}"))
    assert pins(ask(proxied, "demo", python_versions=())) == [
        f"demo==1 ; python_full_version < '{next_}'",
        f"demo==2 ; python_full_version >= '{next_}'",
    ]


def test_a_past_time(proxied: App, pypi: FakePypi) -> None:
    """A cut of the past has what was there by then, and nothing before anything was."""
    pypi.add(*wheel("app", "1", requires=["lib"]), uploaded=MAY)
    pypi.add(*wheel("app", "2", requires=["lib"]), uploaded=LATER)
    pypi.add(*wheel("lib", "1"), uploaded=MAY)
    pypi.add(*wheel("lib", "1.1"), uploaded=JUNE)
    assert pins(ask(proxied, "app")) == ["app==2", "lib==1.1"]
    assert pins(ask(proxied, "app", at=JUNE)) == ["app==1", "lib==1.1"]
    assert pins(ask(proxied, "app", at=MAY)) == ["app==1", "lib==1"]
    error = refused(proxied, "app", at=MAY - timedelta(days=1))
    assert error.payload["missing"] == ["app"]
    assert "app is not on the index" in error.message


def test_constraints(proxied: App, pypi: FakePypi) -> None:
    """A constraint bounds what is needed anyway, and is no reason of its own."""
    for version in ("1", "2", "3"):
        pypi.add(*wheel("lib", version))
    pypi.add(*wheel("app", "1", requires=["lib>1"]))
    pypi.add(*wheel("other", "1"))
    assert ask(proxied, "app", constraints=("lib<3", "other==1")) == (
        Resolved(PackageName("app"), "1", "", (), True),
        Resolved(PackageName("lib"), "2", "", ("app",), False),
    )


def test_yanked_and_pre_releases(proxied: App, pypi: FakePypi) -> None:
    """As installers take them: a yanked version where it is asked for exactly, a pre-release where nothing else is."""
    pypi.add(*wheel("demo", "1"))
    pypi.add(*wheel("demo", "2"), yanked="bad")
    pypi.add(*wheel("demo", "3rc1"))
    pypi.add(*wheel("early", "0.1a1"))
    assert pins(ask(proxied, "demo", "early")) == ["demo==1", "early==0.1a1"]
    assert pins(ask(proxied, "demo==2")) == ["demo==2"]


# --- what can't be resolved ----------------------------------------------------------------------------------------


def test_bounds_that_contradict_each_other(proxied: App, pypi: FakePypi) -> None:
    """Both bounds are named in the one line, and the payload explains all of it."""
    pypi.add(*wheel("left", "1", requires=["lib<2"]))
    pypi.add(*wheel("right", "1", requires=["lib>=2"]))
    for version in ("1", "2"):
        pypi.add(*wheel("lib", version))
    error = refused(proxied, "left", "right")
    begin, _, facts = error.message.partition(": ")
    assert begin == "the requirements can't be met together"
    told = ["all versions of left depend on lib<2", "all versions of right depend on lib>=2"]
    assert sorted(facts.split("; ")) == [*told, "you require left and right"]
    assert error.code == "unresolvable"
    assert "we can conclude that your requirements are unsatisfiable" in str(error.payload["explanation"])
    assert "127.0.0.1" not in str(error.payload)
    direct = refused(proxied, "lib>=2", "lib<2")
    assert "lib>=2" in direct.message
    assert "lib<2" in direct.message


def test_a_long_story(proxied: App, pypi: FakePypi) -> None:
    """Of many facts those are told that clash, and what was asked for."""
    pypi.add(*wheel("one", "1", requires=["mid>=1"]))
    for version, bound in (("1", "lib<2"), ("2", "lib<2"), ("3", "lib<1.5")):
        pypi.add(*wheel("mid", version, requires=[bound]))
    for version, bound in (("1", "lib>=2"), ("2", "lib>=3")):
        pypi.add(*wheel("two", version, requires=[bound]))
    for version in ("1", "2", "3"):
        pypi.add(*wheel("lib", version))
    message = refused(proxied, "one", "two").message
    for fact in (
        "two<=1 depends on lib>=2",
        "mid<=2 depends on lib<2",
        "you require one and two",
        " more in the explanation",
    ):
        assert fact in message
    assert "conclude" not in message


def test_names_that_the_index_lacks(proxied: App, pypi: FakePypi) -> None:
    """A name that doesn't exist is named with who needs it, and all such names that were asked for."""
    pypi.add(*wheel("app", "1", requires=["no-where"]))
    error = refused(proxied, "app")
    assert error.message == (
        "the requirements can't be met together: no-where is not on the index; "
        "all versions of app depend on no-where; you require app"
    )
    assert error.payload["missing"] == ["no-where"]
    error = refused(proxied, "Nothing.at_all", "neither", "app")
    assert {"neither", "nothing-at-all"} <= set(error.payload["missing"])  # type: ignore[call-overload]
    assert "neither" in error.message
    assert "nothing-at-all" in error.message
    error = refused(proxied, "gone; sys_platform == 'win32'")
    assert error.payload["missing"] == ["gone"]
    assert "{" not in error.message


def test_an_index_without_times(proxied: App, pypi: FakePypi) -> None:
    """A project whose past nobody tells is not simply missing."""
    pypi.add(*wheel("demo", "1"), uploaded=None)
    assert pins(ask(proxied, "demo")) == ["demo==1"]
    error = refused(proxied, "demo", at=JUNE)
    assert error.hint is not None
    assert "dates are not available" in error.hint


def test_a_python_that_is_excluded(proxied: App, pypi: FakePypi) -> None:
    """A Requires-Python that no version gets around is told, for newer Pythons as for older ones."""
    pypi.add(*wheel("new", "1", requires_python=">=3.12"))
    pypi.add(*wheel("past", "1", requires_python=">=3.8,<3.12"))
    error = refused(proxied, "new")
    assert "Python>=3.12" in error.message
    assert "new==1" in error.message
    assert pins(ask(proxied, "past", python_versions=("3.9", "3.11"))) == ["past==1"]
    error = refused(proxied, "past", python_versions=("3.9", "3.12"))
    assert error.message == "past 1 can't be used with Python 3.12: it requires Python >=3.8,<3.12"
    assert pins(ask(proxied, "past; python_version < '3.12'", python_versions=("3.9", "3.12"))) == [
        "past==1 ; python_full_version < '3.12'"
    ]


@pytest.mark.parametrize(
    ("lines", "how"),
    [
        (("-r /etc/passwd",), {}),
        (("--index-url http://127.0.0.1:9/",), {}),
        (("demo @ http://127.0.0.1:9/demo-1-py3-none-any.whl",), {}),
        (("./demo",), {}),
        (("demo\n-e .",), {}),
        (("demo >= one",), {}),
        (("",), {}),
        (("demo; " + "(" * 4000,), {}),
        (("demo" * 2000,), {}),
        (("demo",), {"constraints": ("demo @ file:///etc/passwd",)}),
        (("demo",), {"constraints": ("--pre",)}),
        (("demo",), {"python_versions": ("3",)}),
        (("demo",), {"python_versions": ("3.12; os_name",)}),
        (("demo",), {"python_versions": ("pypy3.9",)}),
    ],
)
def test_lines_that_are_none(proxied: App, pypi: FakePypi, lines: tuple[str, ...], how: dict[str, object]) -> None:
    """Only names with bounds and markers are taken: no option, address or file gets to the resolver."""
    with pytest.raises(Invalid) as caught:
        ask(proxied, *lines, **how)
    assert caught.value.code == "invalid"
    assert pypi.requests == []


def test_an_address_in_metadata(proxied: App, pypi: FakePypi) -> None:
    """A package that needs another from an address of its own can't be resolved, and nobody goes there."""
    with FakeServer() as elsewhere:
        name, data = wheel("lib", "1")
        elsewhere.put(name, data)
        pypi.add(*wheel("app", "1", requires=[f"lib @ {elsewhere.url}/{name}"]))
        assert "URL dependency" in refused(proxied, "app").message
        assert elsewhere.requests == []


# --- sdists --------------------------------------------------------------------------------------------------------


@pytest.fixture
def setup_py(tmp_path: Path) -> dict[str, bytes]:
    """Files of an sdist that leave a trace when any of them is run."""
    script = f"open({str(tmp_path / 'was-run')!r}, 'w').close()\n".encode()
    return {"setup.py": script, "backend.py": script}


def was_run(tmp_path: Path) -> bool:
    return (tmp_path / "was-run").exists()


def test_an_sdist_with_static_needs(proxied: App, pypi: FakePypi, setup_py: dict[str, bytes], tmp_path: Path) -> None:
    """What an sdist binds itself to counts: by PKG-INFO, or by pyproject.toml where that is older; nothing is run."""
    pypi.add(*wheel("lib", "1"))
    pypi.add(*wheel("more", "1"))
    pypi.add(*sdist("bound", "1", requires=["lib"], fields={"Dynamic": ["License-File"]}, extra_files=setup_py))
    project = b'[project]\nname = "toml"\nversion = "1"\ndependencies = ["lib; python_version > \'3\'"]\n'
    project += b"[project.optional-dependencies]\nx = [\"more; os_name == 'nt'\"]\n"
    files = {**setup_py, "pyproject.toml": project}
    pypi.add(*sdist("toml", "1", fields=BEFORE_STATIC, extra_files=files))
    pypi.add(*sdist("packed", "1", requires=["more"], extra_files=setup_py, is_zip=True))
    found = ask(proxied, "bound", "toml[x]", "packed")
    assert pins(found) == ["bound==1", "lib==1", "more==1", "packed==1", "toml==1"]
    assert [each.because for each in found] == [(), ("bound", "toml"), ("packed", "toml"), (), ()]
    assert pins(ask(proxied, "toml[x]")) == ["lib==1", "more==1 ; os_name == 'nt'", "toml==1"]
    assert not was_run(tmp_path)


@pytest.mark.parametrize(
    ("fields", "project", "why"),
    [
        ({"Dynamic": ["Requires-Dist"]}, None, "its PKG-INFO calls requires-dist dynamic"),
        (BEFORE_STATIC, None, "before version 2.2"),
        (BEFORE_STATIC, b'[project]\nname = "demo"\ndynamic = ["dependencies"]\n', "calls dependencies dynamic"),
        (BEFORE_STATIC, b'[project]\nname = "demo"\ndependencies = ["?"]\n', "can't be read"),
        (BEFORE_STATIC, b'[project]\nname = "demo"\ndynamic = 5\n', "can't be read"),
        (BEFORE_STATIC, b"[project", "can't be read"),
        (BEFORE_STATIC, b"x = " + b"[" * 5000, "can't be read"),
        ({"Metadata-Version": "2.é"}, b"[project]\n", "binds"),
        (BEFORE_STATIC, b"[tool.x]\n", "binds"),
    ],
)
def test_an_sdist_that_would_have_to_be_built(
    proxied: App,
    pypi: FakePypi,
    setup_py: dict[str, bytes],
    tmp_path: Path,
    fields: dict[str, str],
    project: bytes | None,
    why: str,
) -> None:
    """It is an error that names the project, and nothing of it is run."""
    toml = {"pyproject.toml": project} if project is not None else {}
    without = [] if project is not None else ["pyproject.toml"]
    pypi.add(*sdist("demo", "1", fields=fields, extra_files={**setup_py, **toml}, without=without))
    pypi.add(*wheel("app", "1", requires=["demo"]))
    error = refused(proxied, "app")
    assert error.message.startswith("nobody can tell what demo 1 needs without building it, and nothing is built here")
    assert why in error.message
    assert not was_run(tmp_path)


def test_sdists_that_are_not_taken(proxied: App, pypi: FakePypi, setup_py: dict[str, bytes], tmp_path: Path) -> None:
    """One of a version that isn't chosen does no harm, and one beside wheels is never looked at."""
    dynamic = {"Dynamic": ["Requires-Dist"]}
    pypi.add(*sdist("demo", "2", fields=dynamic, extra_files=setup_py))
    pypi.add(*sdist("demo", "1", extra_files=setup_py))
    assert pins(ask(proxied, "demo<2")) == ["demo==1"]
    both = pypi.add(*sdist("both", "1", fields=dynamic, extra_files=setup_py))
    pypi.add(*wheel("both", "1", requires=["demo==1"], tag="cp38-cp38-win_amd64"))
    # For Python 3.12 there is no wheel; what its wheel says is taken for the sdist.
    assert pins(ask(proxied, "both", python_versions=("3.12",))) == ["both==1", "demo==1"]
    assert pypi.count(both.path) == 0
    assert not was_run(tmp_path)


def test_only_binary(proxied: App, pypi: FakePypi) -> None:
    """Without sdists an older version with a wheel is taken; where no version has one, that is said."""
    pypi.add(*sdist("demo", "2"))
    pypi.add(*wheel("demo", "1"))
    source = pypi.add(*sdist("source", "1"))
    assert pins(ask(proxied, "demo")) == ["demo==2"]
    assert pins(ask(proxied, "demo", only_binary=True)) == ["demo==1"]
    assert "source==1 has no usable wheels" in refused(proxied, "source", only_binary=True).message
    assert pypi.count(source.path) == 0


def test_an_sdist_that_can_not_be_read(proxied: App, pypi: FakePypi) -> None:
    """What is no archive is told with its name."""
    pypi.add("demo-1.tar.gz", b"nothing", project="demo")
    message = refused(proxied, "demo").message
    assert "demo-1.tar.gz: it can't be read" in message


# --- metadata ------------------------------------------------------------------------------------------------------


def test_wheels_without_metadata_beside_them(proxied: App, pypi: FakePypi) -> None:
    """It is read out of them by ranges, or out of the whole where upstream gives no ranges, or out of the store."""
    lib = pypi.add(*wheel("lib", "1", extra_files={"lib/noise": os.urandom(300_000)}), has_metadata=False)
    app = pypi.add(*wheel("app", "1", requires=["lib"]), has_metadata=False)
    pypi.fail(app.path, "no_ranges")
    expected = ["app==1", "lib==1"]
    assert pins(ask(proxied, "app")) == expected
    assert pypi.sent[lib.path] < 200_000
    asked = pypi.count(app.path)
    assert pins(ask(proxied, "app")) == expected
    assert pypi.count(app.path) == asked


def test_a_wheel_without_any(proxied: App, pypi: FakePypi) -> None:
    """One out of which nothing can be read is no choice; another version is."""
    pypi.add("demo-2-py3-none-any.whl", b"nothing", project="demo", has_metadata=False)
    pypi.add(*wheel("demo", "1"))
    assert pins(ask(proxied, "demo")) == ["demo==1"]
    assert "invalid metadata" in refused(proxied, "demo==2").message


# --- trouble upstream ----------------------------------------------------------------------------------------------


def test_upstream_is_down(proxied: App, pypi: FakePypi) -> None:
    """What went wrong upstream is what the caller hears; what is known is resolved all the same."""
    pypi.add(*wheel("app", "1", requires=["lib"]))
    pypi.add(*wheel("lib", "1"))
    pypi.fail(pypi.page("lib"), "503")
    with pytest.raises(UpstreamUnavailable, match="503"):
        ask(proxied, "app")
    pypi.heal()
    assert pins(ask(proxied, "app")) == ["app==1", "lib==1"]
    with pypi.closed():
        assert pins(ask(proxied, "app")) == ["app==1", "lib==1"]
        with pytest.raises(UpstreamUnavailable):
            ask(proxied, "app", "never-asked-for")


def test_a_page_that_can_not_be_read(proxied: App, pypi: FakePypi) -> None:
    """A page that is none is upstream's fault."""
    pypi.add(*wheel("app", "1"))
    pypi.fail(pypi.page("app"), "html")
    with pytest.raises(UpstreamInvalid):
        ask(proxied, "app")


def test_metadata_with_another_hash(proxied: App, pypi: FakePypi) -> None:
    """Metadata that isn't what its page announces is not believed."""
    pypi.add(*wheel("app", "1"), metadata_hash="0" * 64)
    with pytest.raises(UpstreamInvalid, match="SHA-256"):
        ask(proxied, "app")


# --- the resolver --------------------------------------------------------------------------------------------------


def test_the_environment_counts_for_nothing(
    proxied: App, pypi: FakePypi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No variable, configuration or login of the process's user decides what is asked, or how."""
    pypi.add(*wheel("demo", "1"))
    ask(proxied, "demo")  # so that it needs no upstream, to which our own way may lead through a proxy
    nowhere = "http://127.0.0.1:9/"
    for name in (
        "UV_INDEX_URL",
        "UV_DEFAULT_INDEX",
        "UV_INDEX",
        "PIP_INDEX_URL",
        "HTTP_PROXY",
        "ALL_PROXY",
        "http_proxy",
    ):
        monkeypatch.setenv(name, nowhere)
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_EXCLUDE_NEWER", "2000-01-01")
    config = tmp_path / "config"
    (config / "uv").mkdir(parents=True)
    (config / "uv" / "uv.toml").write_text(f'[[index]]\nurl = "{nowhere}"\ndefault = true\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(config))
    monkeypatch.setenv("UV_CONFIG_FILE", str(config / "uv" / "uv.toml"))
    assert pins(ask(proxied, "demo")) == ["demo==1"]


def test_nothing_is_left(proxied: App, pypi: FakePypi) -> None:
    """No thread, process or file of a resolution outlives it, whether it succeeds or not."""
    pypi.add(*wheel("demo", "1"))
    children = _children()
    ask(proxied, "demo")
    refused(proxied, "demo>1")
    assert "loopback" not in {thread.name for thread in threading.enumerate()}
    assert _children() == children
    assert not list((proxied.settings.server.data_dir / "tmp").glob("resolving-*"))


def _children() -> str:
    found = subprocess.run(
        ["ps", "--ppid", str(os.getpid()), "-o", "comm="], capture_output=True, text=True, check=False
    )
    return found.stdout.replace("ps\n", "")


def test_no_end(proxied: App, pypi: FakePypi, monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolution that takes too long is ended, with all that it started."""
    monkeypatch.setattr(resolver, "LONGEST", 0.5)
    pypi.add(*wheel("demo", "1"))
    pypi.fail(pypi.page("demo"), "hang", times=1, seconds=2)
    children = _children()
    assert "within 0.5 seconds" in refused(proxied, "demo").message
    assert _children() == children


def test_no_resolver(proxied: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where uv is not installed, that is said with what to do."""
    monkeypatch.setitem(sys.modules, "uv", None)
    with pytest.raises(Unavailable, match="not installed") as caught:
        ask(proxied, "demo")
    assert caught.value.hint is not None
    assert "pip install uv" in caught.value.hint


def test_a_fault_of_ours(proxied: App, pypi: FakePypi, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that nobody expected is not hidden behind the resolver's words."""
    pypi.add(*wheel("demo", "1"))

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr("entrepot.operations.resolverindex.from_json", fail)
    with pytest.raises(ZeroDivisionError, match="ours"):
        ask(proxied, "demo")


# --- the oracle ----------------------------------------------------------------------------------------------------


def stock(pypi: FakePypi) -> None:
    """Projects that depend on each other in most of the ways there are, over half a year."""
    for number in range(30):
        for release in range(4):
            needs = [
                f"p{other:02}>={min(release, other % 3)}" for other in (2 * number + 1, 2 * number + 2) if other < 30
            ]
            needs += ["colours; sys_platform == 'win32'"] if number % 5 == 0 else []
            needs += [f"typing-more<{release + 2}; python_version < '3.{9 + number % 4}'"] if number % 7 == 0 else []
            python = f">=3.{8 + release}" if number % 4 == 0 else ">=3.8"
            uploaded = MAY + timedelta(days=number % 7 + 40 * release)
            make = sdist if number % 6 == 5 else wheel
            pypi.add(*make(f"p{number:02}", f"{release}.0", requires=needs, requires_python=python), uploaded=uploaded)
    for release in range(6):
        pypi.add(*wheel("typing-more", f"{release}.1"), uploaded=MAY + timedelta(days=20 * release))
        pypi.add(*wheel("colours", f"0.{release}"), uploaded=MAY + timedelta(days=10 * release))


def straight(tools: Tools, pypi: FakePypi, asked: Sequence[str], python: str, at: datetime | None) -> list[str]:
    """What uv finds that asks the upstream itself; nothing where it finds no solution."""
    (tools.folder / "requirements.in").write_text("\n".join(asked))
    options = ["--exclude-newer", (at + timedelta(seconds=1)).isoformat()] if at is not None else []
    status, said = tools.attempt(
        *("uv", "pip", "compile", "requirements.in", "--universal", "--quiet", "--no-header", "--no-annotate"),
        *("--default-index", pypi.upstream, "--python", sys.executable, "--python-version", python, *options),
    )
    assert status == 0 or "No solution found" in said, said
    return [] if status else [line for line in said.splitlines() if line.strip() and not line.startswith("warning")]


@pytest.mark.parametrize("at", [None, *(MAY + timedelta(days=days) for days in (45, 83, 100, 126))])
def test_the_same_as_uv_alone(proxied: App, pypi: FakePypi, tmp_path: Path, at: datetime | None) -> None:
    """What uv finds that asks upstream with a date of its own is what we find as of that date, or neither does."""
    stock(pypi)
    tools = Tools(tmp_path / "tools")
    solved = 0
    for asked in (["p00"], ["p02<3", "p05", "typing-more>=1"], ["p13", "colours; sys_platform != 'win32'"]):
        expected = straight(tools, pypi, asked, "3.8", at)
        try:
            # All of these, so that nothing is left out.
            found = pins(ask(proxied, *asked, python_versions=[f"3.{minor}" for minor in range(8, 20)], at=at))
        except Unresolvable:
            found = []
        assert found == expected
        solved += bool(found)
    assert solved >= 2
