"""What a Python project says of its build, read without running any of it (PEP 518, 621; setuptools, Poetry)."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from configparser import Error as ConfigError
from configparser import RawConfigParser
from dataclasses import dataclass
from enum import Enum
from io import StringIO
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from entrepot.core.errors import Invalid
from entrepot.core.model import PackageName
from entrepot.ecosystems.python import names
from entrepot.ecosystems.python.facts import as_dict

PYPROJECT, SETUP_CFG, SETUP_PY = "pyproject.toml", "setup.cfg", "setup.py"
LARGEST = {PYPROJECT: 128 << 10, SETUP_CFG: 128 << 10, SETUP_PY: 1 << 20}
"""Bytes of each of these files: what is made to be slow to read takes seconds, not minutes."""
DEFAULT_REQUIRES = ("setuptools>=40.8.0",)
"""What a build needs that doesn't say so (PEP 518)."""
MOST_REQUIREMENTS = 20_000
"""Characters of all that one build needs."""
_POETRY = "poetry.core."
_LITERAL = re.compile(r"""\bversion\s*=\s*["']([^"'\\\n]{1,200})["']""")
"""In setup.py: a version as it may be given to `setup`."""
_NO_TAG = {"tag_build": "", "tag_date": "0"}
_USES_SCM = re.compile(r"\buse_scm_version\b")
_SCM = re.compile(r"\s*setuptools[-_.]+scm(?![A-Za-z0-9._-])", re.IGNORECASE)
_GIVES_VERSION = re.compile(r"\bversion\s*=")


class Place(Enum):
    """Where the version of a project can be set so that its build backend takes it."""

    PROJECT = "[project] of pyproject.toml"
    POETRY = "[tool.poetry] of pyproject.toml"
    SETUP_CFG = "[metadata] of setup.cfg"
    APPENDED = "[egg_info] of setup.cfg, which appends to the version that setup.py gives"
    SCM = "the environment, where setuptools-scm looks for it"
    NOWHERE = "nowhere"


@dataclass(frozen=True, slots=True)
class Files:
    """The files that say it, as they stand; None where there is none."""

    pyproject: bytes | None
    setup_cfg: bytes | None
    setup_py: bytes | None


@dataclass(frozen=True, slots=True)
class Project:
    """What the files say.

    Attributes:
        requires: what has to be there before the build backend can be asked anything.
        name: None: only a build tells.
        version: None: only a build tells.
        guess: the version that setup.py seems to give; a build tells whether it does.
        place: where another version can be set.
    """

    requires: tuple[str, ...]
    name: PackageName | None
    version: str | None
    guess: str | None
    place: Place


def read_project(files: Files) -> Project:
    """What the files of a project say.

    Raises:
        Invalid: there is no project, or a file that can't be read; the message is one line.
    """
    if files.pyproject is None and files.setup_py is None:
        raise Invalid(f"there is neither a {PYPROJECT} nor a {SETUP_PY}", hint="--sub-dir names the project's folder")
    told = _toml(files.pyproject)
    poetry = as_dict(as_dict(told.get("tool")).get("poetry"))
    config = _config(files.setup_cfg)
    metadata = dict(config["metadata"]) if config.has_section("metadata") else {}
    project = as_dict(told.get("project"))
    names_told = (project.get("name"), poetry.get("name"), metadata.get("name"))
    name = next((text for text in names_told if isinstance(text, str)), None)
    place, version = _version(files, told, poetry, metadata)
    return Project(
        _requires(told),
        names.normalize(name) if name is not None and names.is_name(name) else None,
        str(read_version(version)) if version is not None else None,
        _guess(files.setup_py) if place is Place.APPENDED else None,
        place,
    )


def _toml(data: bytes | None) -> Mapping[str, Any]:
    if data is None:
        return {}
    try:
        return tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise Invalid(f"{PYPROJECT} can't be read: {why}") from None


def _config(data: bytes | None) -> RawConfigParser:
    """setup.cfg, with the names of options as they stand."""
    parser = RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    try:
        parser.read_string((data or b"").decode("utf-8-sig"))
    except (UnicodeDecodeError, ConfigError) as error:
        why = str(error).partition("\n")[0]
        raise Invalid(f"{SETUP_CFG} can't be read: {why}") from None
    return parser


