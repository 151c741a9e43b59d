"""URLs of repositories rewritten for deploy tools: the five modes, the documents' own examples, what is left alone."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import Any

import pytest

from entrepot.rewriting import (
    MODES,
    Distro,
    Host,
    Mode,
    Rewriter,
    Served,
    parse,
    read_os_release,
    read_status,
    rewrite,
)
from tests.support.fake_server import FakeServer

BASE = "https://packages.example.org"
PORTABLE = "manylinux_2_28"


def distro(url: str, *, name: str = "", distribution: str = "", release: str = "", binaries: bool = True) -> Distro:
    return Distro(name or url, url, distribution, release, binaries)


SERVED = Served(
    (
        distro("focal", distribution="ubuntu", release="20.04"),
        distro("jammy", distribution="ubuntu", release="22.04"),
        distro("rhel9", distribution="redhat", release="9"),
        distro("centos8", name="rhel8", distribution="redhat", release="8"),
        distro("noble", distribution="ubuntu", release="24.04", binaries=False),
        distro(PORTABLE, distribution="centos", release="8"),
    )
)
SOURCE, COMPATIBLE, OTHER = "/cran/latest", "/cran/__linux__/jammy/latest", "/cran/__linux__/focal/latest"
PORTABLE_PATH = f"/cran/__linux__/{PORTABLE}/latest"
FOREIGN = "https://cran.example.org/"

TABLE: dict[Mode, dict[str, str]] = {
    "auto": {SOURCE: SOURCE, COMPATIBLE: COMPATIBLE, OTHER: COMPATIBLE, PORTABLE_PATH: PORTABLE_PATH},
    "force-source": {SOURCE: SOURCE, COMPATIBLE: SOURCE, OTHER: SOURCE, PORTABLE_PATH: SOURCE},
    "force-binary": {SOURCE: COMPATIBLE, COMPATIBLE: COMPATIBLE, OTHER: COMPATIBLE, PORTABLE_PATH: PORTABLE_PATH},
    "force-portable": dict.fromkeys((SOURCE, COMPATIBLE, OTHER, PORTABLE_PATH), PORTABLE_PATH),
    "none": {path: path for path in (SOURCE, COMPATIBLE, OTHER, PORTABLE_PATH)},
}
"""Mode -> path -> what becomes of it on jammy, where the server has binary packages for jammy."""


@pytest.mark.parametrize("mode", MODES)
def test_five_modes_on_a_machine_that_the_server_has_binaries_for(mode: Mode) -> None:
    """Source, compatible, incompatible and portable URLs; a URL of another server stays in every mode."""
    assert {path: rewrite(BASE + path, mode, "jammy", SERVED) for path in TABLE[mode]} == {
        path: BASE + expected for path, expected in TABLE[mode].items()
    }
    assert rewrite(FOREIGN, mode, "jammy", SERVED) == FOREIGN
    assert rewrite(BASE + OTHER, mode, "jammy", None) == BASE + OTHER


@pytest.mark.parametrize("distribution", ["noble", "plan9", None])
def test_five_modes_on_a_machine_without_binaries(distribution: str | None) -> None:
    """Where the server has none for the machine, or nobody knows what it is, what would not fit becomes source."""
    expected: dict[Mode, list[str]] = {
        "auto": [SOURCE, SOURCE, PORTABLE_PATH],
        "force-source": [SOURCE, SOURCE, SOURCE],
        "force-binary": [SOURCE, SOURCE, PORTABLE_PATH],
        "force-portable": [PORTABLE_PATH] * 3,
        "none": [SOURCE, OTHER, PORTABLE_PATH],
    }
    for mode in MODES:
        found = [rewrite(BASE + path, mode, distribution, SERVED) for path in (SOURCE, OTHER, PORTABLE_PATH)]
        assert found == [BASE + path for path in expected[mode]], mode


def test_a_compatible_url_is_left_alone_by_auto_even_if_nothing_is_served() -> None:
    """It gets source packages there anyway; force-binary says so in the URL."""
    path = "/cran/__linux__/noble/latest"
    assert rewrite(BASE + path, "auto", "noble", SERVED) == BASE + path
    assert rewrite(BASE + path, "force-binary", "noble", SERVED) == BASE + SOURCE


@pytest.mark.parametrize(
    ("url", "binary", "source"),
    [
        ("/cran/2024-06-30", "/cran/__linux__/jammy/2024-06-30", "/cran/2024-06-30"),
        ("/cran/1234/", "/cran/__linux__/jammy/1234/", "/cran/1234/"),
        ("/a/b/cran/__linux__/focal/latest/", "/a/b/cran/__linux__/jammy/latest/", "/a/b/cran/latest/"),
        ("/cran/7?x=1&y=%20#z", "/cran/__linux__/jammy/7?x=1&y=%20#z", "/cran/7?x=1&y=%20#z"),
        ("/bioc/packages/3.18/bioc", "/bioc/__linux__/jammy/packages/3.18/bioc", "/bioc/packages/3.18/bioc"),
        (
            "/bioc/__linux__/focal/2024-01-02/packages/3.18/data/annotation/",
            "/bioc/__linux__/jammy/2024-01-02/packages/3.18/data/annotation/",
            "/bioc/2024-01-02/packages/3.18/data/annotation/",
        ),
        (
            "/cran/latest/bin/linux/focal-arm64/4.4",
            "/cran/latest/bin/linux/jammy-arm64/4.4",
            "/cran/latest",
        ),
        ("/cran/7/bin/linux/focal-x86_64/4.4/", "/cran/7/bin/linux/jammy-x86_64/4.4/", "/cran/7/"),
        (
            "/cran/2021-03-09+MTo3NTk_LQ==",
            "/cran/__linux__/jammy/2021-03-09+MTo3NTk_LQ==",
            "/cran/2021-03-09+MTo3NTk_LQ==",
        ),
    ],
)  # fmt: skip
def test_all_else_of_a_url_stays(url: str, binary: str, source: str) -> None:
    """Prefix, snapshot, tail of Bioconductor, query and slashes; logins and ports too."""
    for base in (BASE, "http://user:p%40ss@[::1]:4242", "https://__token__@HOST.example.org"):
        assert rewrite(base + url, "force-binary", "jammy", SERVED) == base + binary
        assert rewrite(base + url, "force-source", "jammy", SERVED) == base + source


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://cran.example.org",
        "https://cran.example.org/src/contrib",
        "https://packages.example.org/pypi/latest/simple/",
        "https://packages.example.org/cran",
        "https://packages.example.org/cran/__linux__/jammy",
        "https://packages.example.org/cran/__linux__//latest",
        "https://packages.example.org/cran/latest/src/contrib/abc_1.0.tar.gz",
        "https://bioconductor.example.org/packages/3.18/bioc",
        "file:///srv/cran/latest",
        "ftp://packages.example.org/cran/latest",
        "https://packages.example.org:port/cran/latest",
        "https:///cran/latest",
        "https://packages.example.org/cran/la test",
        "https://packages.example.org/cran/latest\n",
        "https://packages.example.org/" + "a/" * 5000 + "cran/latest",
        "not a URL",
    ],
)
def test_what_has_another_form_is_nobodys_business(url: str) -> None:
    """It has no repository in it, in every mode it stays, and no server is asked."""
    assert list(parse(url)) == []
    with Rewriter() as rewriter:
        assert {rewriter.rewrite(url, mode, "jammy").url for mode in MODES} == {url}


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("jammy", "jammy"),
        ("rhel8", "centos8"),
        ("RHEL 8", "centos8"),
        ("ubuntu-22.04", "jammy"),
        ("Ubuntu 20.04", "focal"),
        ("centos8", "centos8"),
        ("plan9", "plan9"),
        (Host(("ubuntu", "debian"), ("22.04", "22"), ("jammy",)), "jammy"),
        (Host(("linuxmint", "ubuntu"), ("21.3", "21"), ("virginia", "jammy")), "jammy"),
        (Host(("redhat",), ("8.9", "8"), ()), "centos8"),
        (Host(("redhat",), ("9.4", "9"), ()), "rhel9"),
        (Host(("centos",), ("8",), ()), None),
        (Host(("debian",), ("99",), ("duke",)), "duke"),
        (Host(), None),
        (None, None),
    ],
)
def test_names_of_distributions(wanted: str | Host | None, name: str | None) -> None:
    """As people call them, or by what a machine says of itself; the portable one is nobody's own."""
    assert SERVED.name_of(wanted) == name


