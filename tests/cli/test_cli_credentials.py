"""Credentials of Git endpoints, as the administrator types them."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ed25519

from tests.cli.conftest import Entrepot
from tests.support.server import Live

SECRET = "hunter2-is-not-a-good-one"
WARNING = "Warning: other users of this machine can read a password on a command line; use --password-path"


@pytest.fixture
def entrepot(live: Live) -> Entrepot:
    """The command line for a real server."""
    return Entrepot(live.address, live.token)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """The file of a private key whose passphrase is `SECRET`."""
    path = tmp_path / "id"
    path.write_bytes(
        ed25519.Ed25519PrivateKey.generate().private_bytes(
            form.Encoding.PEM, form.PrivateFormat.PKCS8, form.BestAvailableEncryption(SECRET.encode())
        )
    )
    return path


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file with `SECRET`, as an editor leaves it."""
    path = tmp_path / "secret"
    path.write_text(f"{SECRET}\r\n")
    return path


def test_an_ssh_key(entrepot: Entrepot, key: Path, secret: Path) -> None:
    """Imported with its passphrase, listed in the product's form, renamed, deleted."""
    imported = ("import", "ssh-key", "--name=mykey", f"--path={key}", f"--passphrase-path={secret}")
    assert entrepot.said(*imported) == ["Imported SSH key 'mykey'"]
    assert entrepot.failed(*imported)[0] == 5
    (row,) = entrepot.json("list", "git-credentials")
    assert (row["name"], row["kind"], row["builders"]) == ("mykey", "ssh", [])
    listed = ["- mykey", "    Type: SSH", f"    Fingerprint: {row['fingerprint']}"]
    assert entrepot.json(*imported, "--succeed-on-existing") == row
    assert entrepot.said("list", "git-credentials") == ["Git Credentials:", *listed]
    assert entrepot.said("list", "ssh-keys") == ["SSH Keys:", *listed]
    assert entrepot.said("edit", "ssh-key", "--name=mykey", "--new-name=new") == ["Changed SSH key 'new'"]
    changed = entrepot.json("edit", "ssh-key", "--name=new", f"--path={key}", f"--passphrase-path={secret}")
    assert changed["fingerprint"] == row["fingerprint"]
    assert entrepot.said("delete", "ssh-key", "--name=new") == ["Deleted SSH key 'new'"]
    none = entrepot("list", "git-credentials")
    assert (none.exit_code, none.stdout) == (0, "")
    assert none.stderr == "There are none; 'entrepot import' takes an ssh-key or an https-credential\n"
    assert entrepot.json("list", "git-credentials") == []


def test_an_https_credential(entrepot: Entrepot, secret: Path) -> None:
    """Its password comes from a file or standard input; the list has its user name."""
    words = ("import", "https-credential", "--username=git")
    assert entrepot.said(*words, "--name=a", f"--password-path={secret}") == ["Imported HTTPS credential 'a'"]
    assert entrepot(*words, "--name=b", "--password-path=-", stdin=f"{SECRET}\n").exit_code == 0
    assert entrepot.said("list", "git-credentials") == [
        "Git Credentials:",
        *("- a", "    Type: HTTPS", "    Username: git"),
        *("- b", "    Type: HTTPS", "    Username: git"),
    ]
    assert entrepot("list", "ssh-keys").stdout == ""
    assert entrepot.said("edit", "git-credential", "--name=a", "--username=other") == ["Changed HTTPS credential 'a'"]
    edited = ("edit", "https-credential", "--name=a", "--username=robot", f"--password-path={secret}")
    assert entrepot.json(*edited)["username"] == "robot"
    assert entrepot.said("delete", "git-credentials", "--name=b") == ["Deleted HTTPS credential 'b'"]


def test_a_password_on_the_command_line(entrepot: Entrepot) -> None:
    """It is taken with a warning; encrypted text needs none."""
    words = ("import", "https-credential", "--username=git")
    told = entrepot(*words, "--name=a", f"--password={SECRET}")
    assert (told.exit_code, told.stderr, SECRET in told.output) == (0, f"{WARNING}\n", False)
    encrypted = entrepot("encrypt", stdin=SECRET).stdout.strip()
    assert entrepot.said(*words, "--name=b", f"--password={encrypted}") == ["Imported HTTPS credential 'b'"]
    assert entrepot("edit", "https-credential", "--name=b", f"--password={SECRET}").stderr == f"{WARNING}\n"


def test_encrypt(entrepot: Entrepot, key: Path, tmp_path: Path) -> None:
    """Standard input becomes one line, which the imports take; never an argument."""
    made = entrepot("encrypt", stdin=f"{SECRET}\n")
    assert (made.exit_code, made.stderr, SECRET in made.stdout) == (0, "", False)
    (tmp_path / "encrypted").write_text(made.stdout)
    entrepot.said("import", "ssh-key", "--name=k", f"--path={key}", f"--passphrase-path={tmp_path / 'encrypted'}")
    as_json = entrepot("encrypt", "--output-format=json", stdin=SECRET)
    assert json.loads(as_json.stdout)["encrypted"].startswith("encrypted:")
    assert entrepot("encrypt", stdin="").exit_code == 2
    assert entrepot.failed("encrypt", SECRET)[0] == 2


