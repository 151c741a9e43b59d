"""Reads what a run writes until it ends, holds it to its limits, and says what its end means."""

from __future__ import annotations

import os
import selectors
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from entrepot.core.errors import BuildFailed, BuildStopped, SandboxUnavailable
from entrepot.sandbox import inside, processes
from entrepot.sandbox.lines import Lines
from entrepot.sandbox.running import Running
from entrepot.sandbox.task import Check, Limits

_LOOK_SECONDS = 0.1
_CHECK_SECONDS = 0.2
_PIECE = 32 * 1024
_BURST_SECONDS = 0.5
_SHARE = 0.1
"""Of a processor, so much goes into reading what a run writes and watching it; a run that writes more has to wait."""
_PAUSE_SECONDS = 0.02
_RESERVE = 256 * 1024**2
"""Bytes of memory that this machine keeps at least (a twentieth, where it is small), or builds are stopped."""
_SURELY = 4
"""So many times its limit, a run's memory is not worth a closer look."""


@dataclass(slots=True)
class Run:
    """Reads what one run writes, and watches it; `take` is given each piece of its result."""

    running: Running
    limits: Limits
    take: Callable[[bytes], object]
    lines: Lines
    check: Check
    began: float = field(default_factory=time.monotonic)
    busy: float = field(default_factory=time.thread_time)
    written: int = 0
    was_full: bool = False
    next_look: float = 0.0
    next_check: float = 0.0

    def carry_out(self) -> None:
        """Until the program has ended, and with it all that it began."""
        process = self.running.process
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self.running.ended, selectors.EVENT_READ, None)
                for pipe, take in ((process.stdout, self._take_result), (process.stderr, self.lines.feed)):
                    os.set_blocking(pipe.fileno(), False)
                    selector.register(pipe, selectors.EVENT_READ, take)
                while not self._has_ended(selector):
                    self._watch()
                    self._be_modest()
                self.was_full |= self.running.is_disk_full()
                self.running.end()
                self._drain(selector)
        finally:
            self.lines.finish()
        self._judge()

    def _has_ended(self, selector: selectors.BaseSelector) -> bool:
        """Take what is there to read, or wait a moment for it; whether the program's end was seen."""
        is_over = False
        for key, _ in selector.select(max(0.0, min(self.next_look, self.next_check) - time.monotonic())):
            if key.data is None:
                is_over = True
            elif self._read(key.fd, key.data) == 0:
                selector.unregister(key.fileobj)
        return is_over

    def _drain(self, selector: selectors.BaseSelector) -> None:
        """What is left in the pipes when all who write to them are gone: at most what a pipe holds."""
        for key in list(selector.get_map().values()):
            until = time.monotonic() + 5
            while key.data is not None and time.monotonic() < until and (self._read(key.fd, key.data) or 0) > 0:
                pass

    @staticmethod
    def _read(descriptor: int, take: Callable[[bytes], None]) -> int | None:
        """Take one piece; its size, 0 at the end, None if there is nothing now."""
        try:
            data = os.read(descriptor, _PIECE)
        except BlockingIOError:
            return None
        take(data)
        return len(data)

    def _take_result(self, data: bytes) -> None:
        self.written += len(data)
        if self.written > self.limits.output:
            raise BuildStopped(f"its result is larger than {_size(self.limits.output)}")
        self.take(data)

    def _watch(self) -> None:
        now = time.monotonic()
        if now >= self.next_check:
            self.check()
            self.next_check = now + _CHECK_SECONDS
        if now >= self.next_look:
            self._look(now)
            took = time.monotonic() - now
            self.next_look = now + max(_LOOK_SECONDS, 8 * took)

    def _be_modest(self) -> None:
        """Leave the rest of this process its time, however much is written to us."""
        if time.thread_time() - self.busy > _BURST_SECONDS + _SHARE * (time.monotonic() - self.began):
            time.sleep(_PAUSE_SECONDS)

    def _look(self, now: float) -> None:
        """Compare what it holds with its limits.

        Raises:
            BuildStopped: one of them is passed.
        """
        limits, usage = self.limits, self.running.usage()
        if now - self.began > limits.seconds:
            raise _stopped(f"it took longer than {limits.seconds:g} s", "build_time")
        if usage.processes > limits.processes:
            raise _stopped(f"it had more than {limits.processes} processes and threads", "build_processes")
        if usage.memory > limits.memory and self._is_memory_over(usage.memory):
            raise _stopped(f"it used more than {_size(limits.memory)} of memory", "build_memory")
        if usage.disk > limits.disk + limits.disk // 8:
            raise _stopped(f"it wrote more than {_size(limits.disk)}", "build_disk")
        self.was_full = self.running.is_disk_full()
        left, total = processes.memory_left()
        if left < min(_RESERVE, total // 20):
            raise BuildStopped(
                "this machine has no memory left for it", hint="fewer builds at once: [git] concurrent_builds"
            )

    def _is_memory_over(self, seen: int) -> bool:
        """What processes share was counted for each of them: count again, if it may matter."""
        if seen > _SURELY * self.limits.memory:
            return True
        exact = self.running.exact_memory()
        return exact is None or exact > self.limits.memory

    def _judge(self) -> None:
        """Raise what the program's end means, if it isn't success."""
        status = self.running.status()
        if status is None:
            raise _never_begun(" ".join(self.lines.latest))
        if status == 0:
            return
        if self.was_full or status in (-signal.SIGXFSZ, 128 + signal.SIGXFSZ):
            raise _stopped(f"its disk was full after {_size(self.limits.disk)}", "build_disk")
        raise BuildFailed(_ending(status), status=status)


def _stopped(what: str, setting: str) -> BuildStopped:
    return BuildStopped(f"{what}, its limit ([git] {setting})", hint=f"raise [git] {setting} if it needs more")


def _ending(status: int) -> str:
    if status >= 0:
        return f"it ended with status {status}"
    try:
        return f"it was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"it was ended by signal {-status}"


def _never_begun(said: str) -> SandboxUnavailable:
    """bubblewrap's own words are all that is known."""
    if "Permission denied" in said and "source" in said:
        hint = "the user that builds run as must be able to read it: choose another program, or open its folders to all"
        return SandboxUnavailable(f"a build can't be given what it needs: {said}", hint=hint)
    return SandboxUnavailable(f"bubblewrap does not work here: {said or 'it says nothing'}", hint=inside.ALLOW)


def _size(count: int) -> str:
    for unit, name in ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB")):
        if count >= unit:
            return f"{count / unit:.4g} {name}"
    return f"{count} bytes"