@pytest.mark.parametrize(
    ("text", "host"),
    [
        (
            'PRETTY_NAME="Ubuntu 22.04.4 LTS"\nVERSION_ID="22.04"\nVERSION_CODENAME=jammy\nID=ubuntu\nID_LIKE=debian\n',
            Host(("ubuntu", "debian"), ("22.04", "22"), ("jammy",)),
        ),
        (
            'ID="rhel"\nID_LIKE="fedora"\nVERSION_ID="9.4"\n',
            Host(("redhat", "fedora"), ("9.4", "9"), ()),
        ),
        (
            "# a comment\nID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID='9.3'\n",
            Host(("rockylinux", "redhat", "centos", "fedora"), ("9.3", "9"), ()),
        ),
        ('ID="opensuse-leap"\nVERSION_ID="15.6"', Host(("opensuse",), ("15.6", "15"), ())),
        ("nonsense\nID='unfinished\n=\n", Host()),
    ],
)  # fmt: skip
def test_what_a_machine_says_of_itself(text: str, host: Host) -> None:
    """os-release, quoted or not; lines that can't be read are left out."""
    assert read_os_release(text) == host


def status(*names: str, **more: Any) -> bytes:
    distros = [{"name": name, "os": "linux", "binaryURL": name, "binaries": True} for name in names]
    return json.dumps({"version": "1.0", "distros": distros, **more}).encode()


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"<html>", b"[]", b"{}", b"[" * 99999),
        *(b'{"version": "3"}', b'{"distros": []}', b'{"version": 1, "distros": []}'),
    ],
)
def test_what_is_no_status(body: bytes) -> None:
    assert read_status(body) is None


