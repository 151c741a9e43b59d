"""Processes as /proc tells of them: which there are, what they hold, and how they end."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class Process(NamedTuple):
    """A process: its session, its threads, and bytes that are its own or shared memory without a file."""

    pid: int
    parent: int
    user: int
    session: int
    threads: int
    memory: int


def listed(proc: str = "/proc") -> list[int]:
    """The processes that `proc` shows.

    Raises:
        OSError: it can't be read.
    """
    return [int(name) for name in os.listdir(proc) if name.isdecimal()]  # noqa: PTH208 names, and very often


def read(pid: int, proc: str = "/proc") -> Process | None:
    """The process, None if it is gone."""
    try:
        with open(f"{proc}/{pid}/status", "rb") as file:  # noqa: PTH123 very often
            found = dict(line.split(b":", 1) for line in file.read().splitlines() if b":" in line)
        kilobytes = sum(int(found.get(key, b"0").split()[0]) for key in (b"RssAnon", b"RssShmem", b"VmSwap"))
        parent, user, session, threads = (int(found[key].split()[0]) for key in (b"PPid", b"Uid", b"NSsid", b"Threads"))
    except (OSError, KeyError, ValueError, IndexError):
        return None
    return Process(pid, parent, user, session, threads, kilobytes * 1024)


def exact_memory(pids: Iterable[int], proc: str = "/proc") -> int | None:
    """Bytes that the processes hold together, what they share counted once; None where the system doesn't tell."""
    total = 0
    for pid in pids:
        try:
            with open(f"{proc}/{pid}/smaps_rollup", "rb") as file:  # noqa: PTH123
                rows = dict(line.split(b":", 1) for line in file.read().splitlines()[1:])
            total += sum(int(rows[key].split()[0]) for key in (b"Pss_Anon", b"Pss_Shmem", b"SwapPss")) * 1024
        except (FileNotFoundError, ProcessLookupError):
            continue  # gone
        except (OSError, KeyError, ValueError):
            return None
    return total


def below(roots: Iterable[int]) -> list[Process]:
    """All descendants of `roots`, with them, at one look at every process of this machine."""
    everything = [process for pid in listed() if (process := read(pid)) is not None]
    children: dict[int, list[Process]] = {}
    for process in everything:
        children.setdefault(process.parent, []).append(process)
    found = {process.pid: process for process in everything if process.pid in set(roots)}
    waiting = list(found)
    while waiting:
        for child in children.get(waiting.pop(), ()):
            if child.pid not in found:
                found[child.pid] = child
                waiting.append(child.pid)
    return list(found.values())


def threads_of(user: int) -> int:
    """How many processes and threads a user of this machine has."""
    return sum(process.threads for pid in listed() if (process := read(pid)) is not None and process.user == user)


def bears(pid: int, mark: bytes) -> bool:
    """Whether `mark` is in the environment that the process began with; False where that can't be read."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123
            return mark in file.read(1024**2)
    except OSError:
        return False


def send(pid: int, signal: int) -> None:
    """Send a signal to a process that may be gone."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal)


def memory_left() -> tuple[int, int]:
    """Bytes of memory that this machine has still to give, and those that it has."""
    rows = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    return int(rows["MemAvailable"].split()[0]) * 1024, int(rows["MemTotal"].split()[0]) * 1024


def is_grouped() -> bool:
    """Whether the scheduler gives each session its share, whatever its processes' niceness ("autogroup")."""
    try:
        return Path("/proc/sys/kernel/sched_autogroup_enabled").read_bytes().strip() == b"1"
    except OSError:
        return False


def yield_session(pid: int, proc: str = "/proc") -> bool:
    """Let the session of a process have the least share; whether it does now. The system may want to be asked again."""
    try:
        Path(f"{proc}/{pid}/autogroup").write_bytes(b"19")
    except OSError:
        return False
    return True


def is_over(pid: int) -> bool:
    """Whether a process is gone, or dead and not yet waited for by its parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] in (b"Z", b"X")
    except (OSError, IndexError):
        return True
