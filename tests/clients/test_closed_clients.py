"""Real clients at closed repositories: how each is told a token, and what it says without one."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from entrepot.core.model import SourceType
from entrepot.ecosystems.r.setups import NETRC
from entrepot.operations import sources
from tests.support.archives import make_source_package
from tests.support.closed import add, repository, token
from tests.support.distributions import wheel
from tests.support.python import Tools
from tests.support.r import run_r
from tests.support.server import Live

pytestmark = pytest.mark.one_shape

HOST = "127.0.0.1"


@pytest.fixture
def site(live: Live, tmp_path: Path) -> Live:
    """Closed repositories of R and of Python packages, each with two packages, and a second closed source."""
    app = live.app
    for name in ("team", "others"):
        sources.create_source(app, f"{name}-r", type_=SourceType.LOCAL)
        sources.create_source(app, f"{name}-py", type_=SourceType.LOCAL_PYTHON)
    add(app, "team-r", tmp_path, "low_1.0.tar.gz", make_source_package("low", "1.0"))
    add(app, "team-r", tmp_path, "top_1.0.tar.gz", make_source_package("top", "1.0", fields={"Imports": "low"}))
    add(app, "team-py", tmp_path, *wheel("low", "1.0"))
    add(app, "team-py", tmp_path, *wheel("top", "1.0", requires=["low"]))
    repository(app, "vault", "team-r", is_closed=True)
    repository(app, "vaultpy", "team-py", is_closed=True, is_python=True)
    return live


@pytest.fixture
def reader(site: Live) -> str:
    """A token that reads both repositories."""
    return token(site.app, repos=["vault", "vaultpy"])


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    return Tools(tmp_path / "clients")


def with_login(site: Live, text: str, user: str = "__token__") -> str:
    """The site's address with a login in it."""
    login = f"{user}:{text}@" if text else f"{user}@"
    return site.address.replace("://", f"://{login}")


def netrc(home: Path, text: str) -> Path:
    """A file of logins in a home folder, as the setup tells it."""
    home.mkdir(parents=True, exist_ok=True)
    path = home / ".netrc"
    path.write_text(f"machine {HOST} login __token__ password {text}\n")
    path.chmod(0o600)
    return path


# --- R -------------------------------------------------------------------------------------------------------------


def r_says(url: str, call: str, lib: Path, *, first: str = "", env: Mapping[str, str] | None = None) -> str:
    """What R prints whose repository is `url` after a call, and then what is installed in `lib`."""
    code = f"""
        {first}
        options(repos = c(CRAN = "{url}"), warn = 1)
        {call}
        cat("@", sort(rownames(installed.packages(lib.loc = Sys.getenv("R_LIBS")))), "\\n")
    """
    done = run_r(code, lib=lib, env=env)
    return done.stdout + done.stderr


INSTALL = 'install.packages("top", quiet = TRUE)'


@pytest.mark.r
def test_r_with_a_login_in_the_url(site: Live, reader: str, rscript: Path, tmp_path: Path) -> None:
    """Works with every R; R shows the URL, and so the token, where it isn't quiet."""
    said = r_says(f"{with_login(site, reader)}/vault/latest", INSTALL, tmp_path / "lib")
    assert "@ low top" in said


@pytest.mark.r
def test_r_with_headers(site: Live, reader: str, rscript: Path, tmp_path: Path) -> None:
    """`headers` goes from install.packages to both the index and the files; it never shows."""
    call = f'install.packages("top", headers = c(Authorization = "Bearer {reader}"))'
    said = r_says(f"{site.address}/vault/latest", call, tmp_path / "lib")
    assert "@ low top" in said
    assert reader not in said


