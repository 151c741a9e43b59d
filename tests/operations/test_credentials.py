"""Credentials of Git endpoints: kept encrypted, told of without their secrets, readable at every step."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ed25519
from sqlalchemy import insert, select, update

from entrepot.app import App
from entrepot.core.errors import (
    Conflict,
    CredentialNotFound,
    EntrepotError,
    Invalid,
    InvalidName,
    InvalidSettings,
    NameTaken,
    TooLarge,
)
from entrepot.core.model import SourceType
from entrepot.db.credentials import Credential, Use
from entrepot.db.schema import git_builders, git_credentials, metadata
from entrepot.operations import credentials
from entrepot.operations.sources import create_source
from entrepot.settings import Settings
from tests.support.server import NOON, Clock, opened

PASSWORD = "hunter2-is-not-a-good-one"
PASSPHRASE = "open sesame, would you"


def private_key(passphrase: str | None = None) -> str:
    """A new key; without a passphrase in OpenSSH's form, else as PKCS #8."""
    key = ed25519.Ed25519PrivateKey.generate()
    if passphrase is None:
        made = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.OpenSSH, form.NoEncryption())
    else:
        protection = form.BestAvailableEncryption(passphrase.encode())
        made = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, protection)
    return made.decode()


def add_https(app: App, name: str = "token", password: str = PASSWORD, **more: Any) -> credentials.CredentialInfo:
    return credentials.import_https(app, name, username="git", password=password, **more)[0]


def add_ssh(app: App, name: str = "deploy", **more: Any) -> credentials.CredentialInfo:
    return credentials.import_ssh_key(app, name, key=private_key(), **more)[0]


def secrets(app: App) -> dict[str, str]:
    """Name -> secret, of all credentials."""
    with app.db.read() as connection:
        rows = connection.execute(select(git_credentials.c.name, git_credentials.c.secret)).all()
    return {name: app.keys.decrypt(secret) for name, secret in rows}


def builder(app: App, credential_id: int, name: str | None = "demo", url: str = "https://git.example.org/demo") -> int:
    """A builder that uses a credential; its id."""
    with app.db.write() as connection:
        source = connection.execute(select(metadata.tables["sources"].c.id).where(_is_git())).scalar_one_or_none()
    if source is None:
        create_source(app, "git", type_=SourceType.LOCAL)
    with app.db.write() as connection:
        values = {
            "source_id": connection.execute(select(metadata.tables["sources"].c.id).where(_is_git())).scalar_one(),
            "name": name,
            "url": url,
            "trigger": "commits",
            "sub_dir": "",
            "credential_id": credential_id,
            "clone_depth": 1,
            "submodules": 0,
            "build_vignettes": False,
            "created": NOON,
        }
        made = connection.execute(insert(git_builders).values(**values).returning(git_builders.c.id))
        return int(made.scalar_one())


def _is_git() -> Any:
    return metadata.tables["sources"].c.name == "git"


def test_what_is_told_of_a_credential(app: App, clock: Clock) -> None:
    """Name, kind, user name, fingerprint, times and who uses it; the list is by name."""
    token, deploy = add_https(app), add_ssh(app)
    assert token.credential == Credential(token.credential.id, "https", "token", "git", None, NOON, NOON)
    assert deploy.credential.kind == "ssh"
    assert deploy.credential.username is None
    assert (deploy.credential.fingerprint or "")[:7] == "SHA256:"
    builder(app, deploy.credential.id, None, "https://me:word@git.example.org/x")
    builder(app, deploy.credential.id)
    uses = (Use("git", None, "https://***@git.example.org/x"), Use("git", "demo", "https://git.example.org/demo"))
    assert credentials.list_credentials(app) == [credentials.CredentialInfo(deploy.credential, uses), token]


def test_a_key_is_kept_without_its_passphrase(app: App) -> None:
    """The passphrase opens it once, as it is or encrypted; neither is kept."""
    key = private_key(PASSPHRASE)
    for name, passphrase in (("plain", PASSPHRASE), ("sealed", credentials.encrypt(app, PASSPHRASE))):
        credentials.import_ssh_key(app, name, key=key, passphrase=passphrase)
    expected = form.load_pem_private_key(key.encode(), PASSPHRASE.encode()).private_bytes_raw()  # type: ignore[union-attr]
    for secret in secrets(app).values():
        kept = form.load_ssh_private_key(secret.encode(), None)
        assert isinstance(kept, ed25519.Ed25519PrivateKey)
        assert kept.private_bytes_raw() == expected
    with pytest.raises(Invalid, match="the passphrase does not open the key"):
        credentials.import_ssh_key(app, "wrong", key=key, passphrase=credentials.encrypt(app, "close"))


