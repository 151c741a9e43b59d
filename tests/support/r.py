"""Real R, started clean: no profile, no library of the user's but a private one, nothing beyond loopback."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

KEPT = ("PATH", "HOME", "TMPDIR")
NOWHERE = "http://127.0.0.1:9"
DEBIAN_LIBRARY = Path("/usr/lib/R/site-library")
"""What Debian's packages of R packages install into; what a user of the machine installed is elsewhere."""


@functools.cache
def rscript() -> Path | None:
    """Where Rscript is, None if this machine has no R."""
    found = shutil.which("Rscript")
    return Path(found) if found else None


def run_r(
    code: str, *, timeout: float = 120, env: Mapping[str, str] | None = None, lib: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run R code with `Rscript --vanilla` and return the finished process, its output as text.

    Args:
        timeout: seconds.
        env: variables to add to a clean environment.
        lib: folder that comes first in `.libPaths()` and that packages are installed into; made if missing. By
            default an empty one that goes away with the process.

    Raises:
        AssertionError: R failed or ran out of time; the message holds R's output and the code.
    """
    program = rscript()
    assert program is not None, "no Rscript on PATH"
    with tempfile.TemporaryDirectory(prefix="entrepot-r-") as scratch:
        library = lib or Path(scratch, "library")
        library.mkdir(parents=True, exist_ok=True)
        script = Path(scratch, "script.R")
        script.write_text(code, encoding="utf-8")
        try:
            done = subprocess.run(
                [str(program), "--vanilla", str(script)],
                cwd=scratch,
                env=_environment(library) | dict(env or {}),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                encoding="utf-8",
                errors="replace",
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            said = _text(error.stdout) + _text(error.stderr)
            raise AssertionError(f"R took more than {timeout:g} s\n{_report(code, said)}") from None
    assert done.returncode == 0, f"R ended with {done.returncode}\n{_report(code, done.stdout + done.stderr)}"
    return done


def _environment(library: Path) -> dict[str, str]:
    """The whole environment of R: UTF-8, UTC, the given library, and a dead proxy for anything beyond loopback."""
    clean = {name: os.environ[name] for name in KEPT if name in os.environ}
    proxies = {f"{scheme}_proxy": NOWHERE for scheme in ("http", "https", "ftp")}
    return {
        **clean,
        **proxies,
        "no_proxy": "127.0.0.1,localhost,::1",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "R_LIBS": str(library),
        "R_LIBS_USER": "NULL",
        "R_LIBS_SITE": str(DEBIAN_LIBRARY) if DEBIAN_LIBRARY.exists() else "",
    }


def _text(part: bytes | str | None) -> str:
    """What TimeoutExpired holds: bytes, even of a process whose output is text."""
    return part.decode(errors="replace") if isinstance(part, bytes) else part or ""


def _report(code: str, said: str) -> str:
    return f"--- output\n{said.rstrip()}\n--- code\n{code.strip()}\n---"
