"""What the routes that change something are called in the audit log: the words of the command line."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple


class Way(Enum):
    """How an act is written down."""

    BEGUN = "before it is done, and how it ended"
    AFTER = "when it is done, before the answer leaves"
    REFUSALS = "if it is refused: when it is done nothing is given yet"


class Act(NamedTuple):
    """An act: its name, how it is written down, and the fields of its JSON body that name what it is about."""

    name: str
    way: Way = Way.BEGUN
    fields: tuple[str, ...] = ()


ACTS: Mapping[tuple[str, str], Act] = {
    ("POST", "/repos"): Act("create repo", fields=("name", "type")),
    ("PATCH", "/repos/{repo}"): Act("edit repo", fields=("name",)),
    ("DELETE", "/repos/{repo}"): Act("delete repo"),
    ("POST", "/repos/{repo}/sources"): Act("subscribe", fields=("source", "version")),
    ("PUT", "/repos/{repo}/sources"): Act("reorder", fields=("sources",)),
    ("DELETE", "/repos/{repo}/sources/{source}"): Act("unsubscribe"),
    ("POST", "/sources"): Act("create source", fields=("name", "type")),
    ("PATCH", "/sources/{source}"): Act("edit source", fields=("name",)),
    ("DELETE", "/sources/{source}"): Act("delete source"),
    ("POST", "/sources/{source}/packages"): Act("add"),
    ("POST", "/sources/{source}/packages/{name}/archive"): Act("archive"),
    ("POST", "/sources/{source}/packages/{name}/remove"): Act("remove package", fields=("scope",)),
    ("POST", "/sources/{source}/packages/{name}/yank"): Act("yank", fields=("scope",)),
    ("POST", "/sources/{source}/packages/{name}/unyank"): Act("unyank", fields=("scope",)),
    ("POST", "/sources/{source}/sync"): Act("sync"),
    ("POST", "/sources/{source}/describe"): Act("describe"),
    ("POST", "/sources/{source}/binaries"): Act("add binary"),
    ("POST", "/sources/{source}/binaries/remove"): Act("remove binary", fields=("package", "name", "version")),
    ("POST", "/sources/{source}/proposals"): Act("propose"),
    ("POST", "/sources/{source}/proposals/{id}/commit"): Act("commit proposal"),
    ("POST", "/sources/{source}/git-builders"): Act("create git-builder", fields=("name",)),
    ("PATCH", "/sources/{source}/git-builders/{name}"): Act("edit git-builder"),
    ("DELETE", "/sources/{source}/git-builders/{name}"): Act("delete git-builder"),
    ("POST", "/sources/{source}/git-builders/{name}/run"): Act("run git-builder"),
    ("POST", "/sources/{source}/git-builders/{name}/rerun"): Act("rerun git-builder"),
    # A job that is at work may have the only write lock: its end can't wait for a row.
    ("POST", "/jobs/{id}/cancel"): Act("cancel", Way.AFTER),
    ("POST", "/build-targets"): Act("create build-target", fields=("name",)),
    ("DELETE", "/build-targets/{name}"): Act("delete build-target"),
    ("POST", "/build-targets/{name}/run"): Act("run build-target"),
    ("POST", "/build-targets/{name}/rerun"): Act("rerun build-target"),
    ("POST", "/sysreqs/rules/sync"): Act("sync sysreqs"),
    ("POST", "/git-credentials"): Act("import git-credential", fields=("kind", "name")),
    ("PUT", "/git-credentials/{kind}/{name}"): Act("edit git-credential", fields=("name",)),
    ("DELETE", "/git-credentials/{kind}/{name}"): Act("delete git-credential"),
    ("POST", "/rotate-key"): Act("rotate-key"),
    ("POST", "/tokens"): Act("create token", fields=("user", "description")),
    ("DELETE", "/tokens/{guid}"): Act("revoke token"),
    ("POST", "/tokens/revoke"): Act("revoke token", fields=("guid",)),
    ("POST", "/bootstrap"): Act("bootstrap", Way.AFTER),
    ("POST", "/token"): Act("exchange identity", Way.AFTER),
    ("POST", "/device"): Act("begin device login", Way.REFUSALS),
    ("POST", "/device_access"): Act("finish device login", Way.AFTER),
}
"""(method, route below `/__api__`) -> act. A route that isn't here goes by its own name."""
QUIET = frozenset(
    {
        ("POST", "/filter/packages"),
        ("POST", "/repos/{repo}/sysreqs"),
        ("POST", "/repos/{repo}/check"),
        ("POST", "/repos/{repo}/sources/preview"),
        ("POST", "/encrypt"),
    }
)
"""Routes that take a body and change nothing; only their refusals are written."""
