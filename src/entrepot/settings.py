"""Typed settings: a TOML file, then `ENTREPOT_<SECTION>__<KEY>` of the environment; read once at start.

An unknown key or a bad value stops the start with the key, the value and what is allowed.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlsplit

from cronsim import CronSim, CronSimError
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from entrepot.core.bioconductor import DEVEL, RELEASE, is_version
from entrepot.core.errors import InvalidName, InvalidSettings
from entrepot.core.model import check_name
from entrepot.core.urls import shown

_FOLDER_OF_BINARIES = re.compile(r"(windows|macosx(/[a-z0-9][a-z0-9_-]{0,39})?)/[0-9]{1,2}\.[0-9]{1,2}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CONFIG_PLACES = (Path("entrepot.toml"), Path("/etc/entrepot/entrepot.toml"))
PREFIX = "ENTREPOT_"
OTHER_VARIABLES = frozenset({"ENTREPOT_ADDRESS", "ENTREPOT_TOKEN", "ENTREPOT_CONFIG"})


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _cron(value: str) -> str:
    if value.strip():
        try:
            CronSim(value, _EPOCH)
        except CronSimError as error:
            raise ValueError(f"a cron expression of five fields, or empty ({error})") from error
    return value.strip()


class Server(_Section):
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

    @field_validator("listen")
    @classmethod
    def _listen(cls, value: str) -> str:
        parse_listen(value)
        return value

    @field_validator("address")
    @classmethod
    def _address(cls, value: str) -> str:
        if value and urlsplit(value).scheme not in ("http", "https"):
            raise ValueError("an http or https URL, or empty")
        return value.rstrip("/")


class DatabaseSection(_Section):
    """`[database]`"""

    url: str = Field(default="", description="empty: SQLite in data_dir; postgresql://user:password@host/database")

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        if value and not value.startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://", "postgres://")):
            raise ValueError("empty, sqlite:///PATH or postgresql://...")
        return value


class StorageSection(_Section):
    """`[storage]`"""

    url: str = Field(default="", description="empty: a folder in data_dir; file:///PATH or s3://BUCKET/PREFIX")

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        if value and "://" not in value:
            raise ValueError("empty, file:///PATH, s3://BUCKET/PREFIX, gs://... or az://...")
        return value


def _words(value: object) -> object:
    """A text with commas as a list of its parts; anything else as it is."""
    return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value


Words = Annotated[tuple[str, ...], BeforeValidator(_words)]
"""Several words: a list, or in a variable of the environment a text with commas."""


class Cran(_Section):
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
        return _cron(value)


class Bioconductor(_Section):
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
        return _cron(value)

    @field_validator("versions")
    @classmethod
    def _versions(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for version in value:
            if version not in (RELEASE, DEVEL) and not is_version(version):
                raise ValueError(f"a list of versions such as 3.18, {RELEASE} and {DEVEL}")
        return value


class Pypi(_Section):
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
        return _cron(value)


class Python(_Section):
    """`[python]`: Python packages of one's own."""

    max_upload: int = Field(default=1024**3, gt=0, description="largest file that is uploaded by a client, bytes")


class Local(_Section):
    """`[local]`: packages of one's own."""

    max_upload: int = Field(default=4 * 1024**3, gt=0, description="largest request of uploaded files, bytes")


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _seconds(value: object) -> object:
    """A time such as `90`, `90s`, `5m`, `1h` in seconds; anything else as it is."""
    text = value.strip() if isinstance(value, str) else ""
    if text[:-1].isdecimal() and text[-1] in _UNITS:
        return int(text[:-1]) * _UNITS[text[-1]]
    return value


Seconds = Annotated[float, BeforeValidator(_seconds)]
"""A time in seconds, which may be given with a unit: s, m, h or d."""


class Git(_Section):
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


class Sysreqs(_Section):
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
        return _cron(value)


class Repos(_Section):
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


class Settings(_Section):
    """All settings; `file` is where they were read, if there was one."""

    server: Server = Server()
    database: DatabaseSection = DatabaseSection()
    storage: StorageSection = StorageSection()
    cran: Cran = Cran()
    bioconductor: Bioconductor = Bioconductor()
    pypi: Pypi = Pypi()
    python: Python = Python()
    local: Local = Local()
    git: Git = Git()
    sysreqs: Sysreqs = Sysreqs()
    repos: Repos = Repos()
    file: Path | None = Field(default=None, exclude=True)

    @property
    def database_url(self) -> str:
        return self.database.url or f"sqlite:///{quote(str(self.server.data_dir / 'entrepot.db'))}"

    @property
    def pypi_upstream(self) -> str:
        """The Simple API of `[pypi] upstream`, without a slash at its end; takes a second the first time."""
        return self.pypi.upstream or _public_index()

    @property
    def encryption_key(self) -> Path:
        return Path(self.server.encryption_key or self.server.data_dir / "encryption.key")

    @property
    def storage_url(self) -> str:
        return self.storage.url or (self.server.data_dir / "files").as_uri()


