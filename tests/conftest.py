"""The shapes that the suite runs in, the fixtures of each, and the guard that keeps every test on this machine.

`--db=sqlite|postgres` and `--storage=local|s3` choose what `database_url` and `storage_url` lead to.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings

from entrepot.app import App
from entrepot.sandbox.box import detect
from entrepot.settings import Settings
from tests.support import postgres, s3
from tests.support import r as real_r
from tests.support.fake_cran import FakeCran
from tests.support.fake_pypi import FakePypi
from tests.support.server import Clock, Live, installed, running

hypothesis_settings.register_profile("default", deadline=None)
hypothesis_settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis_settings.load_profile("ci" if os.environ.get("CI") == "true" else "default")

CLEARED_PREFIXES = ("ENTREPOT_", "PACKAGEMANAGER_", "PIP_", "UV_", "TWINE_", "POETRY_", "RENV_", "AWS_", "AZURE_", "PG")
CLEARED = {
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "FTP_PROXY"),
    *("R_LIBS", "R_LIBS_USER", "R_LIBS_SITE", "R_PROFILE", "R_PROFILE_USER", "R_ENVIRON", "R_ENVIRON_USER"),
    *("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "NETRC", "GOOGLE_APPLICATION_CREDENTIALS"),
    *("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "NO_COLOR", "FORCE_COLOR", "COLUMNS"),
}
"""Variables of the machine that would change what a test sees; compared in upper case."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("entrepot", "the shape that the suite runs in")
    group.addoption("--db", choices=("sqlite", "postgres"), default="sqlite", help="database (default: sqlite)")
    group.addoption("--storage", choices=("local", "s3"), default="local", help="file storage (default: local)")


def pytest_report_header(config: pytest.Config) -> str:
    return f"shape: --db={config.getoption('--db')} --storage={config.getoption('--storage')}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Another shape is tried by the tests that have a database or a store and depend on which; others know of neither,
    or are marked `one_shape`."""
    if (config.getoption("--db"), config.getoption("--storage")) == ("sqlite", "local"):
        return
    shaped = {"shape", "database_url", "storage_url", "postgres_cluster", "s3_server"}
    kept = [
        item
        for item in items
        if shaped & set(getattr(item, "fixturenames", ())) and item.get_closest_marker("one_shape") is None
    ]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
    items[:] = kept


def pytest_configure(config: pytest.Config) -> None:
    """Clean the environment before any test module is imported; put it back at the end."""
    patch = pytest.MonkeyPatch()
    config.add_cleanup(patch.undo)
    for name in list(os.environ):
        if name.upper() in CLEARED or name.upper().startswith(CLEARED_PREFIXES):
            patch.delenv(name)
    home = tempfile.mkdtemp(prefix="entrepot-home-")
    config.add_cleanup(lambda: shutil.rmtree(home, ignore_errors=True))
    patch.setenv("HOME", home)
    # The machine's own files may preset package indexes and identities for these.
    patch.setenv("PIP_CONFIG_FILE", os.devnull)
    patch.setenv("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    patch.setenv("UV_NO_CONFIG", "1")
    patch.setenv("UV_PYTHON_DOWNLOADS", "never")
    patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    _install_guard(patch)


# --- nothing beyond loopback ---------------------------------------------------------------------------------------

_reached_out: list[str] = []
"""Where the running test tried to go, in this process, beyond loopback."""


class BeyondLoopback(AssertionError):
    """A test tried to reach another machine."""


def _is_local(host: object) -> bool:
    if host in (None, "", b"", "localhost", b"localhost"):
        return True
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _refuse(what: str) -> BeyondLoopback:
    _reached_out.append(what)
    return BeyondLoopback(f"a test may not reach beyond loopback: {what}")


def _install_guard(patch: pytest.MonkeyPatch) -> None:
    """Let this process's sockets go to loopback and unix sockets only (what C and Rust libraries open is not seen)."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex
    getaddrinfo = socket.getaddrinfo

    def check(sock: socket.socket, address: Any) -> None:
        if sock.family in (socket.AF_INET, socket.AF_INET6) and not _is_local(address[0]):
            raise _refuse(f"connect to {address[0]}:{address[1]}")

    def guarded_connect(sock: socket.socket, address: Any) -> None:
        check(sock, address)
        connect(sock, address)

    def guarded_connect_ex(sock: socket.socket, address: Any) -> int:
        check(sock, address)
        return connect_ex(sock, address)

    def guarded_getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "")
        if name.rstrip(".").endswith(".invalid"):  # RFC 6761: never exists, and nobody needs to be asked
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if not _is_local(host):
            raise _refuse(f"look up {name}")
        return getaddrinfo(host, *args, **kwargs)

    patch.setattr(socket.socket, "connect", guarded_connect)
    patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
    patch.setattr(socket, "getaddrinfo", guarded_getaddrinfo)


@pytest.fixture(autouse=True)
def _stays_on_this_machine() -> Iterator[None]:
    """Fail a test that tried to reach out even where the code under test swallowed the refusal."""
    _reached_out.clear()
    yield
    if tried := sorted(set(_reached_out)):
        _reached_out.clear()
        pytest.fail(f"the test tried to reach beyond loopback: {'; '.join(tried)}", pytrace=False)


