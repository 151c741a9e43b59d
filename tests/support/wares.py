"""What the showroom has on its shelves: packages with titles, licences, texts and dependencies as they might be.

The tables are in wares.toml.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

FIRST_DAY = datetime(2022, 12, 20, 9, tzinfo=UTC)
"""When the first package came to the fake CRAN."""
MORE_NAMES = ("kit", "box", "flow", "parser", "client", "server", "utils", "tools", "core", "cli")
"""Ends of names of projects that the index lists and that have no files."""
RULES = {
    "libcurl": (r"\blibcurl\b", ["libcurl4-openssl-dev"], ["libcurl-devel"]),
    "openssl": (r"\bopenssl\b", ["libssl-dev"], ["openssl-devel"]),
    "gdal": (r"\bgdal\b", ["libgdal-dev", "gdal-bin"], ["gdal-devel"]),
    "geos": (r"\bgeos\b", ["libgeos-dev"], ["geos-devel"]),
    "proj": (r"\bproj\b", ["libproj-dev"], ["proj-devel"]),
    "zlib": (r"\bzlib\b", ["zlib1g-dev"], ["zlib-devel"]),
}
"""Rules of system requirements: a pattern, and what Debian and its kin, and Red Hat and its kin call it."""
_WHEELS = tuple(
    f"cp312-cp312-{platform}"
    for platform in ("manylinux_2_17_x86_64", "manylinux_2_17_aarch64", "macosx_11_0_arm64", "win_amd64")
)


@dataclass(frozen=True, slots=True)
class RPackage:
    """One package with all its versions and the day of each; `needs` is SystemRequirements."""

    name: str
    title: str
    versions: tuple[str, ...]
    days: tuple[datetime, ...]
    imports: tuple[str, ...]
    suggests: tuple[str, ...]
    linking_to: tuple[str, ...]
    licence: str
    is_compiled: bool
    needs: str
    description: str


@dataclass(frozen=True, slots=True)
class Project:
    """One Python project with its versions: of each an sdist, and a wheel for each of `tags`."""

    name: str
    summary: str
    versions: tuple[str, ...]
    requires: tuple[str, ...]
    licence: str
    tags: tuple[str, ...]
    requires_python: str


@dataclass(frozen=True, slots=True)
class Wares:
    """All of it; Bioconductor's by part and name, and what of it is newer later."""

    r: tuple[RPackage, ...]
    python: tuple[Project, ...]
    bioconductor: dict[str, dict[str, str]]
    bioconductor_later: dict[str, str]


def rule(name: str) -> str:
    """A rule as a file of JSON."""
    pattern, deb, rpm = RULES[name]
    dependencies = [
        {"packages": packages, "constraints": [{"os": "linux", "distribution": each} for each in distributions]}
        for packages, distributions in ((deb, ("ubuntu", "debian")), (rpm, ("redhat", "rockylinux")))
    ]
    return json.dumps({"patterns": [pattern], "dependencies": dependencies})


def load() -> Wares:
    """Read the tables."""
    told = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    small = [
        {"name": name, "title": f"Something That {name} Is Good For", "versions": "1.0"}
        for name in told["small"].split()
    ]
    return Wares(
        tuple(map(_r, [*told["r"], *small])),
        tuple(map(_python, told["python"])),
        told["bioconductor"],
        told["bioconductor_later"],
    )


def _r(told: dict[str, Any]) -> RPackage:
    name, versions = told["name"], tuple(told["versions"].split())
    start = sum(map(ord, name)) % 60
    days = told.get("released") or [start + 150 * number for number in range(len(versions))]
    return RPackage(
        name,
        told["title"],
        versions,
        tuple(FIRST_DAY + timedelta(days=day, minutes=start) for day in days),
        *(tuple(told.get(kind, "").split()) for kind in ("imports", "suggests", "linking_to")),
        licence=told.get("licence", "MIT + file LICENSE"),
        is_compiled=told.get("compiled", False),
        needs=told.get("needs", ""),
        description=told.get("description", "").strip() or f"{told['title']}. It is small, tested, and does one thing.",
    )


def _python(told: dict[str, Any]) -> Project:
    return Project(
        told["name"],
        told["summary"],
        tuple(told["versions"].split()),
        tuple(told.get("requires", ())),
        told.get("licence", "MIT"),
        _WHEELS if told.get("binary") else ("py3-none-any",),
        told.get("requires_python", ">=3.9"),
    )


README = """# ggplot2

[![status](https://badges.example.org/status.svg)](https://ci.example.org/ggplot2)

> Graphics are described, not drawn.

## Installation

```r
install.packages("ggplot2")
```

## Usage

Begin with data, say what is what, then add layers:

```r
library(ggplot2)
ggplot(mpg, aes(displ, hwy, colour = class)) +
  geom_point() +
  labs(title = "Larger engines need more")
```

| layer | draws | needs |
| --- | --- | --- |
| `geom_point()` | points | `x`, `y` |
| `geom_line()` | lines, in the order of `x` | `x`, `y` |
| `geom_col()` | bars of a given height | `x`, `y` |

1. Every *aesthetic* can be a constant or a variable.
2. Every **scale** can be replaced.
3. Every theme is a list that can be changed.

See [the manual](https://manual.example.org/ggplot2/) for more, or ask at <https://forum.example.org/>.
"""
PY_README = """# requests

Requests are made with one call:

```python
>>> import requests
>>> answer = requests.get("https://api.example.org/user", auth=("user", "pass"))
>>> answer.status_code
200
```

- Connections are kept and used again
- Cookies live as long as the *session*
- Certificates are **checked**

See the [documentation](https://requests.example.org/).
"""
