"""What a run in the sandbox, or without one, is given, gives back and tells; and how it ends."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from pathlib import Path

import pytest

from entrepot.core.errors import BuildFailed, BuildStopped, Cancelled, SandboxUnavailable
from entrepot.core.jobs import no_log
from entrepot.sandbox import box, inside
from entrepot.sandbox.lines import LONGEST_LINE, MOST_LINES, TAIL, Lines
from entrepot.sandbox.places import PREFIX, is_root, shelter, sweep, workplace
from entrepot.sandbox.task import Limits, Task
from tests.sandbox.conftest import LIMITS, MIB, Cage, needs_r

NEVER = "while :; do sleep 1; done"


def test_result_log_and_environment(either: Cage, given: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Output is the result, error the log; of our environment nothing is seen, of its own what was promised."""
    monkeypatch.setenv("SECRET_OF_THE_SERVER", "hidden")
    (given / "it").write_text("content\n")
    said = either.sh('env; cat "$SRC/it"; pwd; echo one >&2; printf "two\\r\\nthree" >&2', folders={"SRC": given})
    assert "hidden" not in said
    seen = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    assert {"HOME", "TMPDIR", "PATH", "LC_ALL", "TZ", "WORK", "SRC"} <= seen.keys()
    assert seen["WORK"] == said.splitlines()[-1]
    assert "content" in said
    assert either.log == ["one", "two", "three"]


def test_status_and_signal(either: Cage) -> None:
    """A status that isn't 0, a program that isn't there and a signal are failures that say so."""
    with pytest.raises(BuildFailed, match="it ended with status 3"):
        either.sh("exit 3")
    with pytest.raises(BuildFailed, match="status 127"):
        either.run("no-such-program")
    assert "no-such-program" in either.log[-1]
    with pytest.raises(BuildFailed, match="ended by SIGKILL"):
        either.sh("kill -9 $$")


def test_check_ends_a_run(either: Cage) -> None:
    """`check` is called while nothing is written, and what it raises ends the run."""

    def check() -> None:
        if either.checks == 3:
            raise Cancelled("enough")

    began = time.monotonic()
    with pytest.raises(Cancelled):
        either.sh(NEVER, check=check)
    assert time.monotonic() - began < 5


def test_log_that_fails_ends_a_run(either: Cage) -> None:
    """An error of the log's ends the run and is told."""

    def log(line: str) -> None:
        raise ValueError(line)

    with pytest.raises(ValueError, match="line"):
        either.sh(f"echo line >&2; {NEVER}", log=log)


def test_time(either: Cage) -> None:
    """What never ends, and minds no signal, is stopped in time."""
    began = time.monotonic()
    with pytest.raises(BuildStopped, match=r"longer than 1 s, its limit \(\[git\] build_time\)"):
        either.sh(f"trap '' TERM INT HUP; {NEVER}", seconds=1)
    assert time.monotonic() - began < 6


def test_forks(either: Cage) -> None:
    """A fork bomb is stopped by the limit of processes."""
    with pytest.raises(BuildStopped, match=r"more than 40 processes and threads.*build_processes"):
        either.py("import os\nwhile True:\n  try: os.fork()\n  except OSError: pass")


def test_threads_count(either: Cage) -> None:
    """Threads count as processes do."""
    code = "import threading, time\nfor _ in range(50):\n  threading.Thread(target=time.sleep, args=(9,)).start()"
    with pytest.raises(BuildStopped, match="build_processes"):
        either.py(code, memory=1024 * MIB)


def test_memory_of_one(either: Cage) -> None:
    """One process that eats memory is stopped."""
    code = "import time\nkept = []\nwhile True:\n  kept.append(b'x' * 10**7); time.sleep(0.01)"
    with pytest.raises(BuildStopped, match=r"more than 256 MiB of memory.*build_memory"):
        either.py(code)


def test_memory_of_many(either: Cage) -> None:
    """Many processes that eat a little each are stopped: the limit is of all together."""
    code = (
        "import os, time\nfor _ in range(10):\n  if os.fork() == 0: break\nkept = b'x' * (40 * 2**20)\ntime.sleep(15)"
    )
    with pytest.raises(BuildStopped, match="build_memory"):
        either.py(code)


