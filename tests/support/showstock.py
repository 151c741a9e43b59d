"""What the showroom (showroom.py) is stocked with: the upstreams and what is in them, packages of its own, Git trees.

`Words` says how texts are written: here as people write them, in harm.py as those who mean harm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from entrepot.ecosystems.r import rds
from entrepot.ecosystems.r.rdsvalues import strings
from tests.support import python_backend, wares
from tests.support.archives import make_source_package
from tests.support.binaries import WINDOWS, make_binary, publish_binaries
from tests.support.distributions import sdist, wheel
from tests.support.fake_bioc import FakeBioc
from tests.support.fake_cran import FakeCran
from tests.support.fake_pypi import FakePypi
from tests.support.git import Content
from tests.support.wares import RPackage

OPENED = datetime(2025, 3, 31, 6, tzinfo=UTC)
"""When the installation was made; what CRAN had until then is its history."""
WEEKS = 9
R_REPO, PY_REPO, BIOC_REPO, CLOSED_REPO = "team", "team-py", "bioconductor", "clinical"
LOCAL, CURATED, GIT, LOCAL_PY, GIT_PY, FROZEN = (
    "internal",
    "approved",
    "from-git",
    "internal-py",
    "from-git-py",
    "frozen",
)
COMPILED, TARGET = "native", "bookworm"
FAMOUS, PY_FAMOUS = "ggplot2", "requests"
"""Packages with everything that a page of a package can show."""
OWN, OWN_PY, BUILT, BUILT_PY = "teamplots", "teamtools", "teamdata", "teamscripts"
"""Packages of the installation's own: two local ones, and two that are built from Git."""
RETIRED = "maptools"
"""Taken off CRAN after some months."""
TEN_MEGABYTES, HALF_A_MEGABYTE = 10 * 1024**2, 512 * 1024


class Words:
    """Texts as people write them."""

    def line(self, text: str, most: int = 20_000) -> str:  # noqa: ARG002
        """One line of at most so many characters: a title, a name, a comment."""
        return text

    def block(self, text: str) -> str:
        """Some lines: a description, the message of a commit."""
        return text

    def readme(self, text: str) -> str:
        """Markdown."""
        return text

    def url(self, url: str) -> str:
        return url

    def said(self) -> list[str]:
        """What a build says besides."""
        return []

    def bulk(self, size: int) -> str:  # noqa: ARG002
        """So many bytes of lines at the end of a text; what people write has an end."""
        return ""


def package_of(package: RPackage, version: str, words: Words, **fields: str) -> bytes:
    is_full = package.name == OWN
    requires = {
        "Title": words.line(package.title),
        "Description": words.block(package.description) + (words.bulk(HALF_A_MEGABYTE) if is_full else ""),
        "Author": words.line("Ada Rivera [aut, cre], Noor Lind [ctb]"),
        "Maintainer": f"{words.line('Ada Rivera')} <ada@rivera.example>",
        "License": words.line(package.licence, 300),
        "URL": f"{words.url(f'https://{package.name}.example.org')}, https://code.example.org/{package.name}",
        "BugReports": words.url(f"https://code.example.org/{package.name}/issues"),
        "Depends": "R (>= 4.0)",
        "Imports": ", ".join([*package.imports, "utils"]),
        "Suggests": ", ".join(package.suggests) or None,
        "LinkingTo": ", ".join(package.linking_to) or None,
        "SystemRequirements": package.needs or None,
        "NeedsCompilation": "yes" if package.is_compiled else "no",
        "Encoding": "UTF-8",
        **fields,
    }
    readme = wares.README.replace("ggplot2", package.name)
    return make_source_package(
        package.name,
        version,
        fields=requires,
        files={
            "README.md": (words.readme(readme) + (words.bulk(TEN_MEGABYTES) if is_full else "")).encode(),
            "NEWS.md": f"# {package.name} {version}\n\n* {words.line('Faults are mended.')}\n".encode(),
        },
        published=f"{package.days[-1]:%Y-%m-%d %H:%M:%S} UTC",
    )


def stock_cran(cran: FakeCran, words: Words) -> None:
    stock = wares.load().r
    for package in stock:
        for number, (version, day) in enumerate(zip(package.versions, package.days, strict=True)):
            # What a package needs changes with time.
            needs = package.imports if number > 1 else package.imports[2:]
            cran.add(package.name, version, package_of(replace(package, imports=needs), version, words), day)
    cran.add(RETIRED, "1.1-8", make_source_package(RETIRED, "1.1-8"), wares.FIRST_DAY)
    cran.remove(RETIRED, wares.FIRST_DAY + timedelta(days=280))
    cran.publish()
    publish_facts(cran, stock, {each.name: each.versions[-1] for each in stock}, words, OPENED - timedelta(days=1))
    binaries = {f"{each.name}_{each.versions[-1]}.zip": _zip(each) for each in stock[:20]}
    publish_binaries(cran, "bin/windows/contrib/4.5", binaries)


