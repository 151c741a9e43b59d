"""The sections of the settings."""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from entrepot.core.bioconductor import DEVEL, RELEASE, is_version
from entrepot.core.errors import InvalidName
from entrepot.core.model import check_name
from entrepot.settings.kinds import Seconds, Section, Words, cron, parse_listen

_FOLDER_OF_BINARIES = re.compile(r"(windows|macosx(/[a-z0-9][a-z0-9_-]{0,39})?)/[0-9]{1,2}\.[0-9]{1,2}")


class Server(Section):
    """`[server]`: where the server keeps its data and listens."""

    data_dir: Path = Field(default=Path("~/.local/share/entrepot"), description="folder of all that the server keeps")
    listen: str = Field(default=":4242", description="HOST:PORT; an empty host means all addresses")
    address: str = Field(default="", description="public base URL, where it differs from the listener's")
    encryption_key: str = Field(
        default="", description="file of the key that credentials are encrypted with; empty: encryption.key in data_dir"
    )

    send_files: Literal["", "x-accel-redirect", "x-sendfile"] = Field(
        default="",
        description="header by which a front server is told to send a stored file itself; empty: there is none",
    )
    trusted_proxies: Words = Field(
        default=(), description="addresses or networks of front servers whose X-Forwarded-For and -Proto count"
    )

    @field_validator("listen")
    @classmethod
    def _listen(cls, value: str) -> str:
        parse_listen(value)
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            try:
                ip_network(each, strict=False)
            except ValueError as error:
                raise ValueError("addresses or networks such as 10.0.0.1 and 10.1.0.0/16") from error
        return value

    @field_validator("address")
    @classmethod
    def _address(cls, value: str) -> str:
        if value and urlsplit(value).scheme not in ("http", "https"):
            raise ValueError("an http or https URL, or empty")
        return value.rstrip("/")


class DatabaseSection(Section):
    """`[database]`"""

    url: str = Field(default="", description="empty: SQLite in data_dir; postgresql://user:password@host/database")

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        if value and not value.startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://", "postgres://")):
            raise ValueError("empty, sqlite:///PATH or postgresql://...")
        return value


class StorageSection(Section):
    """`[storage]`"""

    url: str = Field(default="", description="empty: a folder in data_dir; file:///PATH or s3://BUCKET/PREFIX")

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        if value and "://" not in value:
            raise ValueError("empty, file:///PATH, s3://BUCKET/PREFIX, gs://... or az://...")
        return value


