"""One run in bubblewrap: namespaces of its own, of which the first process is the life of all others."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from pathlib import Path

from entrepot.sandbox import inside, processes
from entrepot.sandbox.calls import syscall_filter
from entrepot.sandbox.running import SPARE_PROCESSES, Usage, close_pipes, not_killed, popen, prelude, script, variables
from entrepot.sandbox.task import Limits, Task

_BEGIN_SECONDS = 30
_END_SECONDS = 60
_INODE = 1024
"""Bytes that a file takes of the kernel's memory, whatever is in it."""


class Boxed:
    """A run in bubblewrap.

    Two processes are outside of it: bwrap itself (`process`), which waits, and the first process of the namespaces,
    which the kernel lets die only after all others in them. Killing that one is therefore all that is needed, and
    waiting for it is waiting for all.
    """

    def __init__(self, task: Task, limits: Limits) -> None:
        self._folders: list[int] = []
        self._first: int | None = None
        self._first_pid = 0
        self._is_begun = False
        self._is_grouped = processes.is_grouped()
        self._yielding: set[int] = set()
        self._told = b""
        self._status_pipe, ours = os.pipe()
        options = inside.Options()
        try:
            bwrap = inside.program()
            inside.describe(options, task, limits, bwrap=bwrap)
            options.add("--json-status-fd", str(ours))
            filtered = syscall_filter()
            if filtered is not None:
                options.add_data("--seccomp", filtered)
            lines = script(prelude(limits, most_processes=limits.processes + SPARE_PROCESSES))
            argv = [bwrap, *options.as_argv(), "--", "/bin/sh", "-c", lines, "sh", *task.argv]
            self.process = popen(
                argv, env={"PATH": variables({}, {})["PATH"]}, cwd="/", pass_fds=(*options.descriptors, ours)
            )
        except BaseException:
            os.close(self._status_pipe)
            raise
        finally:
            os.close(ours)
            options.close()
        self.ended = os.pidfd_open(self.process.pid)
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def usage(self) -> Usage:
        """What it holds; on the way, sessions that are new are told to yield to everything else."""
        found = self._processes()
        self._yield(found)
        return Usage(
            sum(process.threads for process in found), sum(process.memory for process in found), self._written()
        )

    def exact_memory(self) -> int | None:
        try:
            return processes.exact_memory(processes.listed(self._proc), self._proc)
        except OSError:
            return processes.exact_memory(process.pid for process in self._processes())

    def is_disk_full(self) -> bool:
        stats = [os.statvfs(folder) for folder in self._folders]
        return any(room.f_blocks and (room.f_bavail == 0 or room.f_favail == 0) for room in stats)

    def end(self) -> None:
        if self._first is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._first, signal.SIGKILL)
            waiting = select.poll()
            waiting.register(self._first, select.POLLIN)
            if not waiting.poll(_END_SECONDS * 1000):
                raise not_killed()
        # bwrap ends by itself when the first process is gone, and tells on the way what the program's status was.
        try:
            self.process.wait(5 if self._first is not None else 0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            try:
                self.process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired as error:
                raise not_killed() from error

    def status(self) -> int | None:
        self._read_status(0)
        for line in self._told.splitlines():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                status = int(json.loads(line)["exit-code"])
                return 128 - status if 128 < status <= 128 + signal.NSIG else status
        return -signal.SIGKILL if self._is_begun else None

    def close(self) -> None:
        try:
            self.end()
        finally:
            for descriptor in (*self._folders, self._status_pipe, self.ended, self._first):
                if descriptor is not None:
                    os.close(descriptor)
            close_pipes(self.process)

    @property
    def _proc(self) -> str:
        """The /proc of the namespaces, which shows their processes only."""
        return f"/proc/{self._first_pid}/root/proc"

    def _begin(self) -> None:
        """Hold on to the first process, and to the folders that are written to; then give the word.

        bwrap may fail before: then there is no first process, nothing was begun, and it says why on its standard error.
        """
        until = time.monotonic() + _BEGIN_SECONDS
        while b"\n" not in self._told and time.monotonic() < until and self._read_status(1):
            pass
        try:
            self._first_pid = int(json.loads(self._told.splitlines()[0])["child-pid"])
            self._first = os.pidfd_open(self._first_pid)
        except (ValueError, KeyError, TypeError, IndexError, ProcessLookupError):
            if time.monotonic() >= until:
                self.process.kill()
            return
        # The folders appear when bwrap has moved into them; nothing of the build runs yet, as it waits for the word.
        while not self._hold_folders():
            if self.process.poll() is not None:
                return
            if time.monotonic() >= until:
                self.process.kill()
                return
            time.sleep(0.002)
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.write(b"go\n")
            self.process.stdin.close()
            self._is_begun = True

    def _hold_folders(self) -> bool:
        """Whether the folders are held, or can't be: their size then is all that bounds them."""
        root = Path(f"/proc/{self._first_pid}/root")
        try:
            if root.samefile("/") or not (root / "tmp/work").is_dir():
                return False
            for name in ("tmp", "dev/shm"):
                self._folders.append(os.open(root / name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW))
        except PermissionError:
            return True
        except OSError:
            return False
        return True

    def _processes(self) -> list[processes.Process]:
        """All that is inside but its first process, which is bwrap's."""
        try:
            found = [processes.read(pid, self._proc) for pid in processes.listed(self._proc) if pid != 1]
        except OSError:
            if self.process.poll() is not None:
                return []
            return [process for process in processes.below((self._first_pid,)) if process.pid != self._first_pid]
        return [process for process in found if process is not None]

    def _yield(self, found: list[processes.Process]) -> None:
        if not self._is_grouped:
            return
        here = {process.session: process.pid for process in found}
        self._yielding &= here.keys()
        for session, pid in here.items():
            if session not in self._yielding and processes.yield_session(pid, self._proc):
                self._yielding.add(session)

    def _written(self) -> int:
        stats = [os.statvfs(folder) for folder in self._folders]
        return sum((s.f_blocks - s.f_bfree) * s.f_frsize + (s.f_files - s.f_ffree) * _INODE for s in stats)

    def _read_status(self, seconds: float) -> bool:
        """Read what bwrap tells of itself; whether there may be more."""
        waiting = select.poll()
        waiting.register(self._status_pipe, select.POLLIN)
        while waiting.poll(seconds * 1000):
            data = os.read(self._status_pipe, 4096)
            self._told = (self._told + data)[:65536]
            if not data:
                return False
            if seconds:
                return True
        return True