@pytest.mark.r
def test_r_available_and_download_packages_with_headers(site: Live, reader: str, rscript: Path) -> None:
    """The two that install.packages is made of take `headers` by themselves."""
    code = f"""
        headers <- c(Authorization = "Bearer {reader}")
        contrib <- contrib.url("{site.address}/vault/latest")
        found <- available.packages(contrib, headers = headers)
        got <- download.packages("low", tempdir(), available = found, contriburl = contrib, headers = headers)
        cat("@", sort(rownames(found)), basename(got[, 2]))
    """
    assert "@ low top low_1.0.tar.gz" in run_r(code).stdout


@pytest.mark.r
@pytest.mark.parametrize("method", ["curl", "wget"])
def test_r_with_netrc(site: Live, reader: str, rscript: Path, tmp_path: Path, method: str) -> None:
    """The programs curl and wget read ~/.netrc; so does R with them, as the setup says for curl."""
    home = tmp_path / "home"
    netrc(home, reader)
    first = NETRC if method == "curl" else 'options(download.file.method = "wget")'
    said = r_says(f"{site.address}/vault/latest", INSTALL, tmp_path / "lib", first=first, env={"HOME": str(home)})
    assert "@ low top" in said
    assert reader not in said


@pytest.mark.r
@pytest.mark.parametrize("has_token", [False, True], ids=["no token", "token of another"])
def test_r_says_that_it_gets_nothing(site: Live, rscript: Path, tmp_path: Path, has_token: bool) -> None:
    """The index can't be had, and nothing is installed; a download by itself shows the status."""
    text = token(site.app, sources=["others-r"])
    url = f"{with_login(site, text) if has_token else site.address}/vault/latest"
    file = f'try(download.file("{url}/src/contrib/PACKAGES", tempfile(), quiet = TRUE))'
    said = r_says(url, f"{INSTALL}; {file}", tmp_path / "lib")
    assert "unable to access index for repository" in said
    assert "@ \n" in said
    status = "403 Forbidden" if has_token else "401 Unauthorized"
    assert f"HTTP status was '{status}'" in said


@pytest.mark.r
@pytest.mark.parametrize("way", ["headers", "url"])
def test_renv(site: Live, reader: str, rscript: Path, tmp_path: Path, way: str) -> None:
    """renv asks a function for the headers of each URL, or has the login in the URL; it shows neither."""
    if "TRUE" not in run_r('cat(requireNamespace("renv", quietly = TRUE))').stdout:
        pytest.skip("the R package renv is not installed")
    address = with_login(site, reader) if way == "url" else site.address
    first = "options(renv.consent = TRUE, renv.config.ppm.enabled = FALSE)"
    if way == "headers":
        first += f"""
            options(renv.download.headers = function(url) {{
              if (startsWith(url, "{site.address}/")) c(Authorization = "Bearer {reader}")
            }})
        """
    call = 'renv::install("top", library = .libPaths()[1], prompt = FALSE)'
    env = {"RENV_PATHS_ROOT": str(tmp_path / "renv"), "RENV_CONFIG_SANDBOX_ENABLED": "FALSE"}
    said = r_says(f"{address}/vault/latest", call, tmp_path / "lib", first=first, env=env)
    assert "@ low top" in said
    assert reader not in said


# --- Python --------------------------------------------------------------------------------------------------------


def index(address: str) -> str:
    return f"{address}/vaultpy/latest/simple/"


def install(tools: Tools, client: str, url: str, *more: str, env: Mapping[str, str] | None = None) -> tuple[bool, str]:
    """Whether `top` with what it needs could be installed, and what the client said."""
    venv = tools.venv()
    wanted = {
        "pip": ("--python", str(venv), "install", *more, "--index-url", url, "top"),
        "uv": ("pip", "install", "--python", str(venv), *more, "--default-index", url, "top"),
    }[client]
    status, said = tools.attempt(client, *wanted, env=env)
    return status == 0 and {"low", "top"} <= tools.installed(venv).keys(), said


