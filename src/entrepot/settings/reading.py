"""The file of the settings and the environment as plain values, and what is wrong with them in words."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from entrepot.core.errors import InvalidSettings
from entrepot.core.urls import shown

CONFIG_PLACES = (Path("entrepot.toml"), Path("/etc/entrepot/entrepot.toml"))
PREFIX = "ENTREPOT_"
OTHER_VARIABLES = frozenset({"ENTREPOT_ADDRESS", "ENTREPOT_TOKEN", "ENTREPOT_CONFIG"})


def config_file(config: Path | None, env: Mapping[str, str]) -> Path | None:
    named = config or (Path(env["ENTREPOT_CONFIG"]) if env.get("ENTREPOT_CONFIG") else None)
    if named is not None:
        if not named.is_file():
            raise InvalidSettings(f"there is no configuration file {named}", hint="check --config or ENTREPOT_CONFIG")
        return named.resolve()
    return next((place.resolve() for place in CONFIG_PLACES if place.is_file()), None)


def read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidSettings(f"{file} can't be read as TOML: {error}") from error


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
        if isinstance(place, dict):
            place[key] = value


def explain(error: ValidationError, file: Path | None, settings: type[BaseModel]) -> InvalidSettings:
    fault = error.errors()[0]
    where = fault["loc"]
    key = f"[{where[0]}] {'.'.join(str(part) for part in where[1:])}".strip()
    if fault["type"] == "extra_forbidden":
        return InvalidSettings(f"unknown setting {key}", hint=_allowed(where, settings), key=key, file=str(file or ""))
    allowed = str(fault["msg"]).removeprefix("Value error, ")
    value = shown(fault["input"]) if isinstance(fault["input"], str) else fault["input"]
    return InvalidSettings(
        f"bad value for {key}: {value!r}; allowed: {allowed}",
        hint=_allowed(where, settings),
        key=key,
        file=str(file or ""),
    )


def _allowed(where: tuple[int | str, ...], settings: type[BaseModel]) -> str:
    section = settings.model_fields.get(str(where[0]))
    if section is None or len(where) == 1:
        return "sections are " + ", ".join(f"[{name}]" for name in settings.model_fields if name != "file")
    model = section.annotation
    assert isinstance(model, type)
    assert issubclass(model, BaseModel)
    named = model.model_fields.get(str(where[1]))
    if named is not None:
        return f"{where[1]}: {named.description}"
    return f"[{where[0]}] knows " + ", ".join(model.model_fields)
