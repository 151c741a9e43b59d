"""Credentials for Git endpoints: imported, changed, told of without their secrets, and the key that encrypts them.

A secret comes in, is encrypted and stays so in its row; `login_of` alone decrypts it, for what speaks to an endpoint.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.errors import Conflict, CredentialNotFound, Invalid, InvalidSettings, NameTaken, TooLarge
from entrepot.core.model import check_name
from entrepot.db import credentials as db_credentials
from entrepot.db.credentials import Credential, Use
from entrepot.git.login import Login

Kind = Literal["ssh", "https"]
WORDS: dict[str, str] = {"ssh": "SSH key", "https": "HTTPS credential"}
LARGEST_SECRET = 16 * 1024
"""Characters of a password or passphrase; encrypted text is a third longer than what is in it."""
LARGEST_TEXT = 8 * 1024
"""Characters of what `encrypt` takes."""
LONGEST_USERNAME = 500


@dataclass(frozen=True, slots=True)
class CredentialInfo:
    """A credential as people are told of it, with the live builders that use it."""

    credential: Credential
    builders: tuple[Use, ...]


@dataclass(frozen=True, slots=True)
class _Secret:
    """What is to be kept; it is encrypted within the write transaction, so that a change of the key sees it."""

    text: str = field(repr=False)
    fingerprint: str | None = None


def import_ssh_key(
    app: App, name: str, *, key: str, passphrase: str | None = None, succeed_on_existing: bool = False
) -> tuple[CredentialInfo, bool]:
    """Keep a private key, without its passphrase; whether it was not there before. One that was there stays as it is.

    Args:
        key: the text of its file.
        passphrase: as it is, or as `encrypt` gave it.

    Raises:
        InvalidName, NameTaken, TooLarge
        Invalid: it is no private key that ssh can use, or the passphrase is wrong, missing or of no use.
        InvalidSettings: the key file can't be used.
    """
    check_name(name, what="credential")
    secret = _ssh(app, key, passphrase)
    return _add(app, "ssh", name, None, secret, succeed_on_existing=succeed_on_existing)


def import_https(
    app: App, name: str, *, username: str, password: str, succeed_on_existing: bool = False
) -> tuple[CredentialInfo, bool]:
    """Keep a user name and a password or access token, as `import_ssh_key` keeps a key.

    Raises:
        InvalidName, NameTaken, TooLarge
        Invalid: they can't be sent to a server.
        InvalidSettings: the key file can't be used.
    """
    check_name(name, what="credential")
    _check_username(username)
    secret = _https(app, password)
    return _add(app, "https", name, username, secret, succeed_on_existing=succeed_on_existing)


def edit(
    app: App,
    kind: Kind,
    name: str,
    *,
    new_name: str | None = None,
    key: str | None = None,
    passphrase: str | None = None,
    username: str | None = None,
    password: str | None = None,
) -> CredentialInfo:
    """Rename a credential, or replace what it holds; builders that use it do so from their next look on.

    Raises:
        CredentialNotFound, InvalidName, NameTaken, TooLarge, InvalidSettings
        Invalid: as of the imports; or there is nothing to change, or something that this kind does not have.
    """
    _check_parts(kind, key, passphrase, username, password, new_name)
    if new_name is not None:
        check_name(new_name, what="credential")
    if username is not None:
        _check_username(username)
    secret = None
    if key is not None:
        secret = _ssh(app, key, passphrase)
    elif password is not None:
        secret = _https(app, password)
    with app.db.write(shows=False) as connection:
        found = find(connection, name, kind)
        values: dict[str, str] = {}
        if new_name is not None and new_name != name:
            _check_free(connection, kind, new_name)
            values["name"] = new_name
        if username is not None:
            values["username"] = username
        if secret is not None:
            values["secret"] = _encrypted(app, connection, secret, instead_of=found.id)
        if secret is not None and secret.fingerprint is not None:
            values["fingerprint"] = secret.fingerprint
        db_credentials.change(connection, found.id, now=app.clock(), **values)
        return _info(connection, find(connection, new_name or name, kind))


def delete(app: App, name: str, kind: Kind | None = None) -> Credential:
    """Delete a credential that no live builder uses; what it was.

    Raises:
        CredentialNotFound
        Conflict: a builder uses it, or there is one of each kind and `kind` is not given.
    """
    with app.db.write(shows=False) as connection:
        found = find(connection, name, kind)
        users = db_credentials.uses(connection, found.id).get(found.id, [])
        if users:
            raise Conflict(
                f"the {WORDS[found.kind]} {name!r} is used by {_builders(users)}",
                hint="give these builders another credential, or delete them first",
                builders=[{"source": use.source, "name": use.name} for use in users],
            )
        db_credentials.remove(connection, found.id)
        return found


def list_credentials(app: App) -> list[CredentialInfo]:
    """All credentials, by name."""
    with app.db.read() as connection:
        users = db_credentials.uses(connection)
        return [CredentialInfo(row, tuple(users.get(row.id, ()))) for row in db_credentials.every(connection)]


def find(connection: Connection, name: str, kind: str | None = None) -> Credential:
    """The credential of that name; for a URL, `kind` is what its scheme needs.

    Raises:
        CredentialNotFound
        Conflict: there is one of each kind, and `kind` is not given.
    """
    rows = db_credentials.named(connection, name)
    fitting = [row for row in rows if kind is None or row.kind == kind]
    if len(fitting) > 1:
        raise Conflict(
            f"there is an SSH key and an HTTPS credential named {name!r}",
            hint="say which one: --type=ssh or --type=https",
            name=name,
        )
    if fitting:
        return fitting[0]
    what = WORDS.get(kind or "", "Git credential")
    hint = "'entrepot list git-credentials' lists them"
    if rows:
        hint = f"the one of that name is an {WORDS[rows[0].kind]}"
    raise CredentialNotFound(f"there is no {what} named {name!r}", hint=hint, name=name)


def login_of(app: App, credential_id: int) -> Login:
    """A credential, decrypted, for what speaks to an endpoint; nothing of it may be kept, shown or written.

    Raises:
        CredentialNotFound
        InvalidSettings: the key file can't be used, or is not the one that it was encrypted with.
    """
    tried = None
    while True:
        with app.db.read() as connection:
            found = db_credentials.secret_of(connection, credential_id)
        if found is None:
            raise CredentialNotFound("the credential was deleted", hint="give the builder another one")
        row, encrypted = found
        try:
            secret = _decrypted(app, row, encrypted)
        except InvalidSettings:
            if encrypted == tried:
                raise
            # The key may have been changed since the row was read: then the row is another one by now.
            tried = encrypted
        else:
            return Login("ssh" if row.kind == "ssh" else "https", row.username or "", secret)


def encrypt(app: App, text: str) -> str:
    """`text` encrypted, as the imports take it for a password or passphrase.

    Raises:
        Invalid, TooLarge, InvalidSettings
    """
    if len(text) > LARGEST_TEXT:
        raise TooLarge(f"the text is longer than {LARGEST_TEXT} characters", hint="encrypt passwords and passphrases")
    if not text:
        raise Invalid("there is nothing to encrypt", hint="give the text on standard input")
    with app.db.read() as connection:
        _check_key(app, connection)
        return app.keys.encrypt(text)


def rotate_key(app: App) -> int:
    """Change the key: a new one is put into the key file, everything is encrypted with it, and the old one is dropped.

    Wherever it is broken off, everything stays readable, and the next call goes on from there. The number of
    credentials.

    Raises:
        InvalidSettings: the key file can't be used, or a credential was encrypted with another key; nothing is changed.
    """
    # Both parts under the writers' lock, so that on all nodes there is one rotation at a time, and nothing is encrypted
    # with the old key beside it.
    with app.db.write(shows=False) as connection:
        rows = db_credentials.secrets(connection)
        for row, secret in rows:
            _decrypted(app, row, secret)
        rotation = app.keys.rotation()
        db_credentials.renew(connection, {row.id: rotation.renewed(secret) for row, secret in rows})
    with app.db.write(shows=False):
        rotation.finish()
    return len(rows)


def _ssh(app: App, key: str, passphrase: str | None) -> _Secret:
    from entrepot.operations import sshkeys  # here, because what reads keys takes long to load

    opened = None if passphrase is None else _opened(app, passphrase, "passphrase")
    found = sshkeys.read(key, opened)
    return _Secret(found.text, found.fingerprint)


def _https(app: App, password: str) -> _Secret:
    opened = _opened(app, password, "password")
    if not opened:
        raise Invalid("the password is empty", hint="give a password or an access token")
    if not _is_one_line(opened):
        raise Invalid(
            "the password has characters that can't be sent to a server",
            hint="it has to be one line; a line break at the end of its file does not count",
        )
    return _Secret(opened)


def _opened(app: App, text: str, what: str) -> str:
    """A password or passphrase, decrypted if it is encrypted."""
    if len(text) > LARGEST_SECRET:
        raise TooLarge(f"the {what} is longer than {LARGEST_SECRET} characters", hint="is it the right file?")
    if not app.keys.is_encrypted(text):
        return text
    try:
        return app.keys.decrypt(text)
    except InvalidSettings as error:
        raise Invalid(
            f"the encrypted {what} can't be decrypted here: {error.message}",
            hint="encrypt it again with 'entrepot encrypt'",
        ) from None


def _check_username(username: str) -> None:
    if not username or not _is_one_line(username) or ":" in username or len(username) > LONGEST_USERNAME:
        raise Invalid(
            "the user name can't be sent to a server",
            hint=f"it has 1 to {LONGEST_USERNAME} characters on one line, without ':'",
        )


def _is_one_line(text: str) -> bool:
    """Whether Git can be told it: its protocol for credentials is made of lines, in UTF-8."""
    return not any(c < " " or c == "\x7f" or "\ud800" <= c <= "\udfff" for c in text)


def _check_parts(
    kind: Kind,
    key: str | None,
    passphrase: str | None,
    username: str | None,
    password: str | None,
    new_name: str | None,
) -> None:
    is_wrong = (username, password) if kind == "ssh" else (key, passphrase)
    if any(part is not None for part in is_wrong):
        has = "a key and its passphrase" if kind == "ssh" else "a user name and a password"
        raise Invalid(f"an {WORDS[kind]} has {has}", hint="give these alone")
    if passphrase is not None and key is None:
        raise Invalid(
            "a passphrase was given, but no key", hint="give the key as well; keys are kept without passphrase"
        )
    if all(part is None for part in (key, username, password, new_name)):
        raise Invalid("there is nothing to change", hint="give a new name or a new secret")


def _add(
    app: App, kind: Kind, name: str, username: str | None, secret: _Secret, *, succeed_on_existing: bool
) -> tuple[CredentialInfo, bool]:
    with app.db.write(shows=False) as connection:
        existing = [row for row in db_credentials.named(connection, name) if row.kind == kind]
        if existing and succeed_on_existing:
            return _info(connection, existing[0]), False
        _check_free(connection, kind, name)
        db_credentials.add(
            connection,
            kind=kind,
            name=name,
            username=username,
            fingerprint=secret.fingerprint,
            secret=_encrypted(app, connection, secret),
            now=app.clock(),
        )
        return _info(connection, find(connection, name, kind)), True


def _check_free(connection: Connection, kind: Kind, name: str) -> None:
    if any(row.kind == kind for row in db_credentials.named(connection, name)):
        raise NameTaken(
            f"an {WORDS[kind]} named {name!r} exists",
            hint="choose another name, use --succeed-on-existing, or change it with 'entrepot edit'",
            name=name,
        )


def _encrypted(app: App, connection: Connection, secret: _Secret, *, instead_of: int | None = None) -> str:
    _check_key(app, connection, but=instead_of)
    return app.keys.encrypt(secret.text)


def _check_key(app: App, connection: Connection, *, but: int | None = None) -> None:
    """See that the key is that of the other credentials: a node without the right file must not make one of its own."""
    rows = [(row, secret) for row, secret in db_credentials.secrets(connection) if row.id != but]
    if rows:
        _decrypted(app, *rows[-1])


def _decrypted(app: App, row: Credential, secret: str) -> str:
    try:
        return app.keys.decrypt(secret)
    except InvalidSettings as error:
        raise InvalidSettings(
            f"the {WORDS[row.kind]} {row.name!r} can't be decrypted: {error.message}",
            hint=f"{error.hint}; if it is lost, delete the credential and import it again",
        ) from None


def _info(connection: Connection, row: Credential) -> CredentialInfo:
    return CredentialInfo(row, tuple(db_credentials.uses(connection, row.id).get(row.id, ())))


def _builders(users: list[Use]) -> str:
    """`builder 'demo' of source 'git'`, for at most three of them by name."""
    told = [f"builder {use.name or use.url!r} of source {use.source!r}" for use in users[:3]]
    more = len(users) - len(told)
    return ", ".join(told) + (f" and {more} more" if more > 0 else "")
