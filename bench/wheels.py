"""A Python index of made-up projects: wheels as build tools pack them, pages in JSON, and a list of very many names.

Everything is the same in each run. Hashes and sizes are right where there is a file; long pages list files that nobody
downloads.
"""

from __future__ import annotations

import base64
import hashlib
import json
import random
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

_STAMP = (2024, 1, 31, 12, 0, 0)
NAMES = 886_000
"""About as many projects as the Python Package Index has."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel, its metadata, and its entry in a page."""

    project: str
    name: str
    content: bytes
    metadata: bytes

    @property
    def entry(self) -> dict[str, Any]:
        told = {"sha256": hashlib.sha256(self.metadata).hexdigest()}
        return {
            "filename": self.name,
            "url": f"../../files/{self.name}",
            "hashes": {"sha256": hashlib.sha256(self.content).hexdigest()},
            "requires-python": ">=3.8",
            "size": len(self.content),
            "upload-time": "2024-01-31T12:00:00.123456Z",
            "yanked": False,
            "core-metadata": told,
        }


def make_wheel(project: str, size: int, *, version: str = "1.0", requires: Sequence[str] = ()) -> Wheel:
    """A wheel of about `size` bytes that can't be compressed further."""
    info = f"{project}-{version}.dist-info"
    metadata = (
        f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\nSummary: Something to download\n"
        "Requires-Python: >=3.8\n" + "".join(f"Requires-Dist: {name}\n" for name in requires)
    ).encode()
    members = {
        f"{project}/__init__.py": b"",
        f"{project}/noise.bin": random.Random(project).randbytes(max(1, size - 1200)),
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: bench\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    members[f"{info}/RECORD"] = _record(members, f"{info}/RECORD")
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, body in members.items():
            archive.writestr(zipfile.ZipInfo(path, _STAMP), body)
    return Wheel(project, f"{project}-{version}-py3-none-any.whl", packed.getvalue(), metadata)


def _record(members: dict[str, bytes], own: str) -> bytes:
    lines = []
    for path, body in members.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(body).digest()).decode().rstrip("=")
        lines.append(f"{path},sha256={digest},{len(body)}\n")
    return "".join([*lines, f"{own},,\n"]).encode()


def long_page(project: str, count: int) -> list[dict[str, Any]]:
    """Entries of `count` files that are not there, ten a version, as a large project has them."""
    noise = random.Random(project)
    found = []
    for at in range(count):
        python = f"cp3{8 + at % 6}"
        name = f"{project}-1.{at // 10}.0-{python}-{python}-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
        if at % 10 >= 6:
            name = f"{project}-1.{at // 10}.0-py3-none-plat{at % 10}.whl"
        found.append(
            {
                "filename": name,
                "url": f"../../files/{name}",
                "hashes": {"sha256": noise.randbytes(32).hex()},
                "requires-python": ">=3.8",
                "size": noise.randrange(10_000, 20_000_000),
                "upload-time": f"20{10 + at // 40 % 14}-{1 + at % 12:02}-{1 + at % 28:02}T12:00:{at % 60:02}.123456Z",
                "yanked": False,
                "core-metadata": {"sha256": noise.randbytes(32).hex()},
            }
        )
    return found


def many_names(count: int = NAMES) -> Iterator[str]:
    """Different names, as long as real ones, in order."""
    noise = random.Random(count)
    words = ["".join(noise.choices("abcdefghijklmnopqrstuvwxyz", k=noise.randint(3, 9))) for _ in range(3000)]
    found: set[str] = set()
    while len(found) < count:
        found.update("-".join(noise.choices(words, k=noise.choice((1, 2, 2, 2, 3)))) for _ in range(count // 4))
    return islice(sorted(found), count)


class Tree:
    """An index as files: `simple/PROJECT/index.json`, `simple/index.json`, `files/`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "files").mkdir(parents=True, exist_ok=True)
        (folder / "simple").mkdir(exist_ok=True)

    def add(self, wheel: Wheel) -> None:
        """A project of one wheel."""
        place = self._folder / "files" / wheel.name
        place.write_bytes(wheel.content)
        place.with_name(place.name + ".metadata").write_bytes(wheel.metadata)
        self.add_page(wheel.project, [wheel.entry])

    def add_page(self, project: str, files: Sequence[dict[str, Any]]) -> None:
        versions = sorted({str(entry["filename"]).split("-")[1] for entry in files})
        page = {"meta": {"api-version": "1.1"}, "name": project, "versions": versions, "files": list(files)}
        self._write(f"simple/{project}/index.json", page)

    def list_names(self, names: Iterable[str]) -> None:
        self._write("simple/index.json", {"meta": {"api-version": "1.1"}, "projects": [{"name": it} for it in names]})

    def _write(self, path: str, told: dict[str, Any]) -> None:
        place = self._folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(told, separators=(",", ":")))