def _version(
    files: Files, told: Mapping[str, Any], poetry: Mapping[str, Any], metadata: Mapping[str, str]
) -> tuple[Place, str | None]:
    """Where the version can be set, and which one is there, if it stands there for good."""
    project = told.get("project")
    backend = as_dict(told.get("build-system")).get("build-backend")
    is_poetry = isinstance(backend, str) and backend.startswith(_POETRY)
    own = poetry.get("version")
    if isinstance(project, dict):
        static = project.get("version")
        if static is None and is_poetry and isinstance(own, str):
            return Place.POETRY, own
        return Place.PROJECT, static if isinstance(static, str) else None
    if isinstance(own, str):
        return Place.POETRY, own if is_poetry else None
    if files.setup_py is None and files.setup_cfg is None:
        return Place.NOWHERE, None
    text = (files.setup_py or b"").decode(errors="replace")
    if "version" in metadata and not _GIVES_VERSION.search(text):
        written = metadata["version"].strip()
        is_computed = written.startswith(("attr:", "file:")) or _has_tag(_config(files.setup_cfg))
        return Place.SETUP_CFG, None if is_computed else written
    return Place.SCM if _USES_SCM.search(text) or _needs_scm(told) else Place.APPENDED, None


def _needs_scm(told: Mapping[str, Any]) -> bool:
    return any(_SCM.match(line) for line in _requires(told))


def _guess(setup_py: bytes | None) -> str | None:
    found = set(_LITERAL.findall((setup_py or b"").decode(errors="replace")))
    return found.pop() if len(found) == 1 else None


def _requires(told: Mapping[str, Any]) -> tuple[str, ...]:
    table = told.get("build-system")
    if table is None:
        return DEFAULT_REQUIRES
    requires = as_dict(table).get("requires")
    if not isinstance(requires, list) or not all(isinstance(line, str) for line in requires):
        raise Invalid(f"[build-system] of {PYPROJECT} has no list 'requires' of requirements (PEP 518)")
    return tuple(requires)


def read_requirements(lines: Sequence[str]) -> tuple[str, ...]:
    """What a build needs, in one form.

    Raises:
        Invalid: not PEP 508, too much, or a URL: only an index is asked.
    """
    if sum(map(len, lines)) > MOST_REQUIREMENTS:
        raise Invalid(f"what its build needs is a list of more than {MOST_REQUIREMENTS:,} characters")
    return tuple(_requirement(line) for line in lines)


def _requirement(line: str) -> str:
    try:
        found = Requirement(line)
    except (InvalidRequirement, RecursionError) as error:
        why = str(error).partition("\n")[0]
        raise Invalid(f"its build needs {line[:100]!r}, which is no requirement (PEP 508): {why}") from None
    if found.url is not None:
        raise Invalid(
            f"its build needs {found.name} from a URL, but only the index of [git] python_index is asked",
            hint=f"require {found.name} by its name, with bounds if need be",
        )
    return str(found)


# --- versions ------------------------------------------------------------------------------------------------------


def read_version(text: str) -> Version:
    """A version. Raises Invalid: it is none (PEP 440)."""
    try:
        if len(text) > names.LONGEST:
            raise InvalidVersion
        return Version(text)
    except InvalidVersion:
        raise Invalid(f"its version {text[:100]!r} is none (PEP 440)") from None


def is_named_by(tag: str, version: str) -> bool:
    """Whether a tag `x` or `vx` names a version."""
    bare = tag.removeprefix("v")
    try:
        return bare[:1] != "v" and read_version(bare) == Version(version)
    except Invalid:
        return False


def is_above(version: str, newest: str | None) -> bool:
    return newest is None or Version(version) > Version(newest)


def commit_version(own: str, stamp: int, newest: str | None) -> str:
    """A commit's version: its own with `.post` or `.dev` and the stamp, normalised, and above `newest`.

    A dev release keeps its kind, a local part goes. Where that isn't above `newest`, the stamp grows; where the
    project's own version went down, it is `newest` that is stamped (`is_of` tells).
    """
    version = _stamped(Version(own), stamp)
    if newest is None or version > (last := Version(newest)):
        return str(version)
    return str(_stamped(last, max(stamp, _number(last) + 1)))


def is_of(version: str, own: str) -> bool:
    """Whether a commit's version was made from the project's own."""
    return _stamped(Version(version), 0) == _stamped(Version(own), 0)


def _number(version: Version) -> int:
    """What `_stamped` replaces; -1: nothing."""
    if version.dev is not None:
        return version.dev
    return version.post if version.post is not None else -1


def _stamped(version: Version, number: int) -> Version:
    epoch = f"{version.epoch}!" if version.epoch else ""
    pre = "".join(map(str, version.pre)) if version.pre is not None else ""
    base = epoch + ".".join(map(str, version.release)) + pre
    if version.dev is None:
        return Version(f"{base}.post{number}")
    post = f".post{version.post}" if version.post is not None else ""
    return Version(f"{base}{post}.dev{number}")


