"""A sandbox to attack, and the proof after each attack that it works on and that nothing is left."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from entrepot.sandbox.box import Sandbox, detect
from entrepot.sandbox.places import NOBODY, is_root, remove_tree, shelter
from entrepot.sandbox.task import Limits, Task

MIB = 1024**2
LIMITS = Limits(seconds=20, memory=256 * MIB, disk=16 * MIB, processes=40, output=4 * MIB)


@dataclass
class Cage:
    """Runs programs in one sandbox; `log` has the lines of the last one."""

    sandbox: Sandbox
    results: Path
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    log: list[str] = field(default_factory=list)
    checks: int = 0

    def run(
        self,
        *argv: str,
        folders: Mapping[str, Path] | None = None,
        check: Callable[[], None] | None = None,
        log: Callable[[str], None] | None = None,
        programs: tuple[Path, ...] = (),
        **limits: Any,
    ) -> bytes:
        """The program's result."""
        self.log.clear()
        self.checks = 0

        def counted() -> None:
            self.checks += 1
            if check is not None:
                check()

        task = Task(argv, folders=folders or {}, programs=programs, environment={"MARK": self.mark})
        result = self.results / uuid.uuid4().hex
        try:
            self.sandbox.run(
                task, result, log=log or self.log.append, check=counted, limits=replace(self.sandbox.limits, **limits)
            )
        except BaseException:
            assert not result.exists(), "a result is left of a run that failed"
            raise
        return result.read_bytes()

    def sh(self, script: str, **more: Any) -> str:
        return self.run("sh", "-c", script, **more).decode()

    def py(self, script: str, **more: Any) -> str:
        return self.run("/usr/bin/python3", "-c", script, **more).decode()

    def left(self) -> list[str]:
        """What is alive of all that it ran."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if self.mark.encode() in (folder / "environ").read_bytes():
                    found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue
        return found


def _caged(sandbox: Sandbox, results: Path) -> Iterator[Cage]:
    if not Path("/usr/bin/python3").exists():
        pytest.skip("attacks are written for /usr/bin/python3")
    shelter()  # holds a descriptor from here on
    cage = Cage(sandbox, results)
    before = len(list(Path("/proc/self/fd").iterdir()))
    yield cage
    assert cage.left() == []
    assert cage.sh("echo well") == "well\n", "the sandbox does not work any more"
    assert cage.left() == []
    assert len(list(Path("/proc/self/fd").iterdir())) == before, "descriptors are left open"


@pytest.fixture
def cage(tmp_path: Path) -> Iterator[Cage]:
    """A real sandbox."""
    reason = detect()
    if reason is not None:
        pytest.skip(reason)
    yield from _caged(Sandbox(LIMITS, is_isolated=True), tmp_path)


@pytest.fixture(params=["sandboxed", "unsandboxed"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cage]:
    """A real sandbox, and none: what both promise."""
    reason = detect()
    if request.param == "sandboxed" and reason is not None:
        pytest.skip(reason)
    yield from _caged(Sandbox(LIMITS, is_isolated=request.param == "sandboxed"), tmp_path)


@pytest.fixture
def given() -> Iterator[Path]:
    """A folder that builds may be given."""
    folder = Path(tempfile.mkdtemp(dir=shelter()))
    folder.chmod(0o755)
    yield folder
    remove_tree(folder)


@pytest.fixture
def as_build() -> dict[str, Any]:
    """What makes a process outside one of the user that builds have."""
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if is_root() else {}


needs_r = pytest.mark.skipif(shutil.which("R") is None, reason="needs R")