@cache
def _public_index() -> str:
    # Here, because loading this library takes longer than the command line's whole start.
    from pypi_simple import PYPI_SIMPLE_ENDPOINT

    return PYPI_SIMPLE_ENDPOINT.rstrip("/")


def load_settings(config: Path | None = None, env: Mapping[str, str] | None = None) -> Settings:
    """The settings from `config` (else ENTREPOT_CONFIG, else the first of CONFIG_PLACES that exists) and `env`.

    Raises:
        InvalidSettings: the file can't be read, a key is unknown or a value is not allowed.
    """
    env = os.environ if env is None else env
    file = _config_file(config, env)
    values = _read(file) if file else {}
    _overlay(values, env)
    try:
        settings = Settings.model_validate(values | {"file": file})
    except ValidationError as error:
        raise _explain(error, file) from error
    base = file.parent if file else Path.cwd()
    server = {
        "data_dir": (base / settings.server.data_dir.expanduser()).resolve(),
        "encryption_key": _beside(base, settings.server.encryption_key),
    }
    git = {"known_hosts": _beside(base, settings.git.known_hosts)}
    sysreqs = {"rules": settings.sysreqs.rules if settings.sysreqs.is_remote else _beside(base, settings.sysreqs.rules)}
    return settings.model_copy(
        update={
            "server": settings.server.model_copy(update=server),
            "git": settings.git.model_copy(update=git),
            "sysreqs": settings.sysreqs.model_copy(update=sysreqs),
        }
    )


def _beside(base: Path, value: str) -> str:
    """The path of a file that may be given from the configuration's folder; empty: none is."""
    return str(base / Path(value).expanduser()) if value else ""


def parse_listen(value: str) -> tuple[str, int]:
    """`HOST:PORT` as (host, port); an empty host is every address. Raises ValueError."""
    host, colon, port = value.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise ValueError("HOST:PORT or :PORT with a port from 0 to 65535")
    return host.strip("[]") or "0.0.0.0", int(port)


def describe(settings: Settings) -> dict[str, Any]:
    """The effective values by section, with passwords masked."""
    values = settings.model_dump(mode="json")
    values["database"]["url"] = shown(settings.database_url)
    values["storage"]["url"] = shown(settings.storage_url)
    values["cran"]["upstream"] = shown(settings.cran.upstream)
    values["bioconductor"]["upstream"] = shown(settings.bioconductor.upstream)
    values["pypi"]["upstream"] = shown(settings.pypi.upstream)
    values["git"]["python_index"] = shown(settings.git.python_index)
    values["sysreqs"]["rules"] = shown(settings.sysreqs.rules)
    return values


def _config_file(config: Path | None, env: Mapping[str, str]) -> Path | None:
    named = config or (Path(env["ENTREPOT_CONFIG"]) if env.get("ENTREPOT_CONFIG") else None)
    if named is not None:
        if not named.is_file():
            raise InvalidSettings(f"there is no configuration file {named}", hint="check --config or ENTREPOT_CONFIG")
        return named.resolve()
    return next((place.resolve() for place in CONFIG_PLACES if place.is_file()), None)


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidSettings(f"{file} can't be read as TOML: {error}") from error


def _overlay(values: dict[str, Any], env: Mapping[str, str]) -> None:
    for variable, value in env.items():
        if not variable.startswith(PREFIX) or variable in OTHER_VARIABLES:
            continue
        section, underscores, key = variable.removeprefix(PREFIX).lower().partition("__")
        if not underscores:
            raise InvalidSettings(
                f"unknown variable {variable}",
                hint="settings are named ENTREPOT_<SECTION>__<KEY>, with two underscores",
            )
        place = values.setdefault(section, {})
        if isinstance(place, dict):
            place[key] = value


def _explain(error: ValidationError, file: Path | None) -> InvalidSettings:
    fault = error.errors()[0]
    where = fault["loc"]
    key = f"[{where[0]}] {'.'.join(str(part) for part in where[1:])}".strip()
    if fault["type"] == "extra_forbidden":
        return InvalidSettings(f"unknown setting {key}", hint=_allowed(where), key=key, file=str(file or ""))
    allowed = str(fault["msg"]).removeprefix("Value error, ")
    value = shown(fault["input"]) if isinstance(fault["input"], str) else fault["input"]
    return InvalidSettings(
        f"bad value for {key}: {value!r}; allowed: {allowed}", hint=_allowed(where), key=key, file=str(file or "")
    )


def _allowed(where: tuple[int | str, ...]) -> str:
    section = Settings.model_fields.get(str(where[0]))
    if section is None or len(where) == 1:
        return "sections are " + ", ".join(f"[{name}]" for name in Settings.model_fields if name != "file")
    model = section.annotation
    assert isinstance(model, type)
    assert issubclass(model, BaseModel)
    named = model.model_fields.get(str(where[1]))
    if named is not None:
        return f"{where[1]}: {named.description}"
    return f"[{where[0]}] knows " + ", ".join(model.model_fields)
