"""The program as a user runs it: real processes, with a server and without one."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import urllib3

from tests.support.archives import make_source_package

ENTREPOT = [sys.executable, "-m", "entrepot.cli.main"]


@pytest.fixture
def env(tmp_path: Path, database_url: str, storage_url: str) -> dict[str, str]:
    """Settings of a new installation in the chosen shape, by environment."""
    return {
        **os.environ,
        "ENTREPOT_SERVER__DATA_DIR": str(tmp_path / "data"),
        "ENTREPOT_SERVER__LISTEN": "127.0.0.1:0",
        "ENTREPOT_DATABASE__URL": database_url,
        "ENTREPOT_STORAGE__URL": storage_url,
        "ENTREPOT_CRAN__UPSTREAM": "http://127.0.0.1:9",
        "ENTREPOT_PYPI__UPSTREAM": "http://127.0.0.1:9/simple/",
    }


def run(env: dict[str, str], *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*ENTREPOT, *arguments], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@contextmanager
def serving(env: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server process that is ready, and its address."""
    process = subprocess.Popen([*ENTREPOT, "serve"], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        address = re.search(r"http://\S+", line)
        assert address, line + (process.stderr.read() if process.stderr else "")
        yield process, address[0].rstrip("/").replace("localhost", "127.0.0.1")
    finally:
        process.terminate()
        process.communicate(timeout=20)


def package(tmp_path: Path, name: str = "demo", version: str = "1.0") -> str:
    path = tmp_path / f"{name}_{version}.tar.gz"
    path.write_bytes(make_source_package(name, version))
    return str(path)


def test_without_a_server_commands_do_the_work_themselves(env: dict[str, str], tmp_path: Path) -> None:
    """Create, subscribe, add and list on a folder that no server uses; an upstream that is down is an exit code."""
    run(env, "create", "source", "--name=internal")
    run(env, "create", "repo", "--name=mine")
    run(env, "subscribe", "--repo=mine", "--source=internal")
    assert (
        run(env, "add", "--source=internal", f"--path={package(tmp_path)}").stdout
        == "Added package 'demo_1.0.tar.gz'\n"
    )
    (row,) = json.loads(run(env, "list", "packages", "--repo=mine", "-o", "json").stdout)
    assert (row["name"], row["version"], row["source"]) == ("demo", "1.0", "internal")
    run(env, "create", "repo", "--name=mine", code=5)
    run(env, "info", "--repo=nope", code=4)
    run(env, "subscribe", "--repo=mine", "--source=internal", "--succeed-on-existing")
    failed = run(env, "sync", code=6)
    assert "can't be reached" in failed.stderr
    assert "failed" in run(env, "info").stdout


def test_with_a_server_commands_go_to_it(env: dict[str, str], tmp_path: Path) -> None:
    """The same commands find the running server; what they do is served at once; SIGTERM ends it in order."""
    with serving(env) as (process, address):
        run(env, "create", "source", "--name=internal")
        run(env, "create", "repo", "--name=mine")
        run(env, "subscribe", "--repo=mine", "--source=internal")
        run(env, "add", "--source=internal", f"--path={package(tmp_path)}")
        answer = urllib3.request("GET", f"{address}/mine/latest/src/contrib/PACKAGES", retries=False)
        assert b"Package: demo" in answer.data
        assert address in run(env, "info").stdout
        token = (tmp_path / "data" / "admin.token").read_text().strip()
        assert (tmp_path / "data" / "admin.token").stat().st_mode & 0o007 == 0
        remote = {k: v for k, v in env.items() if not k.startswith("ENTREPOT_SERVER")}
        run({**remote, "ENTREPOT_ADDRESS": address}, "create", "repo", "--name=x", code=3)
        run({**remote, "PACKAGEMANAGER_ADDRESS": address, "PACKAGEMANAGER_TOKEN": token}, "create", "repo", "--name=x")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert "mine" in run(env, "list").stdout


def test_one_server_a_data_folder(env: dict[str, str]) -> None:
    """A second server on the same folder, and one on a port in use, are refused in one line."""
    with serving(env), socket.create_server(("127.0.0.1", 0)) as taken:
        assert "another Entrepot uses the data folder" in run(env, "serve", code=5).stderr
        other = {
            **env,
            "ENTREPOT_SERVER__DATA_DIR": env["ENTREPOT_SERVER__DATA_DIR"] + "2",
            "ENTREPOT_SERVER__LISTEN": f"127.0.0.1:{taken.getsockname()[1]}",
        }
        refused = run(other, "serve", code=2).stderr
        assert "can't listen on" in refused


def test_an_upstream_that_is_down_at_the_first_start_is_a_state(env: dict[str, str]) -> None:
    """The server starts all the same; page and info show the reason and the next try."""
    with serving(env) as (_, address):
        until = time.monotonic() + 20
        while "be reached: connection refused" not in (
            page := urllib3.request("GET", f"{address}/__ui__/status", retries=False, timeout=20).data.decode()
        ):
            assert time.monotonic() < until, page
            time.sleep(0.1)
        assert "Next sync" in page
        info = run(env, "info").stdout
        assert "can't be reached" in info
        assert "Next try" in info
        refused = urllib3.request("GET", f"{address}/cran/latest/src/contrib/PACKAGES", retries=False)
        assert refused.status == 503
        assert b"was never synced" in refused.data


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("ENTREPOT_CRAN__UPSTREM", "x", "unknown setting [cran] upstrem"),
        ("ENTREPOT_CRAN__UPSTREAM", "ftp://x", "bad value for [cran] upstream: 'ftp://x'"),
        ("ENTREPOT_CRAN__SYNC_SCHEDULE", "hourly", "bad value for [cran] sync_schedule: 'hourly'"),
        ("ENTREPOT_SERVER__LISTEN", "4242", "bad value for [server] listen: '4242'"),
        ("ENTREPOT_DATABASE__URL", "mysql://x", "bad value for [database] url"),
        ("ENTREPOT_STORAGE__URL", "s3://no-such-bucket-here", "can't be used"),
        ("ENTREPOT_SERVR__LISTEN", ":1", "unknown setting [servr]"),
    ],
)
def test_settings_that_are_wrong_stop_the_start(env: dict[str, str], variable: str, value: str, said: str) -> None:
    """The key, the value and what is allowed, in one line and a hint; nothing starts."""
    done = run(
        {
            **env,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            variable: value,
        },
        "serve",
        code=2,
    )
    assert said in done.stderr
    assert "Hint:" in done.stderr


def test_migrate_and_check_config(env: dict[str, str]) -> None:
    """migrate makes the tables once; check-config shows the effective values."""
    assert "none -> 0009" in run(env, "migrate").stdout
    assert "0009 already" in run(env, "migrate").stdout
    assert "http://127.0.0.1:9" in run(env, "check-config").stdout
