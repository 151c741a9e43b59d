"""Private keys as people have them: what is kept of them, and what is said of those that ssh can't use."""

from __future__ import annotations

import base64
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa, x25519

from entrepot.core.errors import Invalid, TooLarge
from entrepot.operations.sshkeys import LARGEST_KEY, read

PLAIN = form.NoEncryption()
MAKE: dict[str, Any] = {
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}
SSH, PEM, PKCS8 = form.PrivateFormat.OpenSSH, form.PrivateFormat.TraditionalOpenSSL, form.PrivateFormat.PKCS8


def written(key: Any, shape: form.PrivateFormat = SSH, passphrase: str | None = None) -> str:
    protection = form.BestAvailableEncryption(passphrase.encode()) if passphrase else PLAIN
    return str(key.private_bytes(form.Encoding.PEM, shape, protection).decode())


def public(key: Any) -> bytes:
    return bytes(key.public_key().public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH))


def armoured(kind: str, options: bytes = b"") -> str:
    """The beginning of a key in OpenSSH's form."""

    def string(data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + data

    parts = string(b"aes256-ctr") + string(b"bcrypt") + string(options) + struct.pack(">I", 1)
    data = b"openssh-key-v1\0" + parts + string(string(kind.encode()) + b"rest") + string(b"secret part")
    return (
        f"-----BEGIN OPENSSH PRIVATE KEY-----\n{base64.b64encode(data).decode()}\n-----END OPENSSH PRIVATE KEY-----\n"
    )


@pytest.mark.parametrize("kind", MAKE)
def test_keys_in_every_form(kind: str) -> None:
    """Whatever the form of the file, the same key is kept in OpenSSH's form without a passphrase."""
    key = MAKE[kind]()
    shapes = [SSH, PKCS8] if kind == "ed25519" else [SSH, PEM, PKCS8]
    texts = [written(key, shape) for shape in shapes]
    texts += [written(key, shape, "a passphrase") for shape in shapes[1:]]
    texts += [texts[0].replace("\n", "\r\n"), f"a comment\n{texts[0]}\n\n"]
    kept = [read(text, "a passphrase" if "ENCRYPTED" in text else None) for text in texts]
    assert len({found.fingerprint for found in kept}) == 1
    for found in kept:
        assert found.text.startswith("-----BEGIN OPENSSH PRIVATE KEY-----\n")
        assert public(form.load_ssh_private_key(found.text.encode(), None)) == public(key)
        assert "PRIVATE" not in repr(found)


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen on PATH")
@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
def test_keys_of_ssh_keygen(kind: str, tmp_path: Path) -> None:
    """A key with a passphrase as people make it: opened, and its fingerprint is told as ssh-keygen tells it."""
    pytest.importorskip("bcrypt", reason="OpenSSH's passphrases need bcrypt")
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "open sesame", "-f", path], check=True)
    found = read(path.read_text(), "open sesame")
    said = subprocess.run(["ssh-keygen", "-l", "-f", path], check=True, capture_output=True, text=True).stdout
    assert said.split()[1] == found.fingerprint
    with pytest.raises(Invalid, match="the passphrase does not open the key"):
        read(path.read_text(), "open")
    with pytest.raises(Invalid, match="the key has a passphrase"):
        read(path.read_text(), None)
    with pytest.raises(Invalid, match="this is a public key"):
        read(path.with_suffix(".pub").read_text(), None)


@pytest.mark.parametrize("shape", [PEM, PKCS8])
def test_wrong_missing_and_needless_passphrases(shape: form.PrivateFormat) -> None:
    """Each is told in its own words, and none of them tells the passphrase."""
    key = MAKE["p256"]()
    closed = written(key, shape, "open sesame")
    for passphrase, said in (("close-sesame", "does not open"), (None, "has a passphrase"), ("", "has a passphrase")):
        with pytest.raises(Invalid, match=said) as met:
            read(closed, passphrase)
        assert "sesame" not in f"{met.value} {met.value.hint} {met.value.payload}"
    with pytest.raises(Invalid, match="the key has no passphrase, but one was given"):
        read(written(key, shape), "open sesame")


def short_rsa() -> Any:
    """An RSA key of 648 bits, over two Mersenne primes."""
    p, q, e = 2**521 - 1, 2**127 - 1, 65537
    d = pow(e, -1, (p - 1) * (q - 1))
    public_part = rsa.RSAPublicNumbers(e, p * q)
    return rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public_part).private_key()


def others() -> dict[str, tuple[str, str]]:
    key = MAKE["p256"]()
    pem = key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo).decode()
    weak = dsa.generate_private_key(1024)
    return {
        "public": (public(key).decode(), "public key"),
        "public pem": (pem, "public key"),
        "public ssh2": ("---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----\n", "public key"),
        "putty": ("PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n", "PuTTY"),
        "empty": ("", "not a private key"),
        "text": ("hello\n", "not a private key"),
        "certificate": ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "not a private key"),
        "cut": (written(key)[:150], "not a private key"),
        "cut pem": (written(key, PEM)[:80], "can't be read"),
        "damaged": (armoured("ssh-ed25519").replace("b3Bl", "!!!!"), "can't be read"),
        "header alone": (
            "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaA==\n-----END OPENSSH PRIVATE KEY-----",
            "can't be read",
        ),
        "dsa": (armoured("ssh-dss"), "DSA keys are not safe"),
        "dsa pem": (written(weak, PEM), "DSA keys are not safe"),
        "dsa pkcs8": (written(weak, PKCS8), "can't use this kind of key"),
        "at hand": (armoured("sk-ssh-ed25519@openssh.com"), "security key"),
        "rounds": (armoured("ssh-rsa", b"\0\0\0\4salt" + struct.pack(">I", 2**31)), "2147483648 rounds"),
        "short": (written(short_rsa(), PEM), "only 648 bits"),
        "curve": (written(ec.generate_private_key(ec.SECP256K1()), PKCS8), "curve"),
        "x25519": (written(x25519.X25519PrivateKey.generate(), PKCS8), "can't use this kind of key"),
    }


OTHERS = others()


@pytest.mark.parametrize("which", OTHERS)
def test_what_is_no_private_key_for_ssh(which: str) -> None:
    """What it is instead is said in a line, with what to do about it, and without the file's content."""
    text, said = OTHERS[which]
    with pytest.raises(Invalid, match=said) as met:
        read(text, None)
    told = f"{met.value} {met.value.hint} {met.value.payload}"
    assert met.value.hint
    assert not any(line in told for line in text.splitlines() if len(line) > 20 and "BEGIN" not in line)


def test_a_file_that_is_too_large() -> None:
    """It is not even looked at."""
    with pytest.raises(TooLarge):
        read("-" * (LARGEST_KEY + 1), None)
