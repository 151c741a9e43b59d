"""Typed settings: a TOML file, then `ENTREPOT_<SECTION>__<KEY>` of the environment; read once at start.

An unknown key or a bad value stops the start with the key, the value and what is allowed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import Field, ValidationError, model_validator

from entrepot.core.urls import shown
from entrepot.settings import reading
from entrepot.settings.access import (
    Authentication,
    Bootstrap,
    IdentityFederation,
    OpenIdConnect,
    ScopeMapping,
    check_integrations,
)
from entrepot.settings.kinds import Section, parse_listen
from entrepot.settings.reading import CONFIG_PLACES
from entrepot.settings.sections import (
    Bioconductor,
    Cran,
    DatabaseSection,
    Git,
    Local,
    Pypi,
    Python,
    Repos,
    Server,
    StorageSection,
    Sysreqs,
    Usage,
)

__all__ = [
    "CONFIG_PLACES",
    "Authentication",
    "Bioconductor",
    "Bootstrap",
    "Cran",
    "DatabaseSection",
    "Git",
    "IdentityFederation",
    "Local",
    "OpenIdConnect",
    "Pypi",
    "Python",
    "Repos",
    "ScopeMapping",
    "Server",
    "Settings",
    "StorageSection",
    "Sysreqs",
    "Usage",
    "describe",
    "load_settings",
    "parse_listen",
]


class Settings(Section):
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
    usage: Usage = Usage()
    repos: Repos = Repos()
    authentication: Authentication = Authentication()
    openid_connect: OpenIdConnect = OpenIdConnect()
    identity_federation: dict[str, IdentityFederation] = Field(default_factory=dict)
    group_to_scope_mapping: dict[str, ScopeMapping] = Field(default_factory=dict)
    role_to_scope_mapping: dict[str, ScopeMapping] = Field(default_factory=dict)
    bootstrap: Bootstrap = Bootstrap()
    file: Path | None = Field(default=None, exclude=True)

    @model_validator(mode="after")
    def _integrations(self) -> Settings:
        check_integrations(self)
        return self

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
    file = reading.config_file(config, env)
    values = reading.read(file) if file else {}
    reading.overlay(values, env)
    try:
        settings = Settings.model_validate(values | {"file": file})
    except ValidationError as error:
        raise reading.explain(error, file, Settings) from error
    base = file.parent if file else Path.cwd()
    server = {
        "data_dir": (base / settings.server.data_dir.expanduser()).resolve(),
        "encryption_key": _beside(base, settings.server.encryption_key),
    }
    openid_connect = {"client_secret_file": _beside(base, settings.openid_connect.client_secret_file)}
    bootstrap = {"public_key_file": _beside(base, settings.bootstrap.public_key_file)}
    git = {"known_hosts": _beside(base, settings.git.known_hosts)}
    sysreqs = {"rules": settings.sysreqs.rules if settings.sysreqs.is_remote else _beside(base, settings.sysreqs.rules)}
    return settings.model_copy(
        update={
            "server": settings.server.model_copy(update=server),
            "git": settings.git.model_copy(update=git),
            "openid_connect": settings.openid_connect.model_copy(update=openid_connect),
            "bootstrap": settings.bootstrap.model_copy(update=bootstrap),
            "sysreqs": settings.sysreqs.model_copy(update=sysreqs),
        }
    )


def _beside(base: Path, value: str) -> str:
    """The path of a file that may be given from the configuration's folder; empty: none is."""
    return str(base / Path(value).expanduser()) if value else ""


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
    if settings.openid_connect.client_secret:
        values["openid_connect"]["client_secret"] = "***"
    return values
