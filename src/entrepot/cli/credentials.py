"""Commands on credentials for Git endpoints and on the key that encrypts them."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from entrepot.cli.options import UsageFault
from entrepot.cli.output import counted
from entrepot.cli.session import Session

if TYPE_CHECKING:
    from entrepot.client import Credential
    from entrepot.client.credentials import Kind

WORDS = {"ssh": "SSH key", "https": "HTTPS credential"}
_TYPES = {"ssh": "SSH", "https": "HTTPS"}
_MOST_BYTES = 64 * 1024

Name = Annotated[str, typer.Option("--name", metavar="NAME", help="Name of the credential.")]
NewName = Annotated[str | None, typer.Option("--new-name", metavar="NAME", help="New name.")]
KeyPath = Annotated[str, typer.Option("--path", metavar="FILE", help="File of the private key, on this machine.")]
NewKeyPath = Annotated[
    str | None, typer.Option("--path", metavar="FILE", help="File of the new private key, on this machine.")
]
PassphrasePath = Annotated[
    str | None,
    typer.Option(
        "--passphrase-path",
        metavar="FILE",
        help="File of the key's passphrase, as it is or from 'entrepot encrypt'; '-' for standard input.",
    ),
]
Username = Annotated[str, typer.Option("--username", metavar="NAME", help="User name at the Git server.")]
NewUsername = Annotated[str | None, typer.Option("--username", metavar="NAME", help="New user name at the Git server.")]
PasswordPath = Annotated[
    str | None,
    typer.Option(
        "--password-path",
        metavar="FILE",
        help="File of the password or access token, as it is or from 'entrepot encrypt'; '-' for standard input.",
    ),
]
Password = Annotated[
    str | None,
    typer.Option(
        "--password",
        metavar="TEXT",
        help="The password, or better: text from 'entrepot encrypt'. Other users of this machine can read it.",
    ),
]
SucceedOnExisting = Annotated[
    bool, typer.Option("--succeed-on-existing", help="Succeed without a change if it is there already.")
]
Type = Annotated[
    str | None,
    typer.Option("--type", metavar="ssh|https", help="Which one, where there is one of each type with that name."),
]


def import_ssh_key(
    session: Session,
    *,
    name: Name,
    path: KeyPath,
    passphrase_path: PassphrasePath = None,
    succeed_on_existing: SucceedOnExisting = False,
) -> None:
    """Import a private key for Git endpoints over ssh.

    The key is read on this machine and kept by the server, encrypted; nothing gives it out again. RSA, ECDSA and
    Ed25519 keys can be used, as OpenSSH or PEM files.
    """
    key, passphrase = _read_key(path), _read_secret(passphrase_path, "passphrase")
    with session.connect() as (client, _):
        credential = client.import_ssh_key(
            name, key=key, passphrase=passphrase, succeed_on_existing=succeed_on_existing
        )
    session.out.result(credential, [f"Imported {_told(credential)}"])


def import_https_credential(
    session: Session,
    *,
    name: Name,
    username: Username,
    password_path: PasswordPath = None,
    password: Password = None,
    succeed_on_existing: SucceedOnExisting = False,
) -> None:
    """Import a user name and a password or access token for Git endpoints over https.

    The password is kept by the server, encrypted; nothing gives it out again. Without --password-path it is asked for.
    """
    secret = _password(session, password_path, password)
    if secret is None:
        secret = _ask_for("Password or access token: ", hint="give its file: --password-path, '-' for standard input")
    with session.connect() as (client, _):
        credential = client.import_https_credential(
            name, username=username, password=secret, succeed_on_existing=succeed_on_existing
        )
    session.out.result(credential, [f"Imported {_told(credential)}"])


def edit_ssh_key(
    session: Session,
    *,
    name: Name,
    new_name: NewName = None,
    path: NewKeyPath = None,
    passphrase_path: PassphrasePath = None,
) -> None:
    """Rename an SSH key, or put another key in its place.

    Builders that use it do so from their next look at the endpoint on.
    """
    key = None if path is None else _read_key(path)
    passphrase = _read_secret(passphrase_path, "passphrase")
    _edit(session, "ssh", name, name=new_name, key=key, passphrase=passphrase)


def edit_https_credential(
    session: Session,
    *,
    name: Name,
    new_name: NewName = None,
    username: NewUsername = None,
    password_path: PasswordPath = None,
    password: Password = None,
) -> None:
    """Rename an HTTPS credential, or change its user name or password.

    Builders that use it do so from their next look at the endpoint on.
    """
    secret = _password(session, password_path, password)
    _edit(session, "https", name, name=new_name, username=username, password=secret)


def edit_git_credential(
    session: Session,
    *,
    name: Name,
    type: Type = None,
    new_name: NewName = None,
    path: NewKeyPath = None,
    passphrase_path: PassphrasePath = None,
    username: NewUsername = None,
    password_path: PasswordPath = None,
    password: Password = None,
) -> None:
    """Rename a credential for Git endpoints, or change what it holds, whichever of the two types it is of.

    SSH keys have --path and --passphrase-path, HTTPS credentials --username and --password-path.
    """
    kind = _kind(type)
    if kind is None:
        with session.connect() as (client, _):
            kind = client.kind_of(name)
    key, passphrase = None if path is None else _read_key(path), _read_secret(passphrase_path, "passphrase")
    secret = _password(session, password_path, password)
    _edit(session, kind, name, name=new_name, key=key, passphrase=passphrase, username=username, password=secret)


def list_git_credentials(session: Session) -> None:
    """List the credentials for Git endpoints, and which builders use them."""
    with session.connect() as (client, _):
        credentials = client.list_credentials()
    _show(session, "Git Credentials:", credentials)


def list_ssh_keys(session: Session) -> None:
    """List the SSH keys alone; an older form of 'list git-credentials'."""
    with session.connect() as (client, _):
        credentials = [row for row in client.list_credentials() if row["kind"] == "ssh"]
    _show(session, "SSH Keys:", credentials)


def delete_git_credential(session: Session, *, name: Name, type: Type = None) -> None:
    """Delete a credential for Git endpoints that no builder uses."""
    _delete(session, name, _kind(type))


def delete_ssh_key(session: Session, *, name: Name) -> None:
    """Delete an SSH key; an older form of 'delete git-credential --type=ssh'."""
    _delete(session, name, "ssh")


def encrypt(session: Session) -> None:
    """Encrypt a password or passphrase, for use in a file or flag of the imports.

    It is asked for, or read from standard input. What is printed can be decrypted by this server alone, until its key
    is changed.
    """
    text = _ask_for("Text to encrypt: ", again="Once more: ") if sys.stdin.isatty() else _read_secret("-", "text")
    with session.connect() as (client, _):
        encrypted = client.encrypt(text or "")
    session.out.result({"encrypted": encrypted}, [encrypted])


def rotate_key(session: Session) -> None:
    """Change the key that credentials are encrypted with.

    All credentials are encrypted with a new key, and the old one is dropped; if that is broken off, the next call goes
    on. What 'entrepot encrypt' gave before has to be encrypted again.
    """
    with session.connect() as (client, _):
        number = client.rotate_key()
    session.out.result(
        {"credentials": number}, [f"Changed the key; {counted(number, 'credential')} encrypted with the new one"]
    )


def _edit(session: Session, kind: Kind, old_name: str, **parts: str | None) -> None:
    if all(part is None for part in parts.values()):
        raise UsageFault("nothing to change", hint="give --new-name or what it shall hold from now on")
    with session.connect() as (client, _):
        credential = client.edit_credential(kind, old_name, **parts)
    session.out.result(credential, [f"Changed {_told(credential)}"])


def _delete(session: Session, name: str, kind: Kind | None) -> None:
    with session.connect() as (client, _):
        found = client.delete_credential(name, kind)
    session.out.result({"name": name, "kind": found, "deleted": True}, [f"Deleted {WORDS[found]} '{name}'"])


def _kind(type: str | None) -> Kind | None:
    match type and type.lower():
        case None:
            return None
        case "ssh":
            return "ssh"
        case "https":
            return "https"
    raise UsageFault(f"'--type' is either ssh or https, not '{type}'")


def _show(session: Session, title: str, credentials: list[Credential]) -> None:
    lines = [line for credential in credentials for line in _lines(credential)]
    session.out.result(credentials, [title, *lines] if lines else [])
    if not lines:
        session.out.info("There are none; 'entrepot import' takes an ssh-key or an https-credential")


def _lines(credential: Credential) -> Iterable[str]:
    yield f"- {credential['name']}"
    yield f"    Type: {_TYPES[credential['kind']]}"
    if credential["username"]:
        yield f"    Username: {credential['username']}"
    if credential["fingerprint"]:
        yield f"    Fingerprint: {credential['fingerprint']}"
    users = [f"{use['name'] or use['url']} ({use['source']})" for use in credential["builders"]]
    if users:
        yield f"    Builders: {', '.join(users)}"


def _told(credential: Credential) -> str:
    return f"{WORDS[credential['kind']]} '{credential['name']}'"


def _password(session: Session, path: str | None, text: str | None) -> str | None:
    """The password of one of the two flags."""
    if text is None:
        return _read_secret(path, "password")
    if path is not None:
        raise UsageFault("the password is given twice", hint="give one of --password-path and --password")
    from entrepot.keys import Keys

    if not Keys.is_encrypted(text):
        session.out.info(
            "Warning: other users of this machine can read a password on a command line; use --password-path"
        )
    return text


def _ask_for(prompt: str, *, again: str | None = None, hint: str | None = None) -> str:
    """What somebody types, unseen.

    Raises:
        UsageFault: nobody is there, or the second time it is something else.
    """
    if not sys.stdin.isatty():
        raise UsageFault("no password is given", hint=hint)
    text = getpass.getpass(prompt)
    if again is not None and getpass.getpass(again) != text:
        raise UsageFault("the second text is not the first", hint="try again")
    return text


def _read_key(path: str) -> str:
    with Path(path).open("rb") as file:
        return _text(file.read(_MOST_BYTES + 1), "key")


def _read_secret(path: str | None, what: str) -> str | None:
    """A file without the line break at its end; '-' is standard input."""
    if path is None:
        return None
    if path == "-":
        data = sys.stdin.buffer.read(_MOST_BYTES + 1)
    else:
        with Path(path).open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    return _text(data, what).removesuffix("\n").removesuffix("\r")


def _text(data: bytes, what: str) -> str:
    if len(data) > _MOST_BYTES:
        raise UsageFault(f"the file of the {what} is larger than {_MOST_BYTES} bytes", hint="is it the right file?")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise UsageFault(f"the file of the {what} is not text", hint="is it the right file?") from None