def test_memory_shared_counts_once(either: Cage) -> None:
    """What forked processes share is counted once."""
    code = (
        "import os, time\nkept = b'x' * (100 * 2**20)\nfor _ in range(4):\n"
        "  if os.fork() == 0:\n    time.sleep(1)\n    os._exit(0)\n"
        "for _ in range(4): os.wait()\nprint(len(kept))"
    )
    assert int(either.py(code)) == 100 * MIB


def test_result_is_bounded(either: Cage) -> None:
    """Endless output is stopped at its limit."""
    with pytest.raises(BuildStopped, match="its result is larger than 4 MiB"):
        either.sh("yes")


def test_log_is_bounded(either: Cage) -> None:
    """Endless lines cost a bounded log, whose end is kept; an endless line too."""
    assert either.sh("yes '' | head -n 100000 | sed s/^/line/ >&2; echo the end >&2") == ""
    assert MOST_LINES < len(either.log) < MOST_LINES + TAIL
    assert either.log[-1] == "the end"
    either.sh("head -c 30000000 /dev/zero >&2")
    assert len(either.log) == 1
    assert len(either.log[0]) < LONGEST_LINE + 10


def test_daemons(either: Cage) -> None:
    """What a build leaves behind in a session of its own, holding our pipes, is gone when the run returns."""
    said = either.sh("(setsid sh -c 'setsid sleep 54321 & sleep 54321' &) ; sleep 0.3; echo over")
    assert said == "over\n"
    assert either.left() == []


def test_one_big_file(either: Cage) -> None:
    """A file beyond the disk's limit is a failure that says so."""
    with pytest.raises(BuildStopped, match=r"16 MiB.*build_disk"):
        either.sh("head -c 100000000 /dev/zero > big", output=1 * MIB)


def test_server_killed(tmp_path: Path, either: Cage) -> None:
    """If the server is killed, its builds are gone with it."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom entrepot.sandbox.box import Sandbox\n"
        "from entrepot.sandbox.task import Limits, Task\n"
        "limits = Limits(seconds=60, memory=2**28, disk=2**24, processes=40)\n"
        "task = Task(('sh', '-c', 'echo up >&2; sleep 4711'), environment={'MARK': sys.argv[1]})\n"
        "sandbox = Sandbox(limits, is_isolated=sys.argv[3] == 'True')\n"
        "sandbox.run(task, Path(sys.argv[2]), log=lambda line: print(line, flush=True), check=lambda: None)\n"
    )
    isolated = str(either.sandbox.is_isolated)
    argv = [sys.executable, "-c", code, either.mark, str(tmp_path / "r"), isolated]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"up\n"
        assert any("4711" in line for line in either.left())
        server.kill()
    until = time.monotonic() + 10
    while either.left() and time.monotonic() < until:
        time.sleep(0.05)
    assert either.left() == []
    sweep()


@pytest.mark.r
@needs_r
def test_r_builds_a_package(cage: Cage, given: Path) -> None:
    """R CMD build works inside."""
    (given / "DESCRIPTION").write_text(
        "Package: tiny\nVersion: 1.0\nTitle: T\nDescription: D.\nLicense: MIT\nAuthor: A\nMaintainer: A <a@b.example>\n"
    )
    (given / "NAMESPACE").write_text("export(f)\n")
    (given / "R").mkdir()
    (given / "R" / "f.R").write_text("f <- function() 1\n")
    data = cage.run(
        *("sh", "-c", 'cp -r "$SRC" tiny && R CMD build tiny >&2 && cat tiny_1.0.tar.gz'),
        folders={"SRC": given},
        memory=1024 * MIB,
        seconds=120,
    )
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert "tiny/R/f.R" in tar.getnames()


def test_program_that_cannot_be_read(cage: Cage, tmp_path: Path) -> None:
    """A prefix that the builds' user may not read is told as that, and as no fault of the package's."""
    if not is_root():
        pytest.skip("as an ordinary user builds read what we can")
    closed = tmp_path / "closed"
    (closed / "prefix").mkdir(parents=True)
    closed.chmod(0o700)
    with pytest.raises(SandboxUnavailable, match="Permission denied") as caught:
        cage.run("true", programs=(closed / "prefix",))
    assert "must be able to read" in str(caught.value.hint)
    with pytest.raises(SandboxUnavailable, match="as a whole"):
        cage.run("true", programs=(Path("/etc"),))


def test_without_bubblewrap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without bubblewrap nothing is built, with what to install; unless that is allowed."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert box.detect() == "bubblewrap (bwrap) is not installed"
    with pytest.raises(SandboxUnavailable) as caught:
        box.open_sandbox(limits=LIMITS, allow_unsandboxed=False)
    assert "install bubblewrap" in str(caught.value.hint)
    assert not box.open_sandbox(limits=LIMITS, allow_unsandboxed=True).is_isolated


def test_bubblewrap_that_does_not_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A bubblewrap that may not make namespaces is found out by trying, and its own words are told."""
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    broken.chmod(0o755)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and is_root():
            folder.chmod(folder.stat().st_mode | 0o011)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert "No permissions to create new namespace" in str(box.detect())
    with pytest.raises(SandboxUnavailable) as caught:
        box.open_sandbox(limits=LIMITS, allow_unsandboxed=False)
    assert caught.value.hint == inside.ALLOW