def test_a_person_is_asked(live: Live) -> None:
    """At a terminal the text is asked for twice and not shown."""
    terminal, stdin = pty.openpty()
    command = [sys.executable, "-m", "entrepot.cli.main", "encrypt", f"--address={live.address}"]
    env = {**os.environ, "ENTREPOT_TOKEN": live.token}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=stdin, stdout=pipe, stderr=pipe, env=env, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            for prompt in (b"Text to encrypt: ", b"\nOnce more: "):
                assert process.stderr.read(len(prompt)) == prompt
                os.write(terminal, f"{SECRET}\n".encode())
            said, errors = process.communicate(timeout=30)
        finally:
            process.kill()
            os.set_blocking(terminal, False)
            with pytest.raises(BlockingIOError):  # the terminal was told to show nothing
                os.read(terminal, 1)
            os.close(stdin)
            os.close(terminal)
    assert (process.returncode, said[:10], errors) == (0, b"encrypted:", b"\n")
    assert SECRET.encode() not in said


def test_a_change_of_the_key(entrepot: Entrepot, secret: Path) -> None:
    """It tells how many credentials were encrypted anew."""
    entrepot.said("import", "https-credential", "--name=a", "--username=git", f"--password-path={secret}")
    assert entrepot.said("rotate-key") == ["Changed the key; 1 credential encrypted with the new one"]
    assert entrepot.json("rotate-key") == {"credentials": 1}


def test_one_name_for_two(entrepot: Entrepot, key: Path, secret: Path) -> None:
    """The type is needed only then."""
    entrepot.said("import", "https-credential", "--name=both", "--username=git", f"--password-path={secret}")
    entrepot.said("import", "ssh-key", "--name=both", f"--path={key}", f"--passphrase-path={secret}")
    assert entrepot.failed("delete", "git-credential", "--name=both") == (
        5,
        [
            "Error: there is an SSH key and an HTTPS credential named 'both'",
            "Hint: say which one: --type=ssh or --type=https",
        ],
    )
    deleted = entrepot.json("delete", "git-credential", "--name=both", "--type=SSH")
    assert deleted == {"name": "both", "kind": "ssh", "deleted": True}
    assert entrepot.said("delete", "git-credential", "--name=both") == ["Deleted HTTPS credential 'both'"]
    assert entrepot.failed("delete", "git-credential", "--name=both")[0] == 4
    assert entrepot.failed("delete", "git-credential", "--name=both", "--type=ssh")[0] == 4


REFUSED = [
    ("import ssh-key --name=k --path={key}", 2, "the key has a passphrase"),
    ("import ssh-key --name=k --path={key} --passphrase-path={key}", 2, "the passphrase does not open the key"),
    ("import ssh-key --name=k --path={folder}/none", 2, "no such file or directory"),
    ("import ssh-key --name=k --path={folder}/binary", 2, "the file of the key is not text"),
    ("import ssh-key --name=k --path=/dev/zero", 2, "the file of the key is larger than 65536 bytes"),
    ("import ssh-key --name=k/../x --path={key} --passphrase-path={secret}", 2, "can't name a credential"),
    ("import ssh-key --path={key}", 2, "Missing option '--name'"),
    ("import https-credential --name=k --username=git", 2, "no password is given"),
    ("import https-credential --name=k --username=g --password=x --password-path={secret}", 2, "given twice"),
    ("edit ssh-key --name=k", 2, "nothing to change"),
    ("edit https-credential --name=k/x --new-name=y", 2, "can't name a credential"),
    ("edit https-credential --name=k --new-name=y", 4, "there is no HTTPS credential named 'k'"),
    ("delete git-credential --name=k --type=ftp", 2, "'--type' is either ssh or https, not 'ftp'"),
]


def test_what_is_refused(entrepot: Entrepot, key: Path, secret: Path, tmp_path: Path) -> None:
    """One line with the reason, and an exit code."""
    (tmp_path / "binary").write_bytes(b"\xff\x00")
    for words, code, said in REFUSED:
        given = [word.format(key=key, secret=secret, folder=tmp_path) for word in words.split()]
        status, lines = entrepot.failed(*given)
        assert (status, said in lines[0]) == (code, True), lines
        assert SECRET not in "\n".join(lines)


def test_without_a_server(bare: Entrepot, tmp_path: Path, database_url: str, storage_url: str, secret: Path) -> None:
    """The commands do the work themselves, and another one reads what the first has encrypted."""
    data = tmp_path / "data"
    bare.env = {
        "ENTREPOT_SERVER__DATA_DIR": str(data),
        "ENTREPOT_DATABASE__URL": database_url,
        "ENTREPOT_STORAGE__URL": storage_url,
    }
    bare.said("import", "https-credential", "--name=a", "--username=git", f"--password-path={secret}")
    assert (data / "encryption.key").stat().st_mode & 0o777 == 0o600
    assert bare.said("rotate-key") == ["Changed the key; 1 credential encrypted with the new one"]
    assert [row["name"] for row in bare.json("list", "git-credentials")] == ["a"]
    (data / "encryption.key").chmod(0o644)
    code, lines = bare.failed("rotate-key")
    assert (code, "can be read by other users of this machine" in lines[0]) == (2, True)