# --- setting one ---------------------------------------------------------------------------------------------------


def with_version(files: Files, place: Place, version: str, *, own: str) -> Mapping[str, bytes]:
    """The files that have to change for a project to have a version: name -> content.

    Args:
        own: the version that its backend gives now.

    Raises:
        Invalid: it can't be set.
    """
    match place:
        case Place.PROJECT | Place.POETRY:
            return {PYPROJECT: _in_pyproject(files.pyproject or b"", place, version), **_untagged(files)}
        case Place.SETUP_CFG:
            values = {"metadata": {"version": version}, "egg_info": _NO_TAG}
            return {SETUP_CFG: _in_setup_cfg(files.setup_cfg, values)}
        case Place.APPENDED:
            suffix = _suffix(_without_tag(own, files.setup_cfg), version)
            if suffix is None:
                raise Invalid(
                    f"its version {own} can't be made into {version} by appending to it, all that setup.py lets do",
                    hint=f"give the version in [project] of {PYPROJECT}; if it comes of tags, set --clone-depth=0",
                )
            return {SETUP_CFG: _in_setup_cfg(files.setup_cfg, {"egg_info": _NO_TAG | {"tag_build": suffix}})}
        case Place.SCM:
            return {}
        case Place.NOWHERE:
            raise Invalid(
                f"its version is {own} again, and its build backend leaves no way to make it {version}",
                hint=f"give the version in [project] of {PYPROJECT}",
            )


def environment_of(version: str, place: Place) -> Mapping[str, str]:
    """Variables that have to be set for a project to have a version, besides what its files say."""
    if place is Place.SCM:
        return {"SETUPTOOLS_SCM_PRETEND_VERSION": version}
    return {"POETRY_DYNAMIC_VERSIONING_BYPASS": version} if place is Place.POETRY else {}


def _in_pyproject(data: bytes, place: Place, version: str) -> bytes:
    # Here, because a server takes longer to start with it, and few builds need it.
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    expected: Any = tomllib.loads(data.decode())
    try:
        changed: Any = tomlkit.parse(data)
        for document in (expected, changed):
            table = document["project"] if place is Place.PROJECT else document["tool"]["poetry"]
            table["version"] = version
            if place is Place.PROJECT and "version" in table.get("dynamic", ()):
                table["dynamic"] = [field for field in table["dynamic"] if field != "version"]
        text = tomlkit.dumps(changed)
        is_right = tomllib.loads(text) == expected
    except (TOMLKitError, KeyError, TypeError, ValueError, RecursionError):
        is_right = False
    if not is_right:
        raise Invalid(f"the version can't be set in {PYPROJECT}", hint="write [project] as a table of its own")
    return text.encode()


def _in_setup_cfg(data: bytes | None, values: Mapping[str, Mapping[str, str]]) -> bytes:
    config = _config(data)
    for section, options in values.items():
        if not config.has_section(section):
            config.add_section(section)
        for option, value in options.items():
            for old in [name for name in config.options(section) if name.replace("-", "_") == option]:
                config.remove_option(section, old)
            config.set(section, option, value)
    written = StringIO()
    config.write(written)
    return written.getvalue().encode()


def _untagged(files: Files) -> Mapping[str, bytes]:
    """setup.cfg without what setuptools appends to any version."""
    if not _has_tag(_config(files.setup_cfg)):
        return {}
    return {SETUP_CFG: _in_setup_cfg(files.setup_cfg, {"egg_info": _NO_TAG})}


def _has_tag(config: RawConfigParser) -> bool:
    options = config.options("egg_info") if config.has_section("egg_info") else []
    return any(name.replace("-", "_") in _NO_TAG for name in options)


def _without_tag(own: str, setup_cfg: bytes | None) -> str:
    """A version without what setup.cfg appends to it already."""
    config = _config(setup_cfg)
    options = dict(config["egg_info"]) if config.has_section("egg_info") else {}
    tag = options.get("tag_build") or options.get("tag-build") or ""
    version = Version(own)
    bare = version.base_version + ("".join(map(str, version.pre)) if version.pre is not None else "")
    try:
        return bare if tag and Version(bare + tag).public == version.public else own
    except InvalidVersion:
        return own


def _suffix(own: str, version: str) -> str | None:
    """What makes one version of another if it is appended."""
    number = _number(Version(version))
    for suffix in (f".post{number}", f".dev{number}", str(number)):
        try:
            # A number behind a zero: 1.0.dev0 -> 1.0.dev01537204599
            if Version(own + suffix) == Version(version):
                return suffix
        except InvalidVersion:
            continue
    return None
