"""Write the lock files, or check without a network that they are in step with what they were made from.

`write` (started by tools/setup lock) runs uv on pyproject.toml and tools/*.in and notes in each lock's header a digest
of what it was made from; `check` computes the digests again. The locks hold names, versions and hashes: no address, no
path of a machine.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = ROOT / ".tools" / "bin" / "uv"
OLDEST_PYTHON = "3.11"
MARK = "# made from: sha256 "
FOREIGN = re.compile(r"://|--index|--find-links|--extra|file:|" + re.escape(str(ROOT)))


@dataclass(frozen=True, slots=True)
class Lock:
    """One lock file: its path, what it is compiled from, which dependency groups it takes in, and the lock of more
    packages whose versions it has to take."""

    path: str
    source: str
    groups: tuple[str, ...] = ()
    within: str = ""

    def digest(self) -> str:
        """Digest of what the file was made from; the order of a list does not matter."""
        text = (ROOT / self.source).read_text(encoding="utf-8")
        if not self.source.endswith(".toml"):
            return hashlib.sha256(text.encode()).hexdigest()
        project = tomllib.loads(text)
        inputs = {
            "python": [OLDEST_PYTHON, project["project"]["requires-python"]],
            "build": sorted(project["build-system"]["requires"]),
            "dependencies": sorted(project["project"]["dependencies"]),
            "groups": {group: sorted(map(str, project["dependency-groups"][group])) for group in self.groups},
        }
        return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()

    def noted(self) -> str | None:
        """The digest that the file's header holds, None if there is no such file or line."""
        try:
            lines = (ROOT / self.path).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return None
        return next((line.removeprefix(MARK) for line in lines if line.startswith(MARK)), None)


LOCKS = (
    Lock("tools/uv.lock", "tools/uv.in"),
    Lock("tools/clients.lock", "tools/clients.in"),
    Lock("tools/clients-pdm.lock", "tools/clients-pdm.in"),
    Lock("requirements-dev.lock", "pyproject.toml", ("build", "dev")),
    Lock("requirements.lock", "pyproject.toml", ("build",), within="requirements-dev.lock"),
)


def write(lock: Lock, options: list[str]) -> None:
    """Compile one lock; versions in the existing file are kept unless `options` (of uv) say otherwise."""
    groups = [word for group in lock.groups for word in ("--group", group)]
    fixed = ["--universal", "--python-version", OLDEST_PYTHON, "--generate-hashes", "--quiet"]
    fixed += ["--constraint", lock.within] if lock.within else []
    header = ["--custom-compile-command", "make lock"]
    command = [str(UV), "pip", "compile", *fixed, *header, *groups, *options, lock.source, "-o", lock.path]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    path = ROOT / lock.path
    head, body = path.read_text(encoding="utf-8").split("#    make lock\n", 1)
    text = f"{head}#    make lock\n{MARK}{lock.digest()}\n{body}"
    if foreign := FOREIGN.search(text):
        raise SystemExit(f"{lock.path} holds {foreign[0]!r}: an address or a path of this machine")
    path.write_text(text, encoding="utf-8")
    print(f"wrote {lock.path}")


def pins(path: str) -> set[str]:
    """The `name==version` that a lock file pins. Their markers may differ: more packages, more reasons."""
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    return {line.removesuffix("\\").partition(";")[0].strip() for line in lines if line and line[0] not in "# "}


def main() -> int:
    match sys.argv[1:]:
        case ["check"]:
            stale = [lock.path for lock in LOCKS if lock.noted() != lock.digest()]
            if stale:
                print(f"not in step with what they were made from: {', '.join(stale)}; run `make lock` and commit them")
            elif apart := pins("requirements.lock") - pins("requirements-dev.lock"):
                print(f"the two locks disagree on {', '.join(sorted(apart))}; run `make lock`")
                return 1
            return bool(stale)
        case ["write", *options]:
            for lock in LOCKS:
                write(lock, options)
            return 0
        case _:
            print("usage: lock.py check | write [option of uv pip compile]...", file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main())
