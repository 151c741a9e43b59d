"""What each route of the API needs: one table, and the check of it before a body is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from starlette.routing import compile_path

from entrepot.app import App
from entrepot.core.access import Access, Scope
from entrepot.core.errors import EntrepotError, Forbidden, Unauthenticated
from entrepot.operations import access as operations
from entrepot.operations.access import HOW_TO_ASK


class Need(Enum):
    """What a route asks of whoever uses it."""

    OPEN = "nothing"
    KNOWN = "a token"
    LIMITED = "nothing; it shows and takes what they may see"
    READ_ALL = "reading all repositories"
    READ_REPOSITORY = "reading the repository in its path"
    READ_SOURCE = "seeing the source in its path"
    WRITE_SOURCE = "writing to the source in its path"
    ADMIN = "everything"


POLICY: Mapping[tuple[str, str], Need] = {
    ("GET", "/status"): Need.OPEN,
    ("GET", "/openapi.json"): Need.OPEN,
    ("GET", "/storage"): Need.READ_ALL,
    ("GET", "/queue"): Need.LIMITED,
    ("GET", "/transactions/{id}"): Need.LIMITED,
    ("GET", "/transactions/{id}/changes"): Need.LIMITED,
    ("GET", "/transactions/{id}/log"): Need.LIMITED,
    ("GET", "/transactions/{id}/log.txt"): Need.LIMITED,
    # repositories
    ("GET", "/repos"): Need.LIMITED,
    ("POST", "/repos"): Need.ADMIN,
    ("GET", "/repos/{repo}"): Need.READ_REPOSITORY,
    ("PATCH", "/repos/{repo}"): Need.ADMIN,
    ("DELETE", "/repos/{repo}"): Need.ADMIN,
    ("GET", "/repos/{repo}/sources"): Need.READ_REPOSITORY,
    ("POST", "/repos/{repo}/sources"): Need.ADMIN,
    ("PUT", "/repos/{repo}/sources"): Need.ADMIN,
    ("POST", "/repos/{repo}/sources/preview"): Need.ADMIN,
    ("DELETE", "/repos/{repo}/sources/{source}"): Need.ADMIN,
    ("GET", "/repos/{repo}/search"): Need.READ_REPOSITORY,
    ("GET", "/repos/{repo}/search/facets"): Need.READ_REPOSITORY,
    ("GET", "/repos/{repo}/near"): Need.READ_REPOSITORY,
    ("GET", "/search"): Need.LIMITED,
    ("GET", "/repos/{repo}/packages"): Need.READ_REPOSITORY,
    ("GET", "/repos/{repo}/packages/{name}"): Need.READ_REPOSITORY,
    ("GET", "/repos/{repo}/packages/{name}/releases"): Need.READ_REPOSITORY,
    ("GET", "/repos/{repo}/packages/{name}/history"): Need.READ_REPOSITORY,
    ("GET", "/repos/{repo}/packages/{name}/readme"): Need.READ_REPOSITORY,
    ("GET", "/repos/{repo}/packages/{name}/dependencies"): Need.READ_REPOSITORY,
    ("GET", "/repos/{repo}/packages/{name}/dependents"): Need.READ_REPOSITORY,
    ("GET", "/repos/{repo}/packages/{name}/binaries"): Need.READ_REPOSITORY,
    ("GET", "/repos/{repo}/packages/{name}/binaries/logs"): Need.READ_REPOSITORY,
    ("GET", "/repos/{repo}/packages/{name}/sysreqs"): Need.READ_REPOSITORY,
    ("GET", "/repos/{repo}/transactions"): Need.READ_REPOSITORY,
    ("GET", "/repos/{repo}/transaction-dates"): Need.READ_REPOSITORY,
    ("GET", "/repos/{repo}/first-transaction"): Need.READ_REPOSITORY,
    ("GET", "/repos/{repo}/days"): Need.READ_REPOSITORY,
    ("GET", "/repos/{repo}/binaries"): Need.READ_REPOSITORY,
    ("GET", "/repos/{repo}/diff"): Need.READ_REPOSITORY,
    ("GET", "/repos/{repo}/setup"): Need.READ_REPOSITORY,
    ("GET", "/repos/{repo}/setup/choices"): Need.READ_REPOSITORY,
    ("GET", "/repos/{repo}/sysreqs"): Need.READ_REPOSITORY,
    ("POST", "/repos/{repo}/sysreqs"): Need.READ_REPOSITORY,
    ("POST", "/repos/{repo}/check"): Need.READ_REPOSITORY,
    ("POST", "/filter/packages"): Need.LIMITED,
    ("GET", "/repos/{repo}/packages/{name}/downloads"): Need.READ_REPOSITORY,
    ("GET", "/metrics/packages"): Need.LIMITED,
    ("GET", "/metrics/packages.csv"): Need.LIMITED,
    ("GET", "/metrics/days"): Need.LIMITED,
    # sources
    ("GET", "/sources"): Need.LIMITED,
    ("POST", "/sources"): Need.ADMIN,
    ("GET", "/sources/{source}"): Need.READ_SOURCE,
    ("PATCH", "/sources/{source}"): Need.ADMIN,
    ("DELETE", "/sources/{source}"): Need.ADMIN,
    ("GET", "/sources/{source}/packages"): Need.READ_SOURCE,
    ("POST", "/sources/{source}/packages"): Need.WRITE_SOURCE,
    ("GET", "/sources/{source}/packages/{name}"): Need.READ_SOURCE,
    ("GET", "/sources/{source}/packages/{name}/releases"): Need.READ_SOURCE,
    ("POST", "/sources/{source}/packages/{name}/archive"): Need.WRITE_SOURCE,
    ("POST", "/sources/{source}/packages/{name}/remove"): Need.WRITE_SOURCE,
    ("POST", "/sources/{source}/packages/{name}/yank"): Need.WRITE_SOURCE,
    ("POST", "/sources/{source}/packages/{name}/unyank"): Need.WRITE_SOURCE,
    ("GET", "/sources/{source}/transactions"): Need.READ_SOURCE,
    ("POST", "/sources/{source}/sync"): Need.WRITE_SOURCE,
    ("GET", "/sources/{source}/describe"): Need.READ_SOURCE,
    ("POST", "/sources/{source}/describe"): Need.WRITE_SOURCE,
    ("GET", "/sources/{source}/diff"): Need.READ_SOURCE,
    ("POST", "/sources/{source}/binaries"): Need.WRITE_SOURCE,
    ("POST", "/sources/{source}/binaries/remove"): Need.WRITE_SOURCE,
    ("GET", "/sources/{source}/proposals"): Need.READ_SOURCE,
    ("POST", "/sources/{source}/proposals"): Need.WRITE_SOURCE,
    ("GET", "/sources/{source}/proposals/{id}"): Need.READ_SOURCE,
    ("POST", "/sources/{source}/proposals/{id}/commit"): Need.WRITE_SOURCE,
    ("GET", "/sources/{source}/git-builds"): Need.READ_SOURCE,
    ("GET", "/sources/{source}/git-builders"): Need.READ_SOURCE,
    ("POST", "/sources/{source}/git-builders"): Need.WRITE_SOURCE,
    ("GET", "/sources/{source}/git-builders/{name}"): Need.READ_SOURCE,
    ("PATCH", "/sources/{source}/git-builders/{name}"): Need.WRITE_SOURCE,
    ("DELETE", "/sources/{source}/git-builders/{name}"): Need.WRITE_SOURCE,
    ("POST", "/sources/{source}/git-builders/{name}/run"): Need.WRITE_SOURCE,
    ("POST", "/sources/{source}/git-builders/{name}/rerun"): Need.WRITE_SOURCE,
    ("GET", "/git-builders"): Need.LIMITED,
    # work
    ("GET", "/jobs"): Need.LIMITED,
    ("GET", "/jobs/{id}"): Need.LIMITED,
    ("GET", "/jobs/{id}/logs"): Need.LIMITED,
    ("GET", "/jobs/{id}/log.txt"): Need.LIMITED,
    ("POST", "/jobs/{id}/cancel"): Need.LIMITED,
    ("GET", "/build-targets"): Need.LIMITED,
    ("POST", "/build-targets"): Need.ADMIN,
    ("GET", "/build-targets/{name}"): Need.LIMITED,
    ("DELETE", "/build-targets/{name}"): Need.ADMIN,
    ("POST", "/build-targets/{name}/run"): Need.ADMIN,
    ("POST", "/build-targets/{name}/rerun"): Need.ADMIN,
    ("GET", "/binary-builds"): Need.LIMITED,
    ("GET", "/binary-builds/{id}"): Need.LIMITED,
    ("GET", "/binary-builds/{id}/log"): Need.LIMITED,
    ("GET", "/binary-builds/{id}/log.txt"): Need.LIMITED,
    # the installation
    ("GET", "/bioconductor/versions"): Need.OPEN,
    ("GET", "/sysreqs/rules"): Need.OPEN,
    ("POST", "/sysreqs/rules/sync"): Need.ADMIN,
    ("GET", "/git-credentials"): Need.ADMIN,
    ("POST", "/git-credentials"): Need.ADMIN,
    ("PUT", "/git-credentials/{kind}/{name}"): Need.ADMIN,
    ("DELETE", "/git-credentials/{kind}/{name}"): Need.ADMIN,
    ("POST", "/encrypt"): Need.ADMIN,
    ("POST", "/rotate-key"): Need.ADMIN,
    ("GET", "/audit"): Need.ADMIN,
    ("GET", "/audit/verify"): Need.ADMIN,
    # who asks
    ("GET", "/whoami"): Need.KNOWN,
    ("GET", "/tokens"): Need.ADMIN,
    ("POST", "/tokens"): Need.ADMIN,
    ("GET", "/tokens/{guid}"): Need.ADMIN,
    ("DELETE", "/tokens/{guid}"): Need.ADMIN,
    ("POST", "/tokens/revoke"): Need.KNOWN,
    ("POST", "/bootstrap"): Need.OPEN,
    ("POST", "/token"): Need.OPEN,
    ("POST", "/device"): Need.OPEN,
    ("POST", "/device_access"): Need.OPEN,
}
"""(method, path below `/__api__`) -> what it needs. HEAD is as GET."""


class Asked(NamedTuple):
    """What a request asks for: the route, what that needs, and the parts of the path."""

    route: str
    need: Need
    named: Mapping[str, str]


def asked(method: str, path: str) -> Asked | None:
    """The route of a request; `path` is decoded, and stands below `/__api__`. None: there is none, or none with that
    method, which the framework answers."""
    method = "GET" if method in ("HEAD", "OPTIONS") else method
    for wanted, route, pattern in _routes():
        if wanted == method and (found := pattern.match(path)) is not None:
            return Asked(route, POLICY[method, route], found.groupdict())
    return None


@lru_cache(maxsize=1)
def _routes() -> tuple[tuple[str, str, re.Pattern[str]], ...]:
    # The framework's own reading of a route, so that both find the same in a path.
    return tuple((method, route, compile_path(route)[0]) for method, route in POLICY)


def check(app: App, access: Access, wanted: Asked) -> None:
    """Let somebody use a route, or not. Blocks where a repository or a source has to be looked up.

    Raises:
        Unauthenticated, Forbidden
    """
    need = wanted.need
    if need in (Need.OPEN, Need.LIMITED) or access.is_admin:
        return
    if need in (Need.ADMIN, Need.KNOWN) and not access.is_known:
        raise Unauthenticated("this needs a token", hint=HOW_TO_ASK)
    if need is Need.ADMIN:
        raise missing(Scope.GLOBAL_ADMIN)
    if need is Need.KNOWN:
        return
    if need is Need.READ_REPOSITORY:
        operations.admit_to_repository(app, access, wanted.named["repo"])
    elif need is Need.READ_ALL:
        operations.admit_to_all(app, access)
    elif need is Need.READ_SOURCE:
        operations.admit_to_source(app, access, wanted.named["source"])
    else:
        operations.admit_to_write(app, access, wanted.named["source"])


def missing(scope: Scope) -> EntrepotError:
    """What to tell somebody whose token lacks a scope."""
    return Forbidden(f"this token lacks the scope {scope.value}", hint="`entrepot whoami` shows what it has")


def is_quick(need: Need, access: Access) -> bool:
    """Whether `check` asks no database."""
    return need in (Need.OPEN, Need.LIMITED, Need.ADMIN, Need.KNOWN) or access.is_admin
