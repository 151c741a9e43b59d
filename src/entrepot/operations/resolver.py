"""Runs uv as a resolver: in a folder, with a list and an index, without anything else of this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from entrepot.core.errors import Unavailable, Unresolvable

LONGEST = 300.0
"""Seconds that a resolution may take."""
LARGEST = 64 * 1024**2
"""Bytes that uv may write."""
LONGEST_TOLD = 16 * 1024
"""Characters of what uv says."""
_LOOK_EVERY = 0.5
"""Seconds between two looks at what uv wrote."""
_REQUIREMENTS, _CONSTRAINTS, _PINS, _SAID = "requirements.in", "constraints.txt", "pins.txt", "said.txt"
_OPTIONS = (
    *("--universal", "--no-build", "--no-sources"),
    *("--no-config", "--keyring-provider", "disabled", "--no-python-downloads", "--no-managed-python"),
    *("--no-header", "--annotation-style", "split", "--color", "never", "--no-progress"),
)


@dataclass(frozen=True, slots=True)
class Ran:
    """How uv ended: 0 with `pins`, a requirements file with annotations; 1 where there is no resolution, 2 where
    something went wrong, `said` tells what."""

    status: int
    pins: str
    said: str


def run(
    folder: Path, requirements: Sequence[str], constraints: Sequence[str], *, index: str, proxy: str, python: str
) -> Ran:
    """Resolve requirements for a Python and newer ones, on all platforms.

    Args:
        folder: an empty one, for all that uv writes.
        index: URL of a Simple API on loopback.
        proxy: what all other requests are sent to: URL of something that passes nothing on.

    Raises:
        Unavailable: uv isn't there, doesn't start, or writes without an end.
        Unresolvable: it takes too long.
    """
    _write(folder / _REQUIREMENTS, requirements)
    command = [program(), "pip", "compile", _REQUIREMENTS, *_OPTIONS, "--output-file", _PINS]
    if constraints:
        _write(folder / _CONSTRAINTS, constraints)
        command += ["--constraints", _CONSTRAINTS]
    command += ["--python", sys.executable, "--python-version", python]
    # Not among the arguments, which everybody on this machine may read.
    environment = _environment(folder, proxy) | {"UV_DEFAULT_INDEX": index}
    written = folder / _SAID, folder / _PINS
    status = run_uv(command, folder, environment, folder / _SAID, lambda process: _wait(process, written))
    return Ran(status, _text(folder / _PINS, LARGEST), _text(folder / _SAID, LONGEST_TOLD))


def _write(path: Path, lines: Sequence[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _text(path: Path, limit: int) -> str:
    if not path.exists():
        return ""
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.read(limit)


def program() -> str:
    """Where uv is."""
    try:
        from uv import find_uv_bin  # here, so that a server without it can do all the rest

        return find_uv_bin()
    except (ImportError, FileNotFoundError):
        raise Unavailable(
            "the program uv, which resolves Python requirements, is not installed beside this server",
            hint="install it in the server's environment: pip install uv",
        ) from None


def _environment(folder: Path, proxy: str) -> dict[str, str]:
    """Nothing of ours: no settings of uv or pip, no login, no program to be found."""
    return {
        "PATH": "",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "LC_ALL": "C.UTF-8",
        **{f"{kind}_PROXY": proxy for kind in ("HTTP", "HTTPS", "ALL")},
        "NO_PROXY": "127.0.0.1",
        "UV_CACHE_DIR": str(folder / "cache"),
        # The index waits for upstream and retries itself.
        "UV_HTTP_RETRIES": "0",
        "UV_HTTP_TIMEOUT": str(int(LONGEST) + 1),
    }


def run_uv(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    said: Path,
    wait: Callable[[subprocess.Popen[bytes]], int],
) -> int:
    """Run uv in a folder to its end; its status. What it started ends with it.

    Args:
        said: the file of what it says.
        wait: waits for its end, as long as it may take.

    Raises:
        Unavailable: it can't be started; and whatever `wait` raises.
    """
    with said.open("wb") as file:
        try:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=file,
                start_new_session=True,
                umask=0o022,
            )
        except OSError as error:
            raise Unavailable(f"the program {command[0]} can't be started: {error.strerror}") from error
    try:
        return wait(process)
    finally:
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait(process: subprocess.Popen[bytes], written: Collection[Path]) -> int:
    until = time.monotonic() + LONGEST
    while (left := until - time.monotonic()) > 0:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(min(_LOOK_EVERY, left))
        if sum(path.stat().st_size for path in written if path.exists()) > LARGEST:
            raise Unavailable(f"the resolver was ended: it wrote more than {LARGEST:,} bytes")
    raise Unresolvable(
        f"no resolution was found within {LONGEST:g} seconds",
        hint="give bounds for more of the packages, as requirements or as constraints",
    )
