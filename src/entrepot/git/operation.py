"""The processes of one use of git, and their end.

All belong to one process group, which a keeper leads: a shell that waits for the end of a pipe whose other end is ours.
If this process dies, however it does, the keeper ends the group and removes the folder. As long as the keeper lives
its number is nobody else's, so the group can be ended without a race.
"""

from __future__ import annotations

import fcntl
import os
import re
import selectors
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final, Self

from entrepot.core.errors import BuildFailed, EndpointUnavailable, Unavailable
from entrepot.sandbox.places import remove_if_left
from entrepot.sandbox.task import Check

PREFIX: Final = "entrepot-git-"
"""How the folders of operations begin."""
_KEEPER: Final = 'trap "" TERM; read -r _; kill -s TERM 0; rm -rf -- "$1"; kill -s KILL 0'
_LIMITED: Final = 'ulimit -c 0; ulimit -f "$1"; ulimit -v "$2"; shift 2; exec "$@"'
_LOOK_EVERY: Final = 0.2
_WATCH_EVERY: Final = 0.5
_LINGER: Final = 1.0
"""Seconds for what is still in a pipe when the program has ended, but not all that holds the pipe."""
_CHUNK: Final = 256 * 1024
LARGEST_OUTPUT: Final = 64 * 1024**2
"""Bytes of a program's standard output that are kept in memory."""
_PLAIN = re.compile(r"[A-Za-z0-9_./-]{1,70}")
"""Paths that ssh takes as they are, in its options and for a socket (unix(7): 107 bytes)."""

Take = Callable[[bytes], None]


class Operation:
    """A context manager; at its end no process and no file of it is left.

    Args:
        scratch: where its folder is made, if its path is short and plain; else in the system's temporary folder.
        seconds: for all that is run together.
        file_size: bytes of each file that a program may write.
        memory: bytes of address space of each program.
    """

    def __init__(self, scratch: Path, *, seconds: float, file_size: int, memory: int, check: Check) -> None:
        self._scratch, self._seconds, self._check = scratch, seconds, check
        self._limits = (str(file_size // 512 + 1), str(memory // 1024))
        self._until = time.monotonic() + seconds

    def __enter__(self) -> Self:
        self.folder, self._lock = _made(self._scratch)
        try:
            self._keeper = _started(
                ["/bin/sh", "-c", _KEEPER, "entrepot-git", str(self.folder)],
                {"PATH": search_path()},
                process_group=0,
                stdin=subprocess.PIPE,
            )
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._keeper.pid, signal.SIGKILL)
        self._keeper.communicate()
        self._remove()

    def start(self, argv: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start a program that goes on beside others, without output; who starts it waits for it.

        Raises:
            Unavailable: it can't be started.
        """
        return _started(argv, environment, process_group=self._keeper.pid)

    def run(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        *,
        said: Take,
        take: Take | None = None,
        watch: Check | None = None,
    ) -> tuple[int, bytes]:
        """Run a program to its end; its status and what it wrote.

        Args:
            said: takes its standard error, as it comes.
            take: takes its standard output in place of the result.
            watch: called twice a second, if it is quick; raises to end the program.

        Raises:
            Unavailable: it can't be started.
            EndpointUnavailable: the time is over.
            Whatever `check`, `watch` and those that take raise.
        """
        kept = _Kept()
        command = ["/bin/sh", "-c", _LIMITED, "entrepot-git", *self._limits, *argv]
        process = _started(
            command,
            environment,
            process_group=self._keeper.pid,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            self._follow(process, {process.stdout: take or kept.take, process.stderr: said}, watch or _nothing)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
        return process.returncode, b"".join(kept.parts)

    def look(self) -> None:
        """Raises what `check` raises; EndpointUnavailable: the time is over."""
        self._check()
        if time.monotonic() > self._until:
            raise EndpointUnavailable(f"the Git endpoint took more than {self._seconds:g} seconds")

    def _follow(self, process: subprocess.Popen[bytes], takers: Mapping[IO[bytes] | None, Take], watch: Check) -> None:
        """Pass on what comes, until the program ended and all of it came."""
        next_look = next_watch = ended = 0.0
        with selectors.DefaultSelector() as selector:
            for pipe, take in takers.items():
                if pipe is not None:
                    selector.register(pipe, selectors.EVENT_READ, take)
            while selector.get_map():
                ready = selector.select(_LOOK_EVERY)
                for key, _ in ready:
                    if data := os.read(key.fd, _CHUNK):
                        key.data(data)
                    else:
                        selector.unregister(key.fileobj)
                now = time.monotonic()
                if now >= next_look:
                    self.look()
                    next_look = now + _LOOK_EVERY
                if now >= next_watch:
                    watch()
                    next_watch = now + max(_WATCH_EVERY, 5 * (time.monotonic() - now))
                if not ready and process.poll() is not None:
                    ended = ended or now
                    if now - ended > _LINGER:
                        return
        while True:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_LOOK_EVERY)
                return
            self.look()
            watch()

    def _remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)


class _Kept:
    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self._size = 0

    def take(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > LARGEST_OUTPUT:
            raise BuildFailed(f"git wrote more than {LARGEST_OUTPUT:,} bytes")
        self.parts.append(data)


def search_path() -> str:
    """Where programs are found: as for this process."""
    return os.environ.get("PATH") or os.defpath


def program(name: str, package: str) -> str:
    """Where a program is. Raises Unavailable: it isn't installed."""
    if found := shutil.which(name, path=search_path()):
        return found
    raise Unavailable(
        f"the program {name}, which Git endpoints are asked with, is not installed on this server",
        hint=f"install it: apt install {package}",
    )


def sweep(scratch: Path) -> int:
    """Remove folders of operations whose process and keeper were killed; how many there were. For a server's start."""
    removed = 0
    for parent in {scratch, Path(tempfile.gettempdir())}:
        for folder in parent.glob(f"{PREFIX}*"):
            removed += remove_if_left(folder)
    return removed


def _made(scratch: Path) -> tuple[Path, int]:
    """A new folder for us alone, and the descriptor that holds its lock."""
    scratch.mkdir(parents=True, exist_ok=True)
    for parent in (scratch.absolute(), Path(tempfile.gettempdir()), Path("/tmp")):
        if not _PLAIN.fullmatch(str(parent)) or not parent.is_dir():
            continue
        for _ in range(10):
            folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if folder.is_dir():  # nobody who sweeps took it in between
                return folder, descriptor
            os.close(descriptor)
    raise Unavailable(
        "there is no temporary folder with a short and plain path for git and ssh", hint="set TMPDIR to one"
    )


def _started(
    argv: Sequence[str],
    environment: Mapping[str, str],
    *,
    process_group: int,
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.DEVNULL,
    stderr: int = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            argv,
            env=environment,
            cwd="/",
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            bufsize=0,
            umask=0o022,
            process_group=process_group,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(f"{argv[0]} can't be started: {getattr(error, 'strerror', error)}") from error


def _nothing() -> None:
    """For programs that are not watched."""
