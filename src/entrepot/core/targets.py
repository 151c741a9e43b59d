"""Build targets: for which platform binary packages are made, of what, with which R; and what became of each build."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from entrepot.core.errors import Invalid
from entrepot.core.model import PackageName, SourceType, TransactionId
from entrepot.core.platforms import ANY, Platform, System, r_minor

BUILDABLE = frozenset({SourceType.LOCAL, SourceType.GIT, SourceType.CURATED_CRAN})
"""Types of sources whose packages are built without anybody asking for each."""
BUILT, FAILED = "built", "failed"
PLACEHOLDERS = ("distribution", "package", "version")
"""Words in braces that a command may have."""


@dataclass(frozen=True, slots=True)
class Target:
    """A platform that binary packages are built for.

    Attributes:
        distribution: the name in URLs.
        r: R's program, where the builds run.
        r_version: what it told last, such as 4.2.2.
        command: what runs a shell on another system, as `split_command` takes it; empty: builds run on this machine.
        repository: name of the R repository that libraries come from.
        sources: ids of the sources that are built; None: all that can be, later ones too.
        seen: the newest transaction that its last whole run saw.
        fault: why its last run could not do all it should; None: it could.
    """

    id: int
    name: str
    distribution: str
    r: str
    r_version: str
    arch: str
    command: str
    repository: str
    sources: tuple[int, ...] | None
    created: datetime
    seen: TransactionId
    fault: str | None

    @property
    def r_minor(self) -> str:
        return r_minor(self.r_version) or self.r_version

    @property
    def platform(self) -> Platform:
        return Platform(System.LINUX, self.distribution, self.r_minor, self.arch)

    @property
    def platforms(self) -> tuple[Platform, Platform]:
        """Those whose binaries it can use: its own, and that of packages in which nothing is compiled."""
        return self.platform, Platform(System.LINUX, self.distribution, self.r_minor, ANY)

    @property
    def label(self) -> str:
        """As logs name the platform: 4.2-bookworm-x86_64."""
        return f"{self.r_minor}-{self.distribution}-{self.arch}"


@dataclass(frozen=True, slots=True)
class BinaryBuild:
    """One attempt to build the binary package of a listed source package; as the table `binary_builds`."""

    id: int
    target_id: int
    source_id: int
    package: PackageName
    version: str
    platform: str
    inputs: str
    linking: Mapping[str, str]
    status: str
    exit_code: int | None
    error: str | None
    started: datetime
    finished: datetime
    transaction_id: TransactionId | None

    @property
    def is_built(self) -> bool:
        return self.status == BUILT


def inputs_of(file_id: int, r: str, linking: Mapping[str, str]) -> str:
    """The digest of what a build depends on: the bytes of the source package (which its row's id stands for), the minor
    version of R, and the versions of the packages whose headers are compiled in."""
    return hashlib.sha256(json.dumps([file_id, r, dict(sorted(linking.items()))]).encode()).hexdigest()


def split_command(command: str, *, distribution: str, package: str = "", version: str = "") -> list[str]:
    """A command line as words, with its placeholders filled in; no shell reads it.

    Raises:
        Invalid: it can't be split into words, or is empty.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise Invalid(f"the command can't be read: {str(error).lower()}", hint="quote words as in a shell") from error
    if not words or not words[0] or "\0" in command:
        raise Invalid("the command names no program", hint="give one such as `ssh builder@host.example.org sh -s`")
    values = {"distribution": distribution, "package": package, "version": version}
    for name in PLACEHOLDERS:
        words = [word.replace("{" + name + "}", values[name]) for word in words]
    return words
