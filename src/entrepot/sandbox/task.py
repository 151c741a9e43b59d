"""What is to be run in a sandbox, and how much it may take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

Check = Callable[[], None]
"""Called several times a second while something runs; it raises (`Cancelled`) when that shall end."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may take.

    Attributes:
        seconds: from its start to its end.
        memory: bytes of all its processes together.
        disk: bytes that it may write, which are kept in memory.
        processes: processes and threads at a time.
        output: bytes of its result.
    """

    seconds: float
    memory: int
    disk: int
    processes: int
    output: int = 1024**3


@dataclass(frozen=True, slots=True)
class Task:
    """A program and what it is given.

    Attributes:
        argv: as seen from inside; found on the PATH there. What it writes to its standard output is the result, what
            it writes to its standard error the log.
        folders: variable -> folder of this machine. The program may read the folder, and finds its path inside in that
            variable of its environment (`{"SRC": checkout}` -> `$SRC`), whatever that path is.
        programs: folders of this machine that its interpreter needs, at the same path inside, besides the system's own
            (`/usr`): the prefix of an R in /opt, of a Python in /home.
        environment: variables besides those that every run has: HOME, TMPDIR, PATH, LC_ALL, TZ, and WORK, the empty
            folder that it begins in and may write to.
    """

    argv: Sequence[str]
    folders: Mapping[str, Path] = field(default_factory=dict)
    programs: Sequence[Path] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