def test_no_secret_is_anywhere(app: App, settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither in a dump of the database, nor in a file beside the key's, nor in the log of everything."""
    caplog.set_level(logging.DEBUG)
    key = private_key()
    body = "".join(key.splitlines()[1:-1])
    credentials.import_ssh_key(app, "deploy", key=key)
    credentials.import_ssh_key(app, "closed", key=private_key(PASSPHRASE), passphrase=PASSPHRASE)
    add_https(app)
    add_https(app, "sealed", credentials.encrypt(app, PASSWORD))
    credentials.edit(app, "https", "token", new_name="new", password=PASSWORD + "!")
    credentials.rotate_key(app)
    assert secrets(app)["new"] == PASSWORD + "!"
    assert "".join(secrets(app)["deploy"].splitlines()[1:-1])[-40:] == body[-40:]
    key_lines = app.keys.path.read_text().split()
    with app.db.read() as connection:
        dump = "\n".join(repr(row) for table in metadata.sorted_tables for row in connection.execute(select(table)))
    assert "encrypted:" in dump
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path != app.keys.path]
    for kept in [dump.encode(), caplog.text.encode(), *(path.read_bytes() for path in files)]:
        for secret in (PASSWORD, PASSPHRASE, body[-40:], *secrets(app)["closed"].splitlines()[1:-1], *key_lines):
            assert secret.encode() not in kept
    assert app.keys.path.stat().st_mode & 0o777 == 0o600


def test_names_are_taken_once_for_each_kind(app: App) -> None:
    """A second one is refused, or left as it is; the other kind has names of its own."""
    first = add_https(app, "both")
    add_ssh(app, "both")
    for again in (lambda: add_https(app, "both", "other"), lambda: add_ssh(app, "both")):
        with pytest.raises(NameTaken, match="named 'both' exists"):
            again()
    was = credentials.import_https(app, "both", username="x", password="other", succeed_on_existing=True)
    assert was == (first, False)
    assert credentials.import_ssh_key(app, "both", key=private_key(), succeed_on_existing=True)[1] is False
    with app.db.read() as connection:
        asked = select(git_credentials.c.secret).where(git_credentials.c.kind == "https")
        assert app.keys.decrypt(connection.execute(asked).scalar_one()) == PASSWORD


@pytest.mark.parametrize(
    ("values", "error", "said"),
    [
        ({"name": "a b"}, InvalidName, "can't name a credential"),
        ({"name": ""}, InvalidName, "can't name a credential"),
        ({"name": "../x"}, InvalidName, "can't name a credential"),
        ({"username": ""}, Invalid, "the user name"),
        ({"username": "a:b"}, Invalid, "the user name"),
        ({"username": "a\nhost=other.example.org"}, Invalid, "the user name"),
        ({"username": "a" * 501}, Invalid, "the user name"),
        ({"password": ""}, Invalid, "the password is empty"),
        ({"password": "a\nhost=other.example.org"}, Invalid, "can't be sent to a server"),
        ({"password": "a\0"}, Invalid, "can't be sent to a server"),
        ({"password": "a" * 20_000}, TooLarge, "the password is longer"),
        ({"password": "encrypted:gAAAA"}, Invalid, "the encrypted password can't be decrypted here"),
    ],
)
def test_what_is_refused(app: App, values: dict[str, str], error: type[EntrepotError], said: str) -> None:
    """Nothing is kept; nothing that came is told."""
    given = {"name": "demo", "username": "git", "password": PASSWORD, **values}
    with pytest.raises(error, match=said) as met:
        credentials.import_https(app, given.pop("name"), **given)
    assert "other.example.org" not in str(met.value.as_json())
    assert PASSWORD not in str(met.value.as_json())
    assert credentials.list_credentials(app) == []


def test_encrypted_text_is_opened_before_it_is_checked(app: App) -> None:
    """What is encrypted may be no more than what is given in the clear."""
    for text, said in (("a\nb", "can't be sent"), ("encrypted:x", None)):
        sealed = credentials.encrypt(app, text)
        if said:
            with pytest.raises(Invalid, match=said):
                add_https(app, password=sealed)
        else:
            add_https(app, password=sealed)
            assert secrets(app) == {"token": text}
    for text, error in (("", Invalid), ("a" * 10_000, TooLarge)):
        with pytest.raises(error):
            credentials.encrypt(app, text)