def test_odd_entries_of_a_status_are_left_out() -> None:
    """Windows and macOS have no name for URLs, and a name with a slash is none."""
    rows = [None, 5, {"binaryURL": ""}, {"binaryURL": "a/b"}, {"binaryURL": "x", "os": "windows", "binaries": True}]
    body = json.dumps({"version": "1", "distros": [*rows, {"binaryURL": "jammy"}]}).encode()
    assert read_status(body) == Served((Distro("", "jammy", "", "", False),))


@pytest.fixture
def server() -> Any:
    with FakeServer() as found:
        yield found


def test_the_server_is_asked_once_whatever_is_asked_of_it(server: FakeServer) -> None:
    """`auto` asks what it serves, by threads at once too; the login of the URL goes there."""
    server.put("prefix/__api__/status", status("jammy", "noble"))
    at = server.url.replace("//", "//user:p%40ss@")
    with Rewriter() as rewriter:
        first = rewriter.rewrite(f"{at}/prefix/cran/__linux__/focal/latest", "auto", "jammy")
        urls: list[str] = []

        def ask() -> None:
            urls.append(rewriter.rewrite(f"{at}/prefix/cran/latest", "force-binary", "noble").url)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (first.url, first.warning) == (f"{at}/prefix/cran/__linux__/jammy/latest", None)
    assert urls == [f"{at}/prefix/cran/__linux__/noble/latest"] * 8
    (asked,) = server.requests
    assert (asked.path, asked.headers["Authorization"]) == ("prefix/__api__/status", "Basic dXNlcjpwQHNz")


def test_source_urls_and_none_ask_nobody(server: FakeServer) -> None:
    """In `auto` a source URL stays whatever the server is, and `none` changes nothing."""
    with Rewriter() as rewriter:
        assert rewriter.rewrite(f"{server.url}/cran/latest", "auto", "jammy").reason == "it installs source packages"
        assert not rewriter.rewrite(f"{server.url}/cran/__linux__/focal/latest", "none", "jammy").is_rewritten
    assert server.requests == []


def test_servers_of_another_kind_stay(server: FakeServer) -> None:
    """A 404, or a page that is no status."""
    server.put("html/__api__/status", b"<html>")
    with Rewriter() as rewriter:
        for prefix in ("", "/html"):
            decision = rewriter.rewrite(f"{server.url}{prefix}/cran/__linux__/focal/latest", "force-source", "jammy")
            assert (decision.is_rewritten, decision.reason) == (False, "its server is no package manager")


def test_a_server_that_is_away_leaves_the_url_and_warns(server: FakeServer) -> None:
    """Refused connections, no answer in time, errors, and logins that it asks for."""
    url = f"{server.url}/cran/__linux__/focal/latest"
    with server.closed(), Rewriter() as rewriter:
        decision = rewriter.rewrite(url, "auto", "jammy")
        assert not decision.is_rewritten
        assert decision.warning is not None
        assert decision.warning.startswith(f"{server.url}/__api__/status can't be asked: ")
    server.put("__api__/status", status("jammy"))
    server.fail("__api__/status", "hang")
    with Rewriter(timeout=0.2) as rewriter:
        assert not rewriter.rewrite(url, "auto", "jammy").is_rewritten
    server.heal("__api__/status")
    with Rewriter(lifetime=0) as rewriter:
        server.fail("__api__/status", 503, times=1)
        away = rewriter.rewrite(url, "auto", "jammy")
        assert (away.url, away.warning) == (url, f"{server.url}/__api__/status can't answer now (HTTP 503)")
        server.fail("__api__/status", 401, times=1)
        assert "asks for a login (HTTP 401)" in (rewriter.rewrite(url, "auto", "jammy").warning or "")
        assert rewriter.rewrite(url, "auto", "jammy").url == f"{server.url}/cran/__linux__/jammy/latest"


def test_the_library_is_light() -> None:
    """It brings nothing that deploy tools don't have."""
    heavy = "{'sqlalchemy', 'fastapi', 'pydantic', 'typer', 'urllib3', 'entrepot.core'}"
    code = f"import sys, entrepot.rewriting; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
