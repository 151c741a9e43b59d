"""Renders READMEs in a process of its own, which is ended where it takes too long or too much."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

from entrepot.core.errors import Unavailable
from entrepot.readmes.rendering import Format, plain
from entrepot.readmes.worker import LENGTH, READY

MOST = 500_000
"""Characters of a README that are shown."""
MOST_PLAIN = 100_000
"""Characters of one that can't be rendered."""
SECONDS = 2.0
"""What one may take; ordinary ones take some milliseconds."""
_START = 30.0
_TURN = 6.0


@dataclass(frozen=True, slots=True)
class Rendered:
    """`format` is what it was rendered as, `is_cut` whether there is more of it than is shown."""

    format: Format
    html: str
    is_cut: bool


class Renderer:
    """One process, which is started when it is needed and ends by itself when it isn't.

    Args:
        seconds: what one README may take.
    """

    def __init__(self, *, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def render(self, text: str, format_: Format) -> Rendered:
        """A README as HTML: plain where it can't be rendered, as it stands.

        Raises:
            Unavailable: others are waited for.
        """
        part = text[:MOST]
        found = self._ask(part, format_) if format_ != "plain" else None
        if found is not None:
            return Rendered(found[0], found[1], len(part) < len(text))
        return Rendered("plain", plain(text[:MOST_PLAIN]), len(text) > MOST_PLAIN)

    def close(self) -> None:
        with self._lock:
            self._end()

    def _ask(self, text: str, format_: Format) -> tuple[Format, str] | None:
        """None if it took too long, or ended the process."""
        if not self._lock.acquire(timeout=_TURN):
            raise Unavailable("other READMEs are being rendered", hint="try again in a moment")
        try:
            asked = json.dumps({"format": format_, "text": text}).encode()
            # The process may have ended by itself between two questions.
            for _ in range(2):
                answer = self._answer(LENGTH.pack(len(asked)) + asked)
                if answer is not None:
                    break
            if not answer:
                return None
            format_, html = json.loads(answer)
            return format_, html
        finally:
            self._lock.release()

    def _answer(self, asked: bytes) -> bytes | None:
        """Nothing if it takes too long or fails, None if the process was not there any more."""
        process = self._started()
        assert process.stdin is not None
        try:
            process.stdin.write(asked)
            process.stdin.flush()
        except OSError:
            self._end()
            return None
        until = time.monotonic() + self._seconds
        head = self._read(process, LENGTH.size, until)
        body = self._read(process, LENGTH.unpack(head)[0], until) if head else b""
        if not body:
            self._end()
        return body

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._end()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-m", "entrepot.readmes.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={"LC_ALL": "C.UTF-8"},
        )
        self._read(self._process, len(READY), time.monotonic() + _START)
        return self._process

    def _read(self, process: subprocess.Popen[bytes], size: int, until: float) -> bytes:
        """So many bytes; none if they don't come in time."""
        assert process.stdout is not None
        descriptor = process.stdout.fileno()
        waiting = select.poll()  # the server may have more connections than `select` takes
        waiting.register(descriptor, select.POLLIN)
        parts = []
        while size:
            left = until - time.monotonic()
            if left <= 0 or not waiting.poll(left * 1000):
                return b""
            part = os.read(descriptor, min(size, 1 << 20))
            if not part:
                return b""
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(OSError):  # what was written and not read
                    stream.close()
