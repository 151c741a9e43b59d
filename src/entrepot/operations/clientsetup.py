"""What people paste to make a client use a repository: the texts of the dialects, with this server's URLs."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.access import INSIDE, Access
from entrepot.core.errors import Invalid, WrongType
from entrepot.core.model import FOREVER, Repository, RepositoryType
from entrepot.core.setups import Setup
from entrepot.core.snapshots import Latest, parse_snapshot
from entrepot.db import repositories as db_repositories
from entrepot.ecosystems.python import setups as python
from entrepot.ecosystems.r import distributions
from entrepot.ecosystems.r import setups as r
from entrepot.ecosystems.r.setups import Places
from entrepot.operations import bioconductor, serverstatus
from entrepot.operations.serverstatus import Distro
from entrepot.operations.serving import inside, open_view

SYSTEMS = ("linux", "windows", "macos")


@dataclass(frozen=True, slots=True)
class Wish:
    """For what a client is to be set up; None: what is usual."""

    environment: str | None = None
    os: str = "linux"
    distribution: str | None = None
    snapshot: str = "latest"
    bioc_version: str | None = None


def client_setup(app: App, repo: str, wish: Wish, *, address: str, access: Access = INSIDE) -> Setup:
    """The blocks for an environment; of a closed repository with those by which it gets a token, which is none of ours.

    Args:
        address: the server's, without a slash at its end.
        access: who asks: told of no other repository than they may read.

    Raises:
        RepositoryNotFound, SnapshotNotFound
        WrongType: an environment of another language than the repository's packages.
        Invalid: an unknown environment, system, distribution or version, or one that doesn't go with the rest.
    """
    with app.db.read() as connection:
        repository = db_repositories.get(connection, repo)
    _check_environment(repository, wish)
    _check_system(repository, wish)
    if not isinstance(parse_snapshot(wish.snapshot), Latest):
        open_view(app, repository.name, wish.snapshot, who=inside)
    base, host, is_closed = f"{address}/{repository.name}", urlsplit(address).hostname or "", repository.is_closed
    if repository.type is RepositoryType.PYTHON:
        url, environment = f"{base}/{wish.snapshot}/simple", wish.environment or "pip"
        first = python.authentication(environment, host, address) if is_closed else []
        return Setup(url, (*first, *python.ENVIRONMENTS[environment](url)))
    environment = wish.environment or "r"
    if repository.type is RepositoryType.BIOCONDUCTOR:
        url = base if wish.snapshot == "latest" else f"{base}/{wish.snapshot}"
        cran = serverstatus.offer(app).cran_repo(access)
        is_closed |= cran is not None and cran.is_closed
        places = _with_bioconductor(app, wish, address, url, cran.name if cran is not None else "")
    else:
        url = _url(address, repository.name, wish.snapshot, wish.distribution)
        places = Places(url, f"{base}/{wish.snapshot}", wish.distribution is not None)
    first = r.authentication(environment, host, address) if is_closed else []
    return Setup(url, (*first, *r.ENVIRONMENTS[environment](places)))


@dataclass(frozen=True, slots=True)
class BioconductorChoice:
    """A version of Bioconductor; `cran_snapshot` is the day of CRAN that goes with it, `latest`, or empty where nobody
    knows; `word` is release, devel or empty; `is_mirrored` says whether all of its parts were synced."""

    version: str
    r_version: str
    cran_snapshot: str
    word: str
    is_mirrored: bool


@dataclass(frozen=True, slots=True)
class Choices:
    """What a wish may name: the first environment is the usual one. `distributions` are those of Linux for which binary
    packages can be asked for, and `cran` is the repository that Bioconductor is set up with."""

    environments: tuple[str, ...]
    systems: tuple[str, ...]
    distributions: tuple[Distro, ...]
    bioc_versions: tuple[BioconductorChoice, ...]
    cran: str | None


def choices(app: App, repo: str, *, access: Access = INSIDE) -> Choices:
    """What `client_setup` takes for a repository. Raises RepositoryNotFound."""
    with app.db.read() as connection:
        repository = db_repositories.get(connection, repo)
        fixed = _versions_fixed(connection, repository)
    if repository.type is RepositoryType.PYTHON:
        return Choices(tuple(python.ENVIRONMENTS), SYSTEMS, (), (), None)
    offer = serverstatus.offer(app)
    linux = tuple(each for each in offer.distros if each.os == "linux" and not each.is_hidden)
    if repository.type is RepositoryType.R:
        return Choices(tuple(r.ENVIRONMENTS), SYSTEMS, linux, (), None)
    versions = tuple(
        BioconductorChoice(each.version, each.r_version, each.cran_snapshot, each.word, each.synced_from is not None)
        for each in bioconductor.versions(app, access=access, counted=False)
        if fixed is None or each.version in fixed
    )
    cran = offer.cran_repo(access)
    return Choices(tuple(r.ENVIRONMENTS), SYSTEMS, linux, versions, cran.name if cran is not None else None)


def _versions_fixed(connection: Connection, repository: Repository) -> set[str] | None:
    """The versions of Bioconductor that a repository's subscriptions are of; None: of all."""
    given, versions = db_repositories.given_subscriptions(connection, repository.id)
    wanted = [each.version or versions.get(each.source_id) for each in given if each.until == FOREVER]
    return None if None in wanted else {version for version in wanted if version is not None}