def test_sandbox_is_used_where_it_works(cage: Cage) -> None:
    """To allow builds without a sandbox does not mean to build without."""
    assert box.open_sandbox(limits=LIMITS, allow_unsandboxed=True).is_isolated


def test_workplace(tmp_path: Path) -> None:
    """The data folder's, where others may pass; else one that they can't list, whose leftovers are swept."""
    (tmp_path / "tmp").mkdir()
    tmp_path.chmod(0o700)
    assert workplace(tmp_path) == (shelter() if is_root() else tmp_path / "tmp")
    assert shelter().stat().st_mode & 0o777 == 0o711
    code = (
        "import os\nfrom entrepot.sandbox.places import shelter\nprint(shelter(), flush=True)\nos.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    left = Path(killed.stdout.strip())
    assert left.name.startswith(PREFIX)
    assert left.is_dir()
    (left / "closed").mkdir(mode=0)
    mine = Path(tempfile.mkdtemp(dir=shelter()))
    assert sweep() >= 1
    assert not left.exists()
    assert mine.is_dir()
    mine.rmdir()


def test_lines_are_clean() -> None:
    """Colours go, other control characters are shown as such, bad UTF-8 too; long lines are cut."""
    told: list[str] = []
    lines = Lines(told.append)
    for part in (b"\x1b[31mred\x1b[0m\tx\n", b"a\x1b]0;title\x07\n", b"\xff\n\nsp", b"lit\r\n", b"z" * 9000 + b"\nq"):
        lines.feed(part)
    lines.finish()
    odd = "\N{REPLACEMENT CHARACTER}"
    assert told == ["red\tx", f"a{odd}]0;title{odd}", odd, "", "split", "z" * LONGEST_LINE + " [...]", "q"]


def test_two_at_once(cage: Cage) -> None:
    """Runs do not see each other, nor share a limit."""
    second: list[bytes] = []
    other = Cage(cage.sandbox, cage.results)
    thread = threading.Thread(target=lambda: second.append(other.run("sh", "-c", "sleep 0.5; ps -e | wc -l")))
    thread.start()
    first = cage.run("sh", "-c", "sleep 0.5; ps -e | wc -l")
    thread.join()
    assert first == second[0]
    assert int(first) < 8


def test_limits_have_a_default_result() -> None:
    """A sandbox whose limits say nothing of the result keeps at most a GiB."""
    assert Limits(seconds=1, memory=1, disk=1, processes=1).output == 1024**3
    assert Task(("true",)).folders == {}
    no_log("nothing")
