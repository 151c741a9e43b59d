"""`Sandbox`: runs a program that others wrote, and leaves nothing of it behind.

sandbox = open_sandbox(limits=limits, allow_unsandboxed=False)
sandbox.run(Task(("R", "CMD", "build", "...")), result, log=log, check=check)
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from entrepot.core.errors import BuildFailed, SandboxUnavailable
from entrepot.core.jobs import Log, no_log
from entrepot.core.room import needs_room
from entrepot.sandbox import inside
from entrepot.sandbox.boxed import Boxed
from entrepot.sandbox.lines import Lines
from entrepot.sandbox.places import sweep, workplace
from entrepot.sandbox.running import Running
from entrepot.sandbox.task import Check, Limits, Task
from entrepot.sandbox.unboxed import Unboxed
from entrepot.sandbox.watch import Run

__all__ = ["Sandbox", "detect", "open_sandbox", "sweep", "workplace"]


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Where builds run.

    Attributes:
        limits: what a run may take, unless it is given its own.
        is_isolated: shut off from this machine; else with its limits only.
    """

    limits: Limits
    is_isolated: bool

    def run(self, task: Task, result: Path, *, log: Log, check: Check, limits: Limits | None = None) -> None:
        """Run `task`: its standard output becomes the new file `result`, each line of its standard error goes to `log`.

        `check` is called about five times a second, in this thread, also while nothing is written. When this returns
        or raises, no process of the task is left; where it raises, `result` is not left either.

        Raises:
            BuildFailed: it ended with a status that isn't 0.
            BuildStopped: it went beyond a limit, which the message names.
            SandboxUnavailable: it could not be begun; nothing is wrong with the task.
            OutOfSpace: there is no room for the result.
            whatever `check` and `log` raise.
        """
        limits = limits or self.limits
        with needs_room("the result of a build could not be kept"), result.open("xb") as file:
            try:
                running: Running = Boxed(task, limits) if self.is_isolated else Unboxed(task, limits)
                with contextlib.closing(running):
                    Run(running, limits, file.write, Lines(log), check).carry_out()
            except BaseException:
                result.unlink(missing_ok=True)
                raise


def open_sandbox(*, limits: Limits, allow_unsandboxed: bool) -> Sandbox:
    """The sandbox of this machine; none, if there can't be one and that is allowed.

    Raises:
        SandboxUnavailable: there can't be one; the hint says what to install or to allow.
    """
    reason = _unavailable()
    if reason is not None and not allow_unsandboxed:
        raise reason
    return Sandbox(limits, is_isolated=reason is None)


def detect() -> str | None:
    """Why builds can't be shut off from this machine, in one line; None: they can. A first success is remembered."""
    reason = _unavailable()
    return None if reason is None else reason.message


_trial = threading.Lock()
_proven: set[str] = set()


def _unavailable() -> SandboxUnavailable | None:
    """Try the very options on a program that does nothing."""
    try:
        bwrap = inside.program()
    except SandboxUnavailable as error:
        return error
    with _trial:
        if bwrap in _proven:
            return None
        trial = Sandbox(Limits(seconds=20, memory=2**28, disk=2**24, processes=16, output=2**16), is_isolated=True)
        try:
            with tempfile.TemporaryDirectory(prefix="entrepot-trial-") as folder:
                trial.run(Task(("true",)), Path(folder) / "result", log=no_log, check=lambda: None)
        except SandboxUnavailable as error:
            return error
        except (BuildFailed, OSError) as error:
            return SandboxUnavailable(f"bubblewrap does not work here: {error}", hint=inside.ALLOW)
        _proven.add(bwrap)
        return None