def _check_environment(repository: Repository, wish: Wish) -> None:
    is_python = repository.type is RepositoryType.PYTHON
    own, other = (python.ENVIRONMENTS, r.ENVIRONMENTS) if is_python else (r.ENVIRONMENTS, python.ENVIRONMENTS)
    if wish.environment is None or wish.environment in own:
        return
    language = "Python" if is_python else "R"
    hint = f"for {repository.name!r} there are {', '.join(own)}"
    if wish.environment in other:
        said = f"repository {repository.name!r} has {language} packages, which {wish.environment} doesn't install"
        raise WrongType(said, hint=hint)
    raise Invalid(f"there is no environment {wish.environment[:100]!r}", hint=hint)


def _check_system(repository: Repository, wish: Wish) -> None:
    if wish.os not in SYSTEMS:
        raise Invalid(f"there is no system {wish.os[:100]!r}", hint=f"systems are {', '.join(SYSTEMS)}")
    if wish.distribution is not None:
        if repository.type is RepositoryType.PYTHON:
            raise Invalid(
                "distributions are for R packages alone", hint="clients of Python choose wheels by themselves"
            )
        if wish.os != "linux":
            raise Invalid(f"{wish.os} has no Linux distribution", hint="leave out the distribution, or use linux")
        if distributions.find(wish.distribution) is None:
            have = ", ".join(distributions.urls())
            raise Invalid(f"unknown distribution {wish.distribution[:100]!r}", hint=f"distributions are {have}")
    if wish.bioc_version is not None and repository.type is not RepositoryType.BIOCONDUCTOR:
        raise Invalid(
            f"repository {repository.name!r} has no versions of Bioconductor",
            hint="name a repository of type bioconductor",
        )


def _url(address: str, repo: str, snapshot: str, distribution: str | None) -> str:
    found = distributions.find(distribution) if distribution is not None else None
    binary = f"/__linux__/{found.url}" if found is not None else ""
    return f"{address}/{repo}{binary}/{snapshot}"


def _with_bioconductor(app: App, wish: Wish, address: str, url: str, cran: str) -> Places:
    """Bioconductor with the CRAN that goes with the version: that day of the repository that people mean by CRAN."""
    version, day = _version(app, wish)
    return Places(
        _url(address, cran, day, wish.distribution) if cran else None,
        _url(address, cran, day, None) if cran else None,
        bool(cran) and wish.distribution is not None,
        url,
        version,
    )


def _version(app: App, wish: Wish) -> tuple[str | None, str]:
    """The version, if one is named, and its day of CRAN."""
    known = {each["bioc_version"]: each["cran_snapshot"] for each in bioconductor.status_versions(app)}
    if wish.bioc_version is None:
        return None, "latest"
    if wish.bioc_version not in known:
        have = ", ".join(known) or "none yet; a sync reads them"
        raise Invalid(f"unknown version {wish.bioc_version[:100]!r} of Bioconductor", hint=f"there are {have}")
    return wish.bioc_version, known[wish.bioc_version] or "latest"
