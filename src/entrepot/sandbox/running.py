"""What is common to a run in a sandbox and one without: how it is begun, watched and ended."""

from __future__ import annotations

import math
import os
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from entrepot.core.errors import SandboxUnavailable
from entrepot.sandbox.places import NOBODY, is_root
from entrepot.sandbox.task import Limits

GENTLE = ("nice", "-n", "19")
PATH = "/usr/local/bin:/usr/bin:/bin"
FILES = 1024
SPARE_PROCESSES = 16
"""So many beyond its limit the system allows a build, so that the watch sees it go beyond."""


class Usage:
    """What a run holds at the moment."""

    __slots__ = ("disk", "memory", "processes")

    def __init__(self, processes: int, memory: int, disk: int) -> None:
        self.processes, self.memory, self.disk = processes, memory, disk


class Running(Protocol):
    """A run that was begun.

    Attributes:
        process: the one to wait for; its two pipes are read by whoever runs it.
        ended: a descriptor that can be read once `process` has ended.
    """

    process: subprocess.Popen[bytes]
    ended: int

    def usage(self) -> Usage:
        """What it holds now; nothing of what is gone."""

    def exact_memory(self) -> int | None:
        """Bytes of memory, what processes share counted once; None where the system doesn't tell."""

    def is_disk_full(self) -> bool:
        """Whether it can't write more."""

    def end(self) -> None:
        """Kill all that is left of it and wait until it is gone; again is fine.

        Raises:
            SandboxUnavailable: something could not be killed.
        """

    def status(self) -> int | None:
        """Its exit status after the end, -N: by signal N. None: the program was never begun."""

    def close(self) -> None:
        """End it, and give back descriptors and folders."""


def prelude(limits: Limits, *, most_processes: int, guard: str = "") -> str:
    """The shell's lines before the program: wait for the word to go, take on the limits, become the program.

    If nobody gives the word, the server is gone and nothing is begun. A limit that the system holds lower already
    can't be raised; it stays.
    """
    kib, blocks = limits.memory * 2 // 1024, max(limits.disk, limits.output) // 512 + 2048
    seconds = math.ceil(limits.seconds * (os.cpu_count() or 1)) + 10
    return f"""read -r go || exit 125
{guard}exec </dev/null
echo 1000 >/proc/self/oom_score_adj
echo 19 >/proc/self/autogroup
ulimit -c 0
ulimit -n {FILES}
ulimit -t {seconds}
ulimit -f {blocks}
if (ulimit -u {most_processes}); then ulimit -u {most_processes}; else ulimit -p {most_processes}; fi
ulimit -v {kib}
"""


def script(lines: str) -> str:
    """A prelude as the shell's program, silent but for what the shell says of the program itself."""
    return f'{{ {lines}}} 2>/dev/null\nexec "$@"'


def variables(own: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """The environment of a run: nothing of ours."""
    return {"PATH": PATH, "LC_ALL": "C.UTF-8", "TZ": "UTC", **given, **own}


def popen(
    argv: Sequence[str], *, env: Mapping[str, str], cwd: str, pass_fds: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    """Start a program gently, as nobody if we are root, with three pipes and nothing else of ours.

    Raises:
        SandboxUnavailable: the system refuses.
    """
    user: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if is_root() else {}
    try:
        return subprocess.Popen(
            [*GENTLE, *argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=env,
            cwd=cwd,
            pass_fds=pass_fds,
            start_new_session=True,
            umask=0o022,
            **user,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise SandboxUnavailable(
            f"a build can't be begun: {error}", hint="a server that runs as root must be able to become nobody (65534)"
        ) from error


def close_pipes(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def not_killed() -> SandboxUnavailable:
    return SandboxUnavailable(
        "a build could not be killed: the system does not let go of it", hint="look at this machine's disks, restart it"
    )