# --- the shapes ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def shape(request: pytest.FixtureRequest) -> tuple[str, str]:
    """The chosen database and storage, for tests that make an installation of their own."""
    return request.config.getoption("--db"), request.config.getoption("--storage")


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[postgres.Cluster]:
    """A PostgreSQL server for the whole run; a missing one fails, since a skipped shape proves nothing."""
    try:
        postgres.programs()
    except postgres.PostgresMissing as error:
        pytest.fail(f"PostgreSQL is needed here: {error} (make test does)", pytrace=False)
    with postgres.cluster() as running:
        yield running


@pytest.fixture(scope="session")
def s3_server() -> Iterator[s3.S3]:
    """An S3 server for the whole run, with AWS_* set to reach it; a missing one fails."""
    if missing := [name for name in ("moto", "flask", "flask_cors") if importlib.util.find_spec(name) is None]:
        pytest.fail(f"moto's S3 server is needed here, but {', '.join(missing)} is not installed", pytrace=False)
    with s3.server() as running:
        yield running


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh, empty database of the chosen kind, as an SQLAlchemy URL."""
    if request.config.getoption("--db") == "postgres":
        cluster: postgres.Cluster = request.getfixturevalue("postgres_cluster")
        with cluster.database() as url:
            yield url
    else:
        yield f"sqlite:///{tmp_path}/entrepot.db"


@pytest.fixture
def storage_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh, empty place for files of the chosen kind."""
    if request.config.getoption("--storage") == "s3":
        server: s3.S3 = request.getfixturevalue("s3_server")
        return f"s3://{server.bucket()}/x"
    return f"file://{tmp_path}/files"


@pytest.fixture(scope="session")
def rscript() -> Path:
    """Where Rscript is; a test that asks for it is skipped on a machine without R."""
    if found := real_r.rscript():
        return found
    pytest.skip("no Rscript on PATH (make test installs R)")


@pytest.fixture(scope="session")
def sandboxed() -> None:
    """Builds can be shut off from this machine; a test that asks for it is skipped where they can't."""
    if reason := detect():
        pytest.skip(f"{reason} (make test installs bubblewrap)")


# --- a whole Entrepot ----------------------------------------------------------------------------------------------


@pytest.fixture
def clock() -> Clock:
    """2024-03-01, noon UTC, until the test says otherwise."""
    return Clock()


@pytest.fixture
def settings(tmp_path: Path, database_url: str, storage_url: str) -> Settings:
    """Settings of a new installation in the chosen shape; its mirror is synced by the test alone."""
    values = {
        "server": {"data_dir": tmp_path / "data", "listen": "127.0.0.1:0"},
        "database": {"url": database_url},
        "storage": {"url": storage_url},
        "cran": {"upstream": "http://127.0.0.1:9", "sync_schedule": "", "describe_rate": 1000},
        "pypi": {"upstream": "http://127.0.0.1:9/simple", "sync_schedule": "", "metadata_rate": 1000},
        "bioconductor": {"upstream": "http://127.0.0.1:9", "sync_schedule": ""},
        "repos": {"bioconductor": ""},
    }
    return Settings.model_validate(values)


@pytest.fixture
def app(settings: Settings, clock: Clock) -> Iterator[App]:
    """A new installation, opened, with its defaults."""
    with installed(settings, clock) as opened:
        yield opened


@pytest.fixture
def live(app: App) -> Iterator[Live]:
    """The same, with its site on loopback."""
    with running(app) as site:
        yield site


@pytest.fixture
def cran() -> Iterator[FakeCran]:
    """An upstream CRAN on loopback, empty."""
    with FakeCran() as server:
        yield server


@pytest.fixture
def mirrored(settings: Settings, cran: FakeCran, clock: Clock) -> Iterator[App]:
    """An installation whose source `cran` mirrors the fixture `cran`; not synced yet."""
    upstream = settings.cran.model_copy(update={"upstream": cran.url})
    with installed(settings.model_copy(update={"cran": upstream}), clock) as opened:
        yield opened


@pytest.fixture
def live_mirrored(mirrored: App) -> Iterator[Live]:
    """That installation with its site on loopback."""
    with running(mirrored) as site:
        yield site


@pytest.fixture
def pypi() -> Iterator[FakePypi]:
    """An upstream index of Python packages on loopback, empty."""
    with FakePypi() as server:
        yield server


@pytest.fixture
def proxied(settings: Settings, pypi: FakePypi, clock: Clock) -> Iterator[App]:
    """An installation whose source `pypi` reads the fixture `pypi`."""
    upstream = settings.pypi.model_copy(update={"upstream": pypi.upstream})
    with installed(settings.model_copy(update={"pypi": upstream}), clock) as opened:
        yield opened


@pytest.fixture
def live_proxied(proxied: App) -> Iterator[Live]:
    """That installation with its site on loopback."""
    with running(proxied) as site:
        yield site