def test_changes(app: App, clock: Clock) -> None:
    """What is given is changed, at once and alone."""
    made = [add_https(app).credential, add_ssh(app).credential]
    clock.wait(hours=1)
    later = NOON + timedelta(hours=1)
    info = credentials.edit(app, "https", "token", new_name="pat", username="robot")
    assert info.credential == Credential(made[0].id, "https", "pat", "robot", None, NOON, later)
    assert secrets(app)["pat"] == PASSWORD
    credentials.edit(app, "https", "pat", password="new")
    assert secrets(app)["pat"] == "new"
    key = private_key(PASSPHRASE)
    changed = credentials.edit(app, "ssh", "deploy", key=key, passphrase=PASSPHRASE).credential
    assert (changed.id, changed.changed) == (made[1].id, later)
    assert changed.fingerprint != made[1].fingerprint
    assert credentials.edit(app, "ssh", "deploy", new_name="deploy").credential.name == "deploy"


@pytest.mark.parametrize(
    ("kind", "name", "values", "error", "said"),
    [
        ("ssh", "none", {"new_name": "x"}, CredentialNotFound, "there is no SSH key named 'none'"),
        ("ssh", "token", {"new_name": "x"}, CredentialNotFound, "there is no SSH key named 'token'"),
        ("https", "token", {"new_name": "a/b"}, InvalidName, "can't name"),
        ("https", "token", {"new_name": "other"}, NameTaken, "an HTTPS credential named 'other' exists"),
        ("https", "token", {"username": "a:b"}, Invalid, "the user name"),
        ("https", "token", {"key": "x"}, Invalid, "an HTTPS credential has a user name and a password"),
        ("ssh", "deploy", {"password": PASSWORD}, Invalid, "an SSH key has a key and its passphrase"),
        ("ssh", "deploy", {"passphrase": PASSPHRASE}, Invalid, "a passphrase was given, but no key"),
        ("ssh", "deploy", {"key": "x"}, Invalid, "this is not a private key"),
        ("ssh", "deploy", {}, Invalid, "nothing to change"),
    ],
)
def test_changes_that_are_refused(
    app: App, kind: Any, name: str, values: dict[str, str], error: type[EntrepotError], said: str
) -> None:
    """Everything stays as it was."""
    add_https(app), add_https(app, "other"), add_ssh(app)
    before = credentials.list_credentials(app)
    with pytest.raises(error, match=said):
        credentials.edit(app, kind, name, **values)
    assert credentials.list_credentials(app) == before


def test_one_in_use_is_not_deleted(app: App) -> None:
    """The error names the builders; once they are deleted it can be, and they forget it."""
    id_ = add_ssh(app).credential.id
    used = [builder(app, id_, name) for name in ("a", "b", None, "c", "d")]
    with pytest.raises(Conflict) as met:
        credentials.delete(app, "deploy")
    assert met.value.message == (
        "the SSH key 'deploy' is used by builder 'a' of source 'git', builder 'b' of source 'git', "
        "builder 'https://git.example.org/demo' of source 'git' and 2 more"
    )
    with app.db.write() as connection:
        connection.execute(update(git_builders).where(git_builders.c.id.in_(used)).values(deleted=NOON))
    assert credentials.delete(app, "deploy").name == "deploy"
    assert credentials.list_credentials(app) == []
    with app.db.read() as connection:
        assert set(connection.execute(select(git_builders.c.credential_id)).scalars()) == {None}


def test_which_one_is_meant(app: App) -> None:
    """By name, and by kind where there are two; a kind that isn't there is told from a name that isn't."""
    add_https(app, "both"), add_ssh(app, "both"), add_ssh(app, "deploy")
    with app.db.read() as connection:
        assert credentials.find(connection, "deploy").kind == "ssh"
        assert credentials.find(connection, "both", "https").kind == "https"
        with pytest.raises(Conflict, match="there is an SSH key and an HTTPS credential named 'both'"):
            credentials.find(connection, "both")
        with pytest.raises(CredentialNotFound, match="no HTTPS credential named 'deploy'") as met:
            credentials.find(connection, "deploy", "https")
        assert met.value.hint == "the one of that name is an SSH key"
        with pytest.raises(CredentialNotFound, match="no Git credential named 'none'"):
            credentials.find(connection, "none")
    with pytest.raises(Conflict):
        credentials.delete(app, "both")


