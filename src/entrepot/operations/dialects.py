"""What differs between ecosystems when packages are shown to people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from entrepot.core.model import File, Listed, PackageName, RepositoryType, Source
from entrepot.core.releases import Dependency, Described, Release, Releases, Standing
from entrepot.ecosystems.python import describing as python
from entrepot.ecosystems.python import names as python_names
from entrepot.ecosystems.r import describing as r
from entrepot.ecosystems.r import versions as r_versions


@dataclass(frozen=True, slots=True)
class Dialect:
    """How packages are named, put in order and described.

    `name` is the normal form of a name that somebody gave, None for what can't be one; `part` that of a part of one,
    and of a name in which a part is looked for, `form` that of folded names (`core.searching`). `releases` makes
    releases of all visible files of a package (None if they have none), `standing` tells of many states of its files
    what stands for it (by file id), `find` looks for one by its version. `ranks` tells the order of versions.
    `describe` reads an index entry (`File.fields`) and the metadata document, each None where it isn't known. With
    `offers_documents` these are files that are offered beside others. `comes_along` tells names that are needed and in
    no repository; `admits` whether a version is what a dependency asks for, None where that can't be told; `extra`
    which extra of its package a dependency is for.
    """

    name: Callable[[str], PackageName | None]
    part: Callable[[str], str]
    form: Callable[[str], str]
    releases: Callable[[Sequence[Listed]], Releases | None]
    standing: Callable[[Mapping[int, File]], Standing]
    find: Callable[[Releases, str], Release | None]
    ranks: Callable[[Iterable[str]], Mapping[str, int]]
    describe: Callable[[str | None, str | None], Described]
    offers_documents: bool
    comes_along: Callable[[str], bool]
    admits: Callable[[Dependency, str], bool | None]
    extra: Callable[[Dependency], str | None]


R = Dialect(
    PackageName,
    str.lower,
    str,
    r.releases,
    r.Standing,
    r.find,
    r_versions.ranks,
    r.describe,
    False,
    r.comes_along,
    r.admits,
    r.extra,
)
PYTHON = Dialect(
    lambda name: python_names.normalize(name) if python_names.is_name(name) else None,
    python_names.normalize,
    python_names.normalize,
    python.releases,
    python.Standing,
    python.find,
    python.ranks,
    python.describe,
    True,
    python.comes_along,
    python.admits,
    python.extra,
)


def of_repository(type_: RepositoryType) -> Dialect:
    return PYTHON if type_ is RepositoryType.PYTHON else R


def of_source(source: Source) -> Dialect:
    return R if source.has_archive else PYTHON
