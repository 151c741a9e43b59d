"""What to paste for one package, and where its files are: the lines of each client, the URLs of a repository."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote


class Wanted(NamedTuple):
    """A package to be installed. `version` is None where the newest one will do; `url` is the repository's, as set-ups
    have it; `bioc_version` is empty where none was chosen."""

    name: str
    version: str | None
    url: str
    bioc_version: str = ""


def _string(text: str) -> str:
    """A string of R: what JSON writes of ASCII, R reads so."""
    return json.dumps(text)


def _r(wanted: Wanted) -> str:
    name, url = _string(wanted.name), _string(wanted.url)
    if wanted.version is None:
        return f"install.packages({name}, repos = {url})"
    return f"remotes::install_version({name}, version = {_string(wanted.version)},\n  repos = {url})"


def _renv(wanted: Wanted) -> str:
    return f"options(repos = c(CRAN = {_string(wanted.url)}))\nrenv::install({_pinned(wanted)})"


def _pak(wanted: Wanted) -> str:
    return f"pak::repo_add(CRAN = {_string(wanted.url)})\npak::pkg_install({_pinned(wanted)})"


def _pinned(wanted: Wanted) -> str:
    return _string(wanted.name if wanted.version is None else f"{wanted.name}@{wanted.version}")


def _bioconductor(call: str) -> Callable[[Wanted], str]:
    """Versions of packages go with the version of Bioconductor."""

    def line(wanted: Wanted) -> str:
        version = f", version = {_string(wanted.bioc_version)}" if wanted.bioc_version and "Manager" in call else ""
        name = wanted.name if "Manager" in call else f"bioc::{wanted.name}"
        return f"options(BioC_mirror = {_string(wanted.url)})\n{call}({_string(name)}{version})"

    return line


def _requirement(wanted: Wanted) -> str:
    return shlex.quote(wanted.name if wanted.version is None else f"{wanted.name}=={wanted.version}")


def _pip(wanted: Wanted) -> str:
    return f"pip install --index-url {shlex.quote(wanted.url)} {_requirement(wanted)}"


def _uv(wanted: Wanted) -> str:
    return f"uv add --default-index {shlex.quote(wanted.url)} {_requirement(wanted)}"


def _poetry(wanted: Wanted) -> str:
    url = shlex.quote(wanted.url)
    return f"poetry source add --priority=primary packages {url}\npoetry add {_requirement(wanted)}"


CLIENTS: Mapping[str, Mapping[str, Callable[[Wanted], str]]] = {
    "R": {"r": _r, "pak": _pak, "renv": _renv},
    "Bioconductor": {
        "r": _bioconductor("BiocManager::install"),
        "pak": _bioconductor("pak::pkg_install"),
        "renv": _bioconductor("renv::install"),
    },
    "Python": {"pip": _pip, "uv": _uv, "poetry": _poetry},
}
"""Type of a repository -> client, as set-ups name it -> the lines; the first one is the usual one."""


def file_url(base: str, repo: Mapping[str, Any], snapshot: str, record: Mapping[str, Any], file: str) -> str:
    """Where a client gets a file of the version that a record tells of.

    Args:
        base: this server's URL.
    """
    name = quote(record["name"])
    if repo["type"] == "Python":
        return f"{base}/{repo['name']}/{snapshot}/packages/{name}/{quote(file)}"
    folder = f"src/contrib/Archive/{name}" if record["is_archived"] else "src/contrib"
    if repo["type"] == "Bioconductor":
        # The source is named as a part of a version: bioconductor/3.18/data/annotation.
        folder = f"packages/{record['source'].partition('/')[2]}/{folder}"
    return f"{base}/{repo['name']}/{snapshot}/{folder}/{quote(file)}"


def repository_url(base: str, repo: Mapping[str, Any], snapshot: str) -> str:
    """What clients are told of a repository at a snapshot, for source packages."""
    return f"{base}/{repo['name']}/{snapshot}" + ("/simple" if repo["type"] == "Python" else "")