class Cran(Section):
    """`[cran]`: the predefined source `cran`."""

    upstream: str = Field(
        default="https://cloud.r-project.org", description="base URL of a CRAN mirror: http, https or file"
    )
    sync_schedule: str = Field(default="0 3 * * *", description="cron expression in UTC; empty: by hand alone")
    describe_rate: float = Field(
        default=20, gt=0, le=1000, description="most requests a second of `entrepot describe`, above 0 and up to 1000"
    )
    binaries: Words = Field(
        default=(),
        description="binary packages to mirror: windows/R, macosx/R or macosx/FOLDER/R, "
        'such as ["windows/4.4", "macosx/big-sur-arm64/4.4"]; empty: none',
    )

    @field_validator("binaries")
    @classmethod
    def _binaries(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for folder in value:
            if not _FOLDER_OF_BINARIES.fullmatch(folder):
                raise ValueError("a list of folders such as windows/4.4, macosx/4.2 and macosx/big-sur-arm64/4.4")
        return tuple(dict.fromkeys(value))

    @field_validator("upstream")
    @classmethod
    def _upstream(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https", "file") or not (parts.netloc or parts.path.startswith("/")):
            raise ValueError("the base URL of a CRAN mirror: http://, https:// or file:///")
        return value.rstrip("/")

    @field_validator("sync_schedule")
    @classmethod
    def _schedule(cls, value: str) -> str:
        return cron(value)


class Bioconductor(Section):
    """`[bioconductor]`: the predefined source `bioconductor`."""

    upstream: str = Field(
        default="https://bioconductor.org", description="base URL of a Bioconductor mirror: http, https or file"
    )
    sync_schedule: str = Field(default="30 4 * * *", description="cron expression in UTC; empty: by hand alone")
    versions: Words = Field(
        default=(),
        description='versions to mirror, such as ["release", "3.18"]; empty: all that upstream knows from 3.1 on',
    )

    @field_validator("upstream")
    @classmethod
    def _upstream(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https", "file") or not (parts.netloc or parts.path.startswith("/")):
            raise ValueError("the base URL of a Bioconductor mirror: http://, https:// or file:///")
        return value.rstrip("/")

    @field_validator("sync_schedule")
    @classmethod
    def _schedule(cls, value: str) -> str:
        return cron(value)

    @field_validator("versions")
    @classmethod
    def _versions(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for version in value:
            if version not in (RELEASE, DEVEL) and not is_version(version):
                raise ValueError(f"a list of versions such as 3.18, {RELEASE} and {DEVEL}")
        return value


class Pypi(Section):
    """`[pypi]`: the predefined source `pypi`."""

    upstream: str = Field(
        default="", description="URL of an index with a Simple API (.../simple/); empty: the Python Package Index"
    )
    refresh: float = Field(default=600, ge=1, description="seconds after which a project is asked for again")
    sync_schedule: str = Field(
        default="17 */6 * * *", description="cron expression in UTC for the list of all names; empty: by hand alone"
    )
    metadata_rate: float = Field(
        default=20,
        ge=0,
        le=1000,
        description="most requests a second that read metadata out of wheels, where upstream offers none; 0: none",
    )

    @field_validator("upstream")
    @classmethod
    def _upstream(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https", "file") or not (parts.netloc or parts.path[:1] == "/")):
            raise ValueError("the URL of a Simple API: http://, https:// or file:///, or empty")
        return value.rstrip("/")

    @field_validator("sync_schedule")
    @classmethod
    def _schedule(cls, value: str) -> str:
        return cron(value)


class Python(Section):
    """`[python]`: Python packages of one's own."""

    max_upload: int = Field(default=1024**3, gt=0, description="largest file that is uploaded by a client, bytes")


class Local(Section):
    """`[local]`: packages of one's own."""

    max_upload: int = Field(default=4 * 1024**3, gt=0, description="largest request of uploaded files, bytes")


class Git(Section):
    """`[git]`: packages built from Git, and what their builds may use."""

    poll_interval: Seconds = Field(
        default=300, ge=10, description="seconds between two looks at each Git endpoint, or a time such as 5m"
    )
    concurrent_builds: int = Field(default=2, ge=1, le=64, description="builds at once, on all nodes together")
    allow_unsandboxed: bool = Field(
        default=False, description="build without a sandbox: whoever can push to an endpoint can then do what we can"
    )
    allow_file: bool = Field(default=False, description="take file:// URLs, of repositories on this machine")
    known_hosts: str = Field(
        default="",
        description="file of the only SSH host keys that count; empty: a host's first key is recorded and counts",
    )
    r: str = Field(default="", description="the R that builds: its program or its folder; empty: R of the PATH")
    python: str = Field(default="", description="the Python that builds; empty: python3 of the PATH")
    r_repository: str = Field(
        default="", description="our R repository of packages that vignettes need; empty: that of [repos] cran"
    )
    python_index: str = Field(
        default="",
        description="our Python repository of what builds need, or the URL of an index; empty: that of [repos] pypi",
    )
    build_time: Seconds = Field(default=1800, ge=1, description="longest build: seconds, or a time such as 30m")
    build_memory: int = Field(default=2 * 1024**3, ge=64 * 1024**2, description="memory of a build, bytes")
    build_disk: int = Field(
        default=2 * 1024**3, ge=16 * 1024**2, description="what a build may write, bytes; it is kept in memory"
    )
    build_processes: int = Field(default=256, ge=16, le=10_000, description="processes and threads of a build")
    max_checkout: int = Field(default=4 * 1024**3, ge=1024**2, description="largest checkout with its history, bytes")

    @field_validator("python_index")
    @classmethod
    def _index(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme and (parts.scheme not in ("http", "https", "file") or not (parts.netloc or parts.path)):
            raise ValueError("the name of a repository, the URL of a Simple API, or empty")
        return value.rstrip("/")


class Sysreqs(Section):
    """`[sysreqs]`: the rules that tell which packages of a Linux distribution R packages need."""

    rules: str = Field(
        default="",
        description="folder, archive (.tar.gz, .tar.xz, .zip) or Git URL of the rules; empty: there are none",
    )
    sync_schedule: str = Field(default="45 2 * * *", description="cron expression in UTC; empty: by hand alone")

    @property
    def is_remote(self) -> bool:
        """Whether the rules are at a URL, be it `user@host:path`; else they are a path of this machine."""
        return "://" in self.rules or "@" in self.rules.partition(":")[0] != self.rules

    @field_validator("rules")
    @classmethod
    def _rules(cls, value: str) -> str:
        return value.strip()

    @field_validator("sync_schedule")
    @classmethod
    def _schedule(cls, value: str) -> str:
        return cron(value)


class Usage(Section):
    """`[usage]`: how often packages are downloaded."""

    enabled: bool = Field(
        default=True, description="count downloads, without addresses and names of those who download"
    )
    keep_days: int = Field(default=730, ge=1, le=36_500, description="days that counts are kept")


class Repos(Section):
    """`[repos]`: names of repositories created at the first start; empty: none."""

    cran: str = Field(default="cran", description="an R repository of all of CRAN")
    pypi: str = Field(default="pypi", description="a Python repository of all of the Python Package Index")
    bioconductor: str = Field(default="bioconductor", description="a Bioconductor repository of all versions")

    @field_validator("cran", "pypi", "bioconductor")
    @classmethod
    def _name(cls, value: str) -> str:
        if value:
            try:
                check_name(value, what="repository")
            except InvalidName as error:
                raise ValueError(f"{error.message}; {error.hint}") from error
        return value
