"""The file of the settings and the environment as plain values, and what is wrong with them in words."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from entrepot.core.errors import InvalidSettings
from entrepot.core.urls import shown
from entrepot.settings.access import NAMED

CONFIG_PLACES = (Path("entrepot.toml"), Path("/etc/entrepot/entrepot.toml"))
PREFIX = "ENTREPOT_"
_NAMED = re.compile(r'^(\s*)\[\s*([A-Za-z_]+)\s+("(?:[^"\\\n]|\\.)*")\s*\]', re.MULTILINE)
"""`[identity_federation "connect"]`, as the product's file has it."""
_CAPITALS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_ODD_NAMES = {"OpenIDConnect": "openid_connect"}
OTHER_VARIABLES = frozenset({"ENTREPOT_ADDRESS", "ENTREPOT_TOKEN", "ENTREPOT_CONFIG", "ENTREPOT_IDENTITY_TOKEN_FILE"})
BOOTSTRAP_KEY = "PACKAGEMANAGER_BOOTSTRAP_PUBLICKEY"
"""The other product's variable for `[bootstrap] public_key`; counts where nothing else says which key it is."""


def config_file(config: Path | None, env: Mapping[str, str]) -> Path | None:
    named = config or (Path(env["ENTREPOT_CONFIG"]) if env.get("ENTREPOT_CONFIG") else None)
    if named is not None:
        if not named.is_file():
            raise InvalidSettings(f"there is no configuration file {named}", hint="check --config or ENTREPOT_CONFIG")
        return named.resolve()
    return next((place.resolve() for place in CONFIG_PLACES if place.is_file()), None)


def read(file: Path) -> dict[str, Any]:
    """The values of a file. Names may be written as the product writes them: `[IdentityFederation "connect"]`,
    `RoleClaim`."""
    try:
        values = tomllib.loads(_NAMED.sub(r"\1[\2.\3]", file.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidSettings(f"{file} can't be read as TOML: {error}") from error
    return _renamed(values)


def _renamed(values: dict[str, Any]) -> dict[str, Any]:
    """The same sections and keys under our names; the names of people's own sections stay."""
    result: dict[str, Any] = {}
    for name, section in values.items():
        ours = _ODD_NAMES.get(name) or _our_name(name)
        if not isinstance(section, dict):
            result[ours] = section
        elif ours in NAMED:
            found = result.setdefault(ours, {})
            found |= {key: _keys(each) if isinstance(each, dict) else each for key, each in section.items()}
        else:
            result[ours] = result.get(ours, {}) | _keys(section)
    return result


def _keys(section: dict[str, Any]) -> dict[str, Any]:
    return {_our_name(key): value for key, value in section.items()}


def _our_name(name: str) -> str:
    return _CAPITALS.sub("_", name).lower()


def overlay(values: dict[str, Any], env: Mapping[str, str]) -> None:
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
        if section in NAMED:
            # ENTREPOT_IDENTITY_FEDERATION__CONNECT__ISSUER
            name, _, key = key.partition("__")
            place = place.setdefault(name, {}) if isinstance(place, dict) else place
        if isinstance(place, dict):
            place[key] = value
    if env.get(BOOTSTRAP_KEY):
        bootstrap = values.setdefault("bootstrap", {})
        if isinstance(bootstrap, dict) and not (bootstrap.get("public_key") or bootstrap.get("public_key_file")):
            bootstrap["public_key"] = env[BOOTSTRAP_KEY]


def explain(error: ValidationError, file: Path | None, settings: type[BaseModel]) -> InvalidSettings:
    fault = error.errors()[0]
    where = fault["loc"]
    key = f"[{where[0]}] {'.'.join(str(part) for part in where[1:])}".strip() if where else "the whole"
    if fault["type"] == "extra_forbidden":
        return InvalidSettings(f"unknown setting {key}", hint=_allowed(where, settings), key=key, file=str(file or ""))
    allowed = str(fault["msg"]).removeprefix("Value error, ")
    value = _telling(fault["input"])
    return InvalidSettings(
        f"bad value for {key}: {value!r}; allowed: {allowed}",
        hint=_allowed(where, settings),
        key=key,
        file=str(file or ""),
    )


def _telling(value: Any) -> Any:
    """A bad value without logins; of a whole section only that it is one: it may have a secret."""
    if isinstance(value, str):
        return shown(value)
    return "a section" if isinstance(value, dict | BaseModel) else value


def _allowed(where: tuple[int | str, ...], settings: type[BaseModel]) -> str:
    section = settings.model_fields.get(str(where[0])) if where else None
    if section is None or len(where) == 1:
        return "sections are " + ", ".join(f"[{name}]" for name in settings.model_fields if name != "file")
    model: Any = NAMED.get(str(where[0]), section.annotation)
    keys = where[2:] if where[0] in NAMED else where[1:]
    named = model.model_fields.get(str(keys[0])) if keys else None
    if named is not None:
        return f"{keys[0]}: {named.description}"
    return f"[{'.'.join(str(part) for part in where[: len(where) - len(keys)])}] knows " + ", ".join(model.model_fields)
