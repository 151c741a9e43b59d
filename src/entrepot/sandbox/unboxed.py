"""One run without a sandbox, for machines that can't have one and administrators who allow it.

What the program does is not shut off from this machine: only its environment is clean, its limits hold as far as the
system can hold them for a user's process, and its processes are found by session, parent and a mark in their
environment. One that hides from all three stays.
"""

from __future__ import annotations

import os
import secrets
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from entrepot.sandbox import processes
from entrepot.sandbox.places import NOBODY, is_root, remove_tree, shelter
from entrepot.sandbox.running import (
    SPARE_PROCESSES,
    Usage,
    close_pipes,
    not_killed,
    popen,
    prelude,
    script,
    variables,
)
from entrepot.sandbox.task import Limits, Task

_END_SECONDS = 30
_GUARD = """exec 3<&0
( exec >/dev/null; while read -r word <&3; do :; done; kill -KILL -$$ ) &
exec 3<&-
"""
"""Kills the group when the server is gone, as its end of the pipe then closes."""


class Unboxed:
    """A run as a plain process, of nobody if we are root."""

    def __init__(self, task: Task, limits: Limits) -> None:
        self._limit = limits.disk
        self._folder = Path(tempfile.mkdtemp(dir=shelter()))
        self._mark = f"ENTREPOT_RUN={secrets.token_hex(16)}"
        self._walked = (0.0, 0)
        try:
            self._prepare()
            own = {name: str(self._folder / name.lower()) for name in ("HOME", "TMPDIR", "WORK")}
            own |= {name: str(folder.absolute()) for name, folder in task.folders.items()}
            own |= dict([self._mark.split("=")])
            user = NOBODY if is_root() else os.getuid()
            most = processes.threads_of(user) + limits.processes + SPARE_PROCESSES
            lines = script(prelude(limits, most_processes=most, guard=_GUARD))
            self.process = popen(
                ["/bin/sh", "-c", lines, "sh", *task.argv],
                env=variables(own, task.environment),
                cwd=str(self._folder / "work"),
            )
        except BaseException:
            remove_tree(self._folder)
            raise
        self.ended = os.pidfd_open(self.process.pid)
        self._known = {self.process.pid}
        assert self.process.stdin is not None
        with suppress(OSError):
            self.process.stdin.write(b"go\n")

    def usage(self) -> Usage:
        found = self._processes()
        return Usage(
            sum(process.threads for process in found), sum(process.memory for process in found), self._written()
        )

    def exact_memory(self) -> int | None:
        return processes.exact_memory(process.pid for process in self._processes())

    def is_disk_full(self) -> bool:
        return self._written() >= self._limit

    def end(self) -> None:
        """Stop all first, so that none begins another while it is looked for; then kill them."""
        until = time.monotonic() + _END_SECONDS
        while True:
            found = {process.pid for process in self._processes()}
            fresh = found
            while fresh and time.monotonic() < until:
                for pid in fresh:
                    processes.send(pid, signal.SIGSTOP)
                again = {process.pid for process in self._processes()}
                fresh, found = again - found, found | again
            for pid in found:
                processes.send(pid, signal.SIGKILL)
            if self.process.poll() is not None and not found:
                return
            if time.monotonic() > until:
                raise not_killed()
            time.sleep(0.01)

    def status(self) -> int | None:
        return self.process.returncode

    def close(self) -> None:
        try:
            self.end()
        finally:
            os.close(self.ended)
            close_pipes(self.process)
            remove_tree(self._folder)

    def _prepare(self) -> None:
        for name in ("home", "tmpdir", "work"):
            (self._folder / name).mkdir()
            if is_root():
                os.chown(self._folder / name, NOBODY, NOBODY)
        self._folder.chmod(0o711)

    def _processes(self) -> list[processes.Process]:
        """All that is alive of this run: below the first one or any that was seen, of its session, or with the mark."""
        mark, user = self._mark.encode(), NOBODY if is_root() else os.getuid()
        roots = set(self._known) if self.process.poll() is None else self._known - {self.process.pid}
        for pid in processes.listed():
            process = processes.read(pid)
            if process is not None and process.user == user and (processes.bears(pid, mark) or self._is_of(pid)):
                roots.add(pid)
        found = [p for p in processes.below(roots) if p.user == user and not processes.is_over(p.pid)]
        self._known = {process.pid for process in found}
        return found

    def _is_of(self, pid: int) -> bool:
        """Whether a process is of the session that the run began in, which is named by its first process."""
        try:
            return os.getsid(pid) == self.process.pid
        except OSError:
            return False

    def _written(self) -> int:
        """Bytes in its folders, looked at now and then: that takes a while."""
        when, size = self._walked
        began = time.monotonic()
        if began < when:
            return size
        size = _size(self._folder)
        now = time.monotonic()
        self._walked = (now + max(0.5, 10 * (now - began)), size)
        return size


def _size(folder: Path) -> int:
    total = 0
    for root, _folders, files in os.walk(folder):
        for name in files:
            try:
                total += os.lstat(os.path.join(root, name)).st_blocks * 512 + 1024  # noqa: PTH118
            except OSError:
                continue
    return total
