"""A shell on another system, as a command of this machine stands for it: what it is sent, what comes, how it ends."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from entrepot.core.errors import BuildFailed, BuildStopped, Cancelled, Unavailable
from entrepot.sandbox.elsewhere import READY, run_elsewhere
from entrepot.sandbox.task import Limits

LIMITS = Limits(seconds=20, memory=2**30, disk=2**30, processes=100, output=2**20)
SHELL = ("/bin/sh", "-s")


def script(lines: str) -> bytes:
    return f"{{\necho {READY.decode()}\n{lines}\nexit\n}}\n".encode()


def ran(
    tmp_path: Path,
    lines: str,
    *,
    command: Sequence[str] = SHELL,
    data: bytes | None = None,
    limits: Limits = LIMITS,
    log: list[str] | None = None,
) -> bytes:
    given = tmp_path / "data"
    if data is not None:
        given.write_bytes(data)
    result = tmp_path / "result"
    told = (log if log is not None else []).append
    try:
        run_elsewhere(
            command,
            script(lines),
            given if data is not None else None,
            result,
            limits=limits,
            log=told,
            check=lambda: None,
        )
        return result.read_bytes()
    finally:
        result.unlink(missing_ok=True)


@pytest.mark.parametrize("shell", ["dash", "bash", "sh"])
def test_what_follows_the_script_comes_whole(tmp_path: Path, shell: str) -> None:
    if not Path("/bin", shell).exists():
        pytest.skip(f"no /bin/{shell}")
    data, log = os.urandom(300_000) + b"\n}\nexit 3\n", list[str]()
    assert ran(tmp_path, "echo said >&2; cat", command=(f"/bin/{shell}", "-s"), data=data, log=log) == data
    assert log == ["said"]


def test_what_is_said_before_is_no_result(tmp_path: Path) -> None:
    command = ("/bin/sh", "-c", "echo welcome; echo banner >&2; exec sh -s")
    assert ran(tmp_path, "echo result", command=command) == b"result\n"


def test_only_what_commands_need_of_our_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_SERVER", "hidden")
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    said = ran(tmp_path, "env")
    assert b"hidden" not in said
    assert b"DOCKER_HOST=unix:///nowhere" in said


def test_failures(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed) as failed:
        ran(tmp_path, "exit 7")
    assert failed.value.payload == {"status": 7}
    with pytest.raises(Unavailable, match=r"runs no shell that takes our script: it ended with status 255 \(no route"):
        ran(tmp_path, "", command=("/bin/sh", "-c", "echo no route >&2; exit 255"))
    with pytest.raises(Unavailable, match="ended without an error"):
        ran(tmp_path, "", command=("/bin/true",))
    with pytest.raises(Unavailable, match="can't be started: No such file"):
        ran(tmp_path, "", command=("/no/such/program",))
    with pytest.raises(BuildStopped, match="larger than 1 MiB"):
        ran(tmp_path, "exec head -c 3000000 /dev/zero")
    with pytest.raises(BuildStopped, match="says much"):
        ran(tmp_path, "", command=("/bin/sh", "-c", "exec head -c 3000000 /dev/zero"))
    assert list(tmp_path.iterdir()) == []


def test_one_that_hangs_ends_with_all_that_it_began(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    hanging = f"(trap '' TERM; setsid sleep 300 & echo $! >{mark}; exec sleep 300) & trap '' TERM; sleep 300"
    with pytest.raises(BuildStopped, match="took longer than 2 s"):
        ran(tmp_path, hanging, limits=Limits(seconds=2, memory=2**30, disk=2**30, processes=100))
    assert is_gone(int(mark.read_text()))


def test_one_that_is_cancelled_ends_before_it_is_ready(tmp_path: Path) -> None:
    began = time.monotonic()

    def check() -> None:
        if time.monotonic() - began > 0.5:
            raise Cancelled("enough")

    result = tmp_path / "result"
    with pytest.raises(Cancelled):
        run_elsewhere(("/bin/sleep", "300"), script(""), None, result, limits=LIMITS, log=lambda _: None, check=check)
    assert not result.exists()
    assert time.monotonic() - began < 15


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] in (b"Z", b"X")
    except (FileNotFoundError, ProcessLookupError):
        return True
