"""The file of tokens that clients of package managers share: `~/.ppm/tokens.toml`.

posit-keyring and pak write `[[connections]]` with `address`, `token` and `auth_type`; pak wrote `[[connection]]` with
`url`, `token` and `method` before. Both are read. What others keep in the file stays, but entries of `connections` get
no further keys: posit-keyring reads none with one, and then writes the file anew.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from entrepot.core.errors import Invalid

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

SSO = "sso"
"""How a token was come by that a person's sign-in gave."""
TOKEN = "token"
"""... that somebody was given and entered."""
_LARGEST = 1024**2
_PORTS = {"http": 80, "https": 443}


class Stored(NamedTuple):
    """An entry: `method` is how the token was come by."""

    address: str
    token: str
    method: str


class _Shape(NamedTuple):
    """A table of entries, and what their keys are called."""

    table: str
    address: str
    method: str


_NOW = _Shape("connections", "address", "auth_type")
_BEFORE = _Shape("connection", "url", "method")
_SHAPES = (_NOW, _BEFORE)


def place(env: Mapping[str, str]) -> Path:
    """Where the file is; pak's variable can name another place."""
    named = env.get("PACKAGEMANAGER_SSO_TOKEN_FILE")
    return Path(named).expanduser() if named else Path.home() / ".ppm" / "tokens.toml"


def find(path: Path, address: str) -> Stored | None:
    """The entry of an address; one that has it in exactly these words goes first.

    Raises:
        Invalid: the file can't be read.
    """
    if not os.path.lexists(path):
        return None  # as for most, who need not wait for the reader of such files to be loaded
    entries = _matching(_read(path), address)
    exact = [entry for entry in entries if entry.address == address.strip()]
    return next(iter(exact or entries), None)


def store(path: Path, address: str, token: str, method: str) -> None:
    """Keep a token for an address, in place of those that were kept for it.

    The address is written as it is given: other clients look for it in exactly these words.

    Raises:
        Invalid: the file can't be read or written.
    """
    import tomlkit
    from tomlkit.items import AoT

    with _held(path) as target:
        document, wanted = _read(target), address.strip()
        has_exact = False
        for shape, entry in _entries(document):
            if _same(entry.get(shape.address), wanted):
                entry["token"], entry[shape.method] = token, method
                has_exact = has_exact or (shape is _NOW and entry[shape.address] == wanted)
        if not has_exact:
            added = tomlkit.table()
            added.update({_NOW.address: wanted, "token": token, _NOW.method: method})
            tables = document.get(_NOW.table)
            if isinstance(tables, AoT):
                tables.append(added)
            else:
                kept = tables if isinstance(tables, list) else []
                document[_NOW.table] = made = tomlkit.aot()
                for each in [*(table for table in kept if isinstance(table, dict)), added]:
                    made.append(tomlkit.item(dict(each)))
        _write(target, document)


def forget(path: Path, address: str) -> list[Stored]:
    """Drop what is kept for an address; what that was.

    Raises:
        Invalid: the file can't be read or written.
    """
    if not path.exists():
        return []
    with _held(path) as target:
        document = _read(target)
        dropped = _matching(document, address)
        if not dropped:
            return []
        for shape in _SHAPES:
            tables = document.get(shape.table)
            if isinstance(tables, list):
                for index in range(len(tables) - 1, -1, -1):
                    if isinstance(tables[index], dict) and _same(tables[index].get(shape.address), address):
                        del tables[index]
                if not tables:
                    del document[shape.table]
        _write(target, document)
    return dropped


def is_same_address(one: str, other: str) -> bool:
    """Whether two addresses are of one server, however they are written."""
    return _parts(one) is not None and _parts(one) == _parts(other)


def _same(one: object, other: str) -> bool:
    return isinstance(one, str) and is_same_address(one, other)


def _parts(address: str) -> tuple[str, str, int | None, str] | None:
    try:
        url = urlsplit(address.strip())
        port = url.port or _PORTS.get(url.scheme)
    except ValueError:
        return None
    if not url.hostname:
        return None
    return url.scheme, url.hostname, port, url.path.rstrip("/")


def _entries(document: Mapping[str, Any]) -> Iterator[tuple[_Shape, Any]]:
    for shape in _SHAPES:
        tables = document.get(shape.table)
        for entry in tables if isinstance(tables, list) else ():
            if isinstance(entry, dict):
                yield shape, entry


def _matching(document: Mapping[str, Any], address: str) -> list[Stored]:
    found = []
    for shape, entry in _entries(document):
        token = entry.get("token")
        if _same(entry.get(shape.address), address) and isinstance(token, str) and token.strip():
            found.append(Stored(str(entry[shape.address]), token.strip(), str(entry.get(shape.method) or "")))
    return found


def _read(path: Path) -> TOMLDocument:
    """The file; an empty document if there is none. Raises Invalid."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    hint = "repair or delete it; `entrepot login` writes a new one"
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except FileNotFoundError:
        return tomlkit.document()
    except OSError as error:
        raise Invalid(f"the token file {path} can't be read: {(error.strerror or 'why?').lower()}", hint=hint) from None
    try:
        if len(data) > _LARGEST:
            raise ValueError
        return tomlkit.parse(data.decode())
    except (TOMLKitError, ValueError, RecursionError):
        # Not what the parser says: it may quote a token.
        raise Invalid(f"the token file {path} is no TOML", hint=hint) from None


@contextmanager
def _held(path: Path) -> Iterator[Path]:
    """The file for a change, while no other command of ours changes it."""
    import fcntl

    target = path.resolve()  # a link stays one
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(target.with_name(f".{target.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield target
    finally:
        os.close(lock)


def _write(path: Path, document: TOMLDocument) -> None:
    """Put the file in its place whole, for its owner's eyes alone."""
    import tomlkit

    aside = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(tomlkit.dumps(document))
        aside.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from None
    finally:
        aside.unlink(missing_ok=True)


def _unwritable(path: Path, error: OSError) -> Invalid:
    return Invalid(
        f"the token file {path} can't be written: {(error.strerror or 'why?').lower()}",
        hint="give the token with ENTREPOT_TOKEN instead",
    )