def _zip(package: RPackage) -> bytes:
    return make_binary(package.name, package.versions[-1], r="4.5.0", platform=WINDOWS, suffix=".zip")


def publish_facts(
    cran: FakeCran, stock: tuple[RPackage, ...], latest: Mapping[str, str], words: Words, day: datetime
) -> None:
    """`web/packages/packages.rds` with what CRAN tells besides its index."""
    columns = {
        "Package": [each.name for each in stock],
        "Version": [latest[each.name] for each in stock],
        "Title": [words.line(each.title) for each in stock],
        "SystemRequirements": [each.needs or None for each in stock],
    }
    frame = rds.data_frame(
        {name: strings(values) for name, values in columns.items()}, [str(n) for n in range(len(stock))]
    )
    cran.put("web/packages/packages.rds", rds.write(frame), day)


def stock_pypi(pypi: FakePypi, words: Words) -> None:
    for number, project in enumerate(wares.load().python):
        for at, version in enumerate(project.versions):
            told: dict[str, Any] = {
                "requires": project.requires,
                "requires_python": project.requires_python,
                "fields": {
                    "Summary": words.line(project.summary),
                    "License-Expression": project.licence,
                    "Author-email": f"{words.line('Noor Lind')} <noor@lind.example>",
                    "Project-URL": [
                        f"Documentation, {words.url(f'https://{project.name}.example.org/')}",
                        f"Source, https://code.example.org/{project.name}",
                    ],
                    "Description-Content-Type": "text/markdown",
                    "Classifier": ["Programming Language :: Python :: 3", "Operating System :: OS Independent"],
                },
                "description": words.readme(wares.PY_README.replace("requests", project.name))
                + (words.bulk(HALF_A_MEGABYTE) if project.name == PY_FAMOUS else ""),
            }
            day = wares.FIRST_DAY + timedelta(days=30 * number + 170 * at)
            for tag in project.tags:
                pypi.add(*wheel(project.name, version, tag=tag, **told), uploaded=min(day, OPENED))
            pypi.add(*sdist(project.name, version, **told), uploaded=min(day, OPENED))
    pypi.change("urllib3-2.2.2-py3-none-any.whl", yanked=words.line("It loses cookies."))
    pypi.add_empty(*(f"{word}-{more}" for word in ("data", "web", "fast", "open", "py") for more in wares.MORE_NAMES))


def stock_bioc(bioc: FakeBioc) -> None:
    bioc.config()
    for part, packages in wares.load().bioconductor.items():
        for version in ("3.17", "3.18"):
            bioc.part(version, part, packages)


def write_rules(folder: Path) -> Path:
    """Rules of system requirements."""
    (folder / "rules").mkdir(parents=True)
    for name in wares.RULES:
        (folder / "rules" / f"{name}.json").write_text(wares.rule(name))
    return folder


def own_package(name: str, version: str, title: str, words: Words, **more: str) -> tuple[str, bytes]:
    package = RPackage(
        name,
        title,
        (version,),
        (OPENED,),
        imports=(FAMOUS, "dplyr", "rlang"),
        suggests=("testthat",),
        linking_to=(),
        licence="MIT + file LICENSE",
        is_compiled=False,
        needs="",
        description=f"{title}. Made by the data team for its reports; questions go to its channel.",
    )
    return f"{name}_{version}.tar.gz", package_of(package, version, words, **more)


def r_tree(version: str, words: Words) -> dict[str, Content]:
    return {
        "DESCRIPTION": f"Package: {BUILT}\nVersion: {version}\nTitle: {words.line('Data of the Team, Ready to Use')}\n"
        f"Description: {words.line('Loads what the warehouse has, with types and units.')}\nEncoding: UTF-8\n"
        "Author: Noor Lind\nMaintainer: Noor Lind <noor@lind.example>\nLicense: MIT\nImports: utils\n",
        "NAMESPACE": "export(tables)\n",
        "R/tables.R": "tables <- function() character()\n",
        "README.md": words.readme(f"# {BUILT}\n\nTables of the warehouse.\n"),
    }


def py_tree(version: str, words: Words) -> dict[str, Content]:
    said = "\n".join(["reading the history", *words.said(), words.bulk(HALF_A_MEGABYTE)])
    return {
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        f'[project]\nname = "{BUILT_PY}"\nversion = "{version}"\n',
        "backend.py": Path(python_backend.__file__).read_text(encoding="utf-8"),
        "hook.py": 'import pathlib, sys\nsys.stdout.write(pathlib.Path("said").read_text(encoding="utf-8") + "\\n")\n',
        "said": said,
        "demo/__init__.py": "",
    }
