"""The process that renders READMEs: one after the other, from its standard input to its standard output.

It holds nothing, writes no file, and ends with whoever started it, or when nobody asked for a while. Some texts take
minutes or much memory; whoever asks ends it then, and starts another.
"""

from __future__ import annotations

import json
import os
import resource
import select
import struct
import sys
import warnings

from entrepot.readmes.rendering import render

LENGTH = struct.Struct(">I")
READY = b"+"
IDLE = 120.0
"""Seconds after which it ends if nobody asked."""
_MEMORY = 1024**3


def main() -> None:
    warnings.simplefilter("ignore")
    for limit, most in ((resource.RLIMIT_AS, _MEMORY), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(limit, (most, most))
    asked, answer = sys.stdin.fileno(), os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    render("# warm", "markdown")
    render("warm", "rst")
    _write(answer, READY)
    while select.select([asked], [], [], IDLE)[0]:
        head = _read(asked, LENGTH.size)
        if head is None:
            return
        body = _read(asked, LENGTH.unpack(head)[0])
        if body is None:
            return
        told = json.loads(body)
        found = json.dumps(render(told["text"], told["format"])).encode()
        _write(answer, LENGTH.pack(len(found)) + found)


def _read(descriptor: int, size: int) -> bytes | None:
    parts = []
    while size:
        part = os.read(descriptor, min(size, 1 << 20))
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _write(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


if __name__ == "__main__":
    main()
