"""One run of a shell on another system, by a command of the administrator's (ssh, docker), which we only talk to.

The command runs a POSIX shell that reads a script from its standard input. A shell may read further than the script
goes, so what comes after it is sent when the script says that it runs: by the line READY on its standard output. What
follows that line is the result. Whatever the other system says before (a banner, a profile) is left out.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from entrepot.core.errors import BuildFailed, BuildStopped, Unavailable
from entrepot.core.jobs import Log
from entrepot.core.room import needs_room
from entrepot.sandbox import processes
from entrepot.sandbox.lines import Lines
from entrepot.sandbox.running import Usage, close_pipes, not_killed
from entrepot.sandbox.task import Check, Limits
from entrepot.sandbox.watch import Run

READY = b"entrepot-is-ready"
_NOISE = 64 * 1024
"""Bytes that the other system may say before the script runs."""
_KEPT = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "XDG_RUNTIME_DIR", "SSH_AUTH_SOCK", "KRB5CCNAME")
_KEPT_BEGINNINGS = ("DOCKER_", "CONTAINER_", "PODMAN_", "LANG", "LC_")
"""What the command may need of the server's environment; there is more in that, such as passwords."""
_GRACE_SECONDS = 1.0
"""Given to the command to end what it began elsewhere, before it is killed."""
_END_SECONDS = 30.0


def run_elsewhere(
    command: Sequence[str],
    script: bytes,
    data: Path | None,
    result: Path,
    *,
    limits: Limits,
    log: Log,
    check: Check,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run `script` in the shell that `command` runs, and send it the file `data` once it is ready.

    Its standard output from then on becomes the new file `result`, each line of its standard error goes to `log`. Of
    `limits` the time and the size of the result count. `check` is called about five times a second. When this returns
    or raises, no process of the command is left on this machine; where it raises, `result` is not left either.

    Args:
        environment: of the command; None: what such commands need of ours.

    Raises:
        Unavailable: the command could not be started, or ended before the script ran.
        BuildFailed: the script ended with a status that isn't 0.
        BuildStopped: it went beyond a limit.
        OutOfSpace: there is no room for the result.
        whatever `check` and `log` raise.
    """
    with needs_room("the result of a build could not be kept"), result.open("xb") as file:
        try:
            with contextlib.closing(_Elsewhere(command, script, data, file, environment)) as running:
                lines = Lines(log)
                try:
                    Run(running, limits, running.take, lines, check).carry_out()
                except BuildFailed as error:
                    if running.is_ready or isinstance(error, BuildStopped):
                        raise
                    raise _never_ready(command, error.message, " ".join(lines.latest)) from error
                if not running.is_ready:
                    raise _never_ready(command, "it ended without an error", " ".join(lines.latest))
        except BaseException:
            result.unlink(missing_ok=True)
            raise


def _never_ready(command: Sequence[str], ending: str, said: str) -> Unavailable:
    return Unavailable(
        f"{command[0]!r} runs no shell that takes our script: {ending}" + (f" ({said[-300:]})" if said else ""),
        hint="the command has to run a POSIX shell that reads a script from its standard input: `ssh host sh -s`",
    )


class _Elsewhere:
    """A command that runs, as `running.Running`; its script is sent by a thread."""

    def __init__(
        self,
        command: Sequence[str],
        script: bytes,
        data: Path | None,
        result: BinaryIO,
        environment: Mapping[str, str] | None,
    ) -> None:
        self._mark = f"ENTREPOT_RUN={secrets.token_hex(16)}"
        self._result, self._said, self.is_ready = result, b"", False
        self._may_send, self._known = threading.Event(), set[int]()
        given = _kept() if environment is None else environment
        try:
            self.process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env={**given, **dict([self._mark.split("=")])},
                cwd="/",
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise Unavailable(
                f"{command[0]!r} can't be started: {reason}", hint="name a program that the server can run"
            ) from error
        self.ended = os.pidfd_open(self.process.pid)
        self._sender = threading.Thread(target=self._send, args=(script, data), name="build-input", daemon=True)
        self._sender.start()

    def take(self, piece: bytes) -> None:
        """Keep what follows the line that says READY, which begins the sending of the rest."""
        if self.is_ready:
            self._result.write(piece)
            return
        self._said += piece
        before, line, after = self._said.partition(READY + b"\n")
        if line:
            self.is_ready, self._said = True, b""
            self._may_send.set()
            self._result.write(after)
        elif len(before) > _NOISE:
            raise BuildStopped("the command says much, but not that the script runs")

    def usage(self) -> Usage:
        """What it holds is held elsewhere."""
        return Usage(0, 0, 0)

    def exact_memory(self) -> int | None:
        return 0

    def is_disk_full(self) -> bool:
        return False

    def end(self) -> None:
        """First ask it to end, which clients of containers hand on; then kill whatever is left."""
        until = time.monotonic() + _GRACE_SECONDS
        self._signal_all(signal.SIGTERM)
        while self.process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        until = time.monotonic() + _END_SECONDS
        while self._signal_all(signal.SIGKILL) or self.process.poll() is None:
            if time.monotonic() > until:
                raise not_killed()
            time.sleep(0.01)

    def status(self) -> int | None:
        return self.process.returncode

    def close(self) -> None:
        try:
            self.end()
        finally:
            self._may_send.set()
            self._sender.join(_END_SECONDS)
            os.close(self.ended)
            close_pipes(self.process)

    def _send(self, script: bytes, data: Path | None) -> None:
        stdin = self.process.stdin
        assert stdin is not None
        with contextlib.suppress(OSError):  # it ended, and says why
            _write(stdin.write, script)
            self._may_send.wait()
            if self.is_ready and data is not None:
                with data.open("rb") as file:
                    shutil.copyfileobj(file, _Whole(stdin.write), 256 * 1024)
        with contextlib.suppress(OSError):
            stdin.close()

    def _signal_all(self, number: int) -> bool:
        """Whether there was anything to signal: all below it, of its session, or with its mark."""
        mark, user = self._mark.encode(), os.getuid()
        roots = {self.process.pid} if self.process.poll() is None else set()
        for pid in processes.listed():
            found = processes.read(pid)
            if found is not None and found.user == user and (processes.bears(pid, mark) or self._is_of(pid)):
                roots.add(pid)
        self._known = {
            process.pid for process in processes.below(roots | self._known) if not processes.is_over(process.pid)
        }
        for pid in self._known:
            processes.send(pid, number)
        return bool(self._known)

    def _is_of(self, pid: int) -> bool:
        try:
            return os.getsid(pid) == self.process.pid
        except OSError:
            return False


class _Whole:
    """Writes all that it is given, however much the pipe takes at once."""

    def __init__(self, write: Callable[[bytes], int | None]) -> None:
        self._write = write

    def write(self, data: bytes) -> int:
        _write(self._write, data)
        return len(data)


def _write(write: Callable[[bytes], int | None], data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[write(rest) or 0 :]  # type: ignore[arg-type]


def _kept() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name in _KEPT or name.startswith(_KEPT_BEGINNINGS)}
