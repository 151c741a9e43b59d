"""The client's methods for system requirements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict, cast
from urllib.parse import urlencode

from entrepot.client.calls import Calls, part
from entrepot.client.shapes import Job


class Step(TypedDict, total=False):
    """Either a command of the shell or the name of a script of the rules."""

    command: str
    script: str


class Requirements(TypedDict):
    packages: list[str]
    apt_satisfy: list[str]
    pre_install: list[Step]
    install_scripts: list[str]
    post_install: list[Step]


class PackageRequirements(TypedDict):
    name: str
    requirements: Requirements


class RepositoryRequirements(TypedDict):
    """`unread` are packages of which nobody knows whether they need anything."""

    requirements: list[PackageRequirements]
    unread: list[str]


class SysreqsCalls(Calls):
    """A part of `Client`."""

    def system_requirements(
        self,
        repo: str,
        packages: Sequence[str] | None,
        *,
        distribution: str,
        release: str,
        snapshot: str | None = None,
        bioc_version: str | None = None,
    ) -> RepositoryRequirements:
        """What packages (None: all of the repository) need of a Linux system, with their dependencies."""
        pairs = [("all", "true" if packages is None else "false"), *(("pkgname", name) for name in packages or ())]
        pairs += [("distribution", distribution), ("release", release)]
        pairs += [("snapshot", snapshot)] if snapshot else []
        pairs += [("bioc_version", bioc_version)] if bioc_version else []
        found = self._call("GET", f"/repos/{part(repo)}/sysreqs?{urlencode(pairs)}")
        return cast(RepositoryRequirements, found)

    def package_requirements(self, repo: str, package: str, *, distribution: str, release: str) -> dict[str, Any]:
        """What one package needs, and each of its dependencies."""
        query = {"distribution": distribution, "release": release}
        found = self._call("GET", f"/repos/{part(repo)}/packages/{part(package)}/sysreqs", query=query)
        return cast(dict[str, Any], found)

    def requirement_rules(self) -> dict[str, Any]:
        """The rules of system requirements that are in use."""
        return cast(dict[str, Any], self._call("GET", "/sysreqs/rules"))

    def sync_requirement_rules(self) -> Job:
        """Read the rules again."""
        return cast(Job, self._call("POST", "/sysreqs/rules/sync", body={}))
