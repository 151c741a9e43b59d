"""Commands on this machine's installation, and the whole program as a process."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
import time
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.cli.conftest import Entrepot
from tests.cli.stub import Stub

HEAVY = {"sqlalchemy", "fastapi", "pydantic", "urllib3", "rich", "uvicorn", "obstore", "alembic"}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with its data in a temporary folder."""
    path = tmp_path / "entrepot.toml"
    path.write_text(f'[server]\ndata_dir = "{tmp_path}/data"\n[database]\nurl = "postgresql://u:hidden@h/db"\n')
    return path


@pytest.mark.parametrize("way", ["flag", "variable"])
def test_check_config(bare: Entrepot, config: Path, tmp_path: Path, way: str) -> None:
    """`check-config` prints what is in effect without passwords; `--config` or ENTREPOT_CONFIG name the file."""
    if way == "flag":
        result = bare("check-config", "-c", str(config))
    else:
        result = bare("check-config", env={"ENTREPOT_CONFIG": str(config)})
    assert (result.exit_code, result.stderr) == (0, "configuration is valid\n")
    assert f'data_dir = "{tmp_path}/data"' in result.stdout.splitlines()
    assert "[server]" in result.stdout.splitlines()
    assert "hidden" not in result.stdout


def test_check_config_as_json(bare: Entrepot, config: Path, tmp_path: Path) -> None:
    """JSON says that it is valid and gives the values."""
    document = bare.json("check-config", "-c", str(config))
    assert (document["valid"], document["settings"]["server"]["data_dir"]) == (True, f"{tmp_path}/data")


def test_a_wrong_configuration(bare: Entrepot, config: Path) -> None:
    """A wrong or missing configuration exits with 2."""
    config.write_text("[server]\nno_such = 1\n")
    assert bare.failed("check-config", "-c", str(config))[0] == 2
    assert bare.failed("check-config", "-c", "no-such.toml")[0] == 2
    assert bare.failed("list", "-c", "no-such.toml")[0] == 2


@pytest.mark.parametrize("command", ["serve", "migrate", "check-config"])
def test_commands_of_this_machine(bare: Entrepot, command: str) -> None:
    """What works on this machine only refuses an address (2)."""
    code, said = bare.failed(command, "--address=https://example.org")
    assert (code, said[0]) == (2, f"Error: '{command}' works on this machine's server only")


class Local(NamedTuple):
    address: str
    token: str
    in_process: bool


@pytest.fixture
def local(stub: Stub, monkeypatch: pytest.MonkeyPatch, config: Path) -> Iterator[Entrepot]:
    """Stands for `entrepot.web` and `entrepot.app`: this machine's server is the stub, in process."""
    web, main, app = (types.ModuleType(f"entrepot.{name}") for name in ("web.local", "web.main", "app"))

    @contextmanager
    def open_local(settings: Any) -> Iterator[Local]:
        yield Local(stub.address, stub.token, in_process=True)

    def serve(settings: Any) -> None:
        print(f"serving {settings.server.data_dir}")

    vars(web)["open_local"] = open_local
    vars(main)["serve"] = serve
    vars(app)["migrate"] = lambda _: "schema 1 -> 2"
    for module in (web, main, app):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return Entrepot(env={"ENTREPOT_CONFIG": str(config)})  # type: ignore[return-value]


def test_without_an_address(local: Entrepot) -> None:
    """Without an address this machine's server is used, with its own token."""
    assert local.said("create", "repo", "--name=demo") == ["Repository: demo - R"]
    assert local.failed("create", "repo", "--name=other", "--token=wrong")[0] == 3


def test_no_wait_in_this_process(local: Entrepot) -> None:
    """A job that was queued without a server runs when one starts, and `--no-wait` says so."""
    result = local("sync", "--no-wait")
    assert (result.stdout, result.stderr) == (
        "1\n",
        "Sync of 'cran' is queued as job 1; it runs when the server starts\n",
    )