def test_a_node_with_another_key(app: App) -> None:
    """It encrypts nothing with its own, nor makes a key where there was one; what needs no key goes on."""
    add_https(app), add_ssh(app)
    right = app.keys.path.read_bytes()
    for wrong in (Fernet.generate_key(), None):
        app.keys.path.unlink()
        if wrong is not None:
            app.keys.path.write_bytes(wrong)
            app.keys.path.chmod(0o600)
        tries: list[Callable[[], object]] = [
            lambda: add_https(app, "more"),
            lambda: credentials.encrypt(app, "text"),
            lambda: credentials.edit(app, "https", "token", password="new"),
            lambda: credentials.rotate_key(app),
        ]
        for attempt in tries:
            with pytest.raises(InvalidSettings, match="can't be decrypted") as met:
                attempt()
            assert "the same one" in (met.value.hint or "") or "encryption_key" in (met.value.hint or "")
        assert app.keys.path.exists() is (wrong is not None)
        if wrong is None:
            app.keys.path.touch(0o600)
    app.keys.path.write_bytes(right)
    assert secrets(app)["token"] == PASSWORD
    app.keys.path.write_bytes(Fernet.generate_key())
    assert len(credentials.list_credentials(app)) == 2
    credentials.delete(app, "deploy")
    credentials.edit(app, "https", "token", password="again")
    assert secrets(app) == {"token": "again"}


def test_a_change_of_the_key(app: App, clock: Clock) -> None:
    """Everything is encrypted anew, and to people nothing has changed; what `encrypt` gave before is refused."""
    assert credentials.rotate_key(app) == 0
    sealed = credentials.encrypt(app, PASSWORD)
    add_https(app), add_ssh(app)
    before, told = secrets(app), credentials.list_credentials(app)
    old = app.keys.path.read_text()
    clock.wait(hours=1)
    assert credentials.rotate_key(app) == 2
    assert (secrets(app), credentials.list_credentials(app)) == (before, told)
    assert old not in app.keys.path.read_text()
    assert len(app.keys.path.read_text().split()) == 1
    with pytest.raises(Invalid, match="can't be decrypted here") as met:
        add_https(app, "other", sealed)
    assert met.value.hint == "encrypt it again with 'entrepot encrypt'"


KILL = """
import os, signal, sys
from sqlalchemy import Engine, event
from entrepot import keys
from entrepot.app import open_app
from entrepot.operations import credentials
from entrepot.settings import Settings

settings, moment = Settings.model_validate_json(sys.argv[1]), sys.argv[2]
app = open_app(settings)
end = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
match moment:
    case "written aside":
        keys.Path.replace = end
    case "both keys in the file":
        keys.Rotation.renewed = end
    case "rows renewed":
        event.listen(Engine, "commit", end)
    case "committed":
        keys.Rotation.finish = end
    case "new file aside":
        finish = keys.Rotation.finish
        def dropping(rotation):
            keys.Path.replace = end
            finish(rotation)
        keys.Rotation.finish = dropping
credentials.rotate_key(app)
"""


@pytest.mark.parametrize(
    ("moment", "keys"),
    [
        ("written aside", 1),
        ("both keys in the file", 2),
        ("rows renewed", 2),
        ("committed", 2),
        ("new file aside", 2),
    ],
)
def test_a_change_of_the_key_that_is_killed(settings: Settings, app: App, moment: str, keys: int) -> None:
    """Wherever it is killed, everything can be read, and the next call ends with one new key."""
    add_https(app), add_ssh(app)
    before, old = secrets(app), app.keys.path.read_text()
    command = [sys.executable, "-c", KILL, settings.model_dump_json(), moment]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -9, done.stderr
    assert len(app.keys.path.read_text().split()) == keys
    assert secrets(app) == before
    add_https(app, "meanwhile", "new")
    assert credentials.rotate_key(app) == 3
    assert secrets(app) == {**before, "meanwhile": "new"}
    (left,) = app.keys.path.read_text().split()
    assert left != old.strip()


def test_imports_while_the_key_is_changed(settings: Settings, app: App) -> None:
    """Two nodes that change the key at once, and imports beside them, leave nothing unreadable."""
    errors: list[BaseException] = []

    def run(work: Callable[[], object], times: int) -> None:
        try:
            for _ in range(times):
                work()
        except BaseException as error:
            errors.append(error)

    with opened(settings) as other:
        names: Iterator[str] = iter([f"n{number}" for number in range(12)])
        add_https(app)
        works: list[tuple[Callable[[], object], int]] = [
            (lambda: credentials.rotate_key(app), 6),
            (lambda: credentials.rotate_key(other), 6),
            (lambda: add_https(other, next(names)), 12),
            (lambda: log_in(app), 30),
        ]
        threads = [threading.Thread(target=run, args=work) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert errors == []
    assert set(secrets(app).values()) == {PASSWORD}
    assert len(secrets(app)) == 13
    assert len(app.keys.path.read_text().split()) == 1


def log_in(app: App) -> None:
    with app.db.read() as connection:
        id_ = credentials.find(connection, "token").id
    login = credentials.login_of(app, id_)
    assert (login.kind, login.username, login.secret) == ("https", "git", PASSWORD)