@pytest.mark.parametrize("client", ["pip", "uv"])
def test_python_with_a_login_in_the_url(site: Live, tools: Tools, reader: str, client: str) -> None:
    """Pages and files, which are at URLs without it; neither client prints the token."""
    is_done, said = install(tools, client, index(with_login(site, reader)))
    assert is_done, said
    assert reader not in said


@pytest.mark.parametrize("client", ["pip", "uv"])
def test_python_with_netrc(site: Live, tools: Tools, reader: str, client: str, tmp_path: Path) -> None:
    """Both look into ~/.netrc for the host."""
    path = netrc(tmp_path / "logins", reader)
    is_done, said = install(tools, client, index(site.address), env={"NETRC": str(path)})
    assert is_done, said


@pytest.mark.parametrize("client", ["pip", "uv"])
def test_python_with_a_keyring(site: Live, tools: Tools, reader: str, client: str, tmp_path: Path) -> None:
    """The program `keyring` gives the password of `__token__`, which is all that the URL names."""
    program = tmp_path / "bin" / "keyring"
    program.parent.mkdir()
    login = json.dumps({"username": "__token__", "password": reader})
    ways = [f"*output=json*__token__*) echo '{login}';;", f"*__token__*) echo {reader};;", "*) exit 1;;"]
    program.write_text(f'#!/bin/sh\ncase "$*" in {" ".join(ways)} esac\n')
    program.chmod(0o700)
    env = {"PATH": os.pathsep.join([str(program.parent), str(Path(sys.executable).parent), "/usr/bin", "/bin"])}
    url = index(with_login(site, ""))
    is_done, said = install(tools, client, url, "--keyring-provider", "subprocess", env=env)
    assert is_done, said


@pytest.mark.parametrize("client", ["pip", "uv"])
@pytest.mark.parametrize("has_token", [False, True], ids=["no token", "token of another"])
def test_python_clients_say_why_they_get_nothing(site: Live, tools: Tools, client: str, has_token: bool) -> None:
    """uv names the status, pip only with -v; neither prints the token, and nothing is installed."""
    text = token(site.app, sources=["others-py"])
    is_done, said = install(tools, client, index(with_login(site, text) if has_token else site.address))
    assert not is_done
    wanted = {"pip": "No matching distribution found", "uv": "403 Forbidden" if has_token else "401 Unauthorized"}
    assert wanted[client] in said
    assert text not in said


# --- publishing ----------------------------------------------------------------------------------------------------


def publish(site: Live, tools: Tools, client: str, source: str, text: str, file: Path) -> tuple[int, str]:
    url = f"{site.address}/upload/pypi/{source}"
    if client == "twine":
        env = {"TWINE_USERNAME": "__token__", "TWINE_PASSWORD": text, "TWINE_NON_INTERACTIVE": "1"}
        return tools.attempt("twine", "upload", "--repository-url", url, str(file), env=env)
    env = {"UV_PUBLISH_TOKEN": text, "UV_PUBLISH_URL": url}
    return tools.attempt("uv", "publish", "--trusted-publishing", "never", str(file), env=env)


@pytest.mark.parametrize("client", ["twine", "uv"])
def test_a_token_publishes_to_its_source_alone(site: Live, tools: Tools, tmp_path: Path, client: str) -> None:
    """Published is what the token is for; elsewhere the client shows the words of the refusal."""
    text = token(site.app, sources=["team-py"])
    name, data = wheel("fresh", "1.0")
    file = tmp_path / name
    file.write_bytes(data)
    status, said = publish(site, tools, client, "others-py", text, file)
    assert status != 0
    assert "403" in said
    assert "this token may not change source" in said.replace("\n", " ")
    status, said = publish(site, tools, client, "team-py", text, file)
    assert status == 0, said
    assert text not in said
    (_, rows) = site.api("GET", "/sources/team-py/packages")
    assert "fresh" in {row["name"] for row in rows}
    assert site.api("GET", "/sources/others-py/packages")[1] == []