def test_ctrl_c_in_this_process(local: Entrepot, monkeypatch: pytest.MonkeyPatch, stub: Stub) -> None:
    """Where the command does the work itself, Ctrl-C stops it (130), and the job is begun anew later."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    stub.job_states = [{"state": "running"}]
    monkeypatch.setattr("time.sleep", interrupt)
    result = local("sync", "--quiet")
    said = "Stopped; job 1 begins anew when the server starts, unless 'entrepot cancel --job=1' ends it\n"
    assert (result.exit_code, result.stderr) == (130, said)


def test_info_where_no_server_runs(local: Entrepot) -> None:
    """`info` does not give the address of a server that ends with the command."""
    said = local.said("info")
    assert said[:2] == [
        "Entrepot 0.1.0 (built 2026-07-01 10:00 UTC) on this machine, where no server runs",
        "Source 'cran':",
    ]
    assert local.json("info")["address"] is None


def test_serve_and_migrate(local: Entrepot, tmp_path: Path) -> None:
    """`serve` runs the server with the settings; `migrate` prints what was done."""
    assert local.said("serve") == [f"serving {tmp_path}/data"]
    assert local.said("migrate") == ["schema 1 -> 2"]
    assert local.json("migrate") == {"done": "schema 1 -> 2"}


def run(*args: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """The program as a process."""
    return subprocess.run(
        [sys.executable, "-m", "entrepot.cli.main", *args],
        capture_output=True,
        text=True,
        env={**os.environ, **(env or {})},
        timeout=30,
        check=False,
    )


def test_help_is_quick() -> None:
    """`--help` answers in the time of an interactive program (a loose bound, not a benchmark)."""
    run("--help")
    began = time.monotonic()
    assert run("--help").returncode == 0
    assert time.monotonic() - began < 2


def test_help_imports_nothing_heavy() -> None:
    """Help needs neither the server's libraries nor the client's."""
    code = f"""
import sys
from entrepot.cli.main import main
sys.argv = ["entrepot", "create", "repo", "--help"]
try:
    main()
except SystemExit:
    pass
print(sorted({HEAVY!r} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_process(stub: Stub) -> None:
    """Exit codes and streams are those of the process."""
    env = {"ENTREPOT_ADDRESS": stub.address, "ENTREPOT_TOKEN": stub.token}
    made = run("create", "repo", "--name=demo", env=env)
    assert (made.returncode, made.stdout, made.stderr) == (0, "Repository: demo - R\n", "")
    again = run("create", "repo", "--name=demo", "-o", "json", env=env)
    assert (again.returncode, again.stdout, json.loads(again.stderr)["code"]) == (5, "", "name-taken")


def on_a_terminal(*args: str) -> tuple[int, str, str]:
    """Exit code, standard output and what a terminal at standard error was sent."""
    terminal, end = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    program = [sys.executable, "-m", "entrepot.cli.main", *args]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=end, text=True, env=env) as process:
        os.close(end)
        sent = b""
        with contextlib.suppress(OSError):  # Linux's way to say that the other end is closed
            while block := os.read(terminal, 65536):
                sent += block
        os.close(terminal)
        assert process.stdout is not None
        said = process.stdout.read()
    return process.returncode, said, sent.decode()


def test_progress_on_a_terminal(stub: Stub, tmp_path: Path) -> None:
    """A terminal gets a bar for a sync and for a large upload, and the summary alone on standard output."""
    server = ("-a", stub.address, "--token", stub.token)
    stub.create_source({"name": "internal", "type": "local", "succeed_on_existing": False})
    stub.job_states = [
        {"state": "running", "progress": {"step": "reading [b] indexes", "done": 1, "total": 4}},
        {"state": "done", "result": {"transactions": 1, "added": 2, "updated": 0, "archived": 0, "removed": 0}},
    ]
    code, said, sent = on_a_terminal("sync", *server)
    assert (code, said) == (0, "Synced 'cran': 2 added in 1 transaction\n")
    assert "cran: reading [b] indexes" in sent
    assert "1/4" in sent
    path = tmp_path / "big_1.0.tar.gz"
    with path.open("wb") as file:
        file.truncate(8 * 1024 * 1024)
    code, said, sent = on_a_terminal("add", "--source=internal", f"--path={path}", *server)
    assert (code, said) == (0, "Added package 'big_1.0.tar.gz'\n")
    assert "Sending" in sent
    assert "MB" in sent


def test_a_terminal_without_unicode(stub: Stub) -> None:
    """Output that the terminal can't show does not end in a traceback; JSON stays whole."""
    env = {"ENTREPOT_ADDRESS": stub.address, "ENTREPOT_TOKEN": stub.token, "PYTHONIOENCODING": "ascii"}
    made = run("create", "repo", "--name=demo", "--description=für 日本", env=env)
    assert (made.returncode, made.stdout) == (0, "Repository: demo - f?r ?? - R\n")
    assert json.loads(run("list", "repos", "-o", "json", env=env).stdout)[-1]["description"] == "für 日本"


def test_a_reader_that_leaves(stub: Stub) -> None:
    """A closed pipe ends the program without a traceback."""
    stub.create_source({"name": "big", "type": "local", "succeed_on_existing": False})
    stub.packages["big"] = {f"p{number:05}": ["1.0"] for number in range(5000)}
    words = f"-a {stub.address} list packages --source=big --count=5000"
    script = f"'{sys.executable}' -m entrepot.cli.main {words} | head -n 1"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.startswith("p00000")
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
