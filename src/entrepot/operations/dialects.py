"""What differs between ecosystems when packages are shown to people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from entrepot.core.model import Listed, PackageName, RepositoryType, Source
from entrepot.core.releases import Described, Release, Releases
from entrepot.ecosystems.python import describing as python
from entrepot.ecosystems.python import names as python_names
from entrepot.ecosystems.r import describing as r
from entrepot.ecosystems.r import versions as r_versions


@dataclass(frozen=True, slots=True)
class Dialect:
    """How packages are named, put in order and described.

    `name` is the normal form of a name that somebody gave, None for what can't be one; `part` that of a part of one,
    and of a name in which a part is looked for. `releases` makes releases of all visible files of a package (None if
    they have none), `find` looks for one by its version. `ranks` tells the order of versions. `describe` reads an index
    entry (`File.fields`) and the metadata document, each None where it isn't known. With `offers_documents` these are
    files that are offered beside others.
    """

    name: Callable[[str], PackageName | None]
    part: Callable[[str], str]
    releases: Callable[[Sequence[Listed]], Releases | None]
    find: Callable[[Releases, str], Release | None]
    ranks: Callable[[Iterable[str]], Mapping[str, int]]
    describe: Callable[[str | None, str | None], Described]
    offers_documents: bool


R = Dialect(PackageName, str.lower, r.releases, r.find, r_versions.ranks, r.describe, offers_documents=False)
PYTHON = Dialect(
    lambda name: python_names.normalize(name) if python_names.is_name(name) else None,
    python_names.normalize,
    python.releases,
    python.find,
    python.ranks,
    python.describe,
    offers_documents=True,
)


def of_repository(type_: RepositoryType) -> Dialect:
    return PYTHON if type_ is RepositoryType.PYTHON else R


def of_source(source: Source) -> Dialect:
    return R if source.has_archive else PYTHON
