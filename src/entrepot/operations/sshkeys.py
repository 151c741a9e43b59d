"""Private keys for ssh as people have them in files, made into the one form that is kept."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import struct
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from entrepot.core.errors import Invalid, TooLarge

LARGEST_KEY = 32 * 1024
"""Characters of a key file; an RSA key of 16384 bits has 13,000."""
_LEAST_RSA_BITS = 1024
"""OpenSSH takes none with fewer."""
_MOST_ROUNDS = 2000
"""Rounds of the passphrase's derivation; ssh-keygen makes 16 to 24, and each takes some milliseconds."""
_MAGIC = b"openssh-key-v1\0"
_OPENSSH = re.compile(r"-----BEGIN OPENSSH PRIVATE KEY-----(.*?)-----END OPENSSH PRIVATE KEY-----", re.DOTALL)
_PEM = re.compile(r"-----BEGIN ((?:RSA |EC |ENCRYPTED |DSA )?PRIVATE KEY)-----")
_PUBLIC = re.compile(r"(ssh|ecdsa|sk)-[a-z0-9@.-]+ [A-Za-z0-9+/]|-{4,5} ?BEGIN [A-Z0-9 ]*PUBLIC KEY")
_KINDS = "RSA, ECDSA and Ed25519 keys can be used"


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A key without a passphrase in OpenSSH's form, and its public key's fingerprint as `ssh-keygen -l` tells it."""

    text: str = field(repr=False)
    fingerprint: str


def read(text: str, passphrase: str | None) -> PrivateKey:
    """The private key of a file (OpenSSH's form, PKCS #1, PKCS #8 or SEC 1 as PEM) that may have a passphrase.

    Raises:
        Invalid: it is not a private key that ssh can use, or the passphrase is wrong, missing or of no use.
        TooLarge
    """
    if len(text) > LARGEST_KEY:
        raise TooLarge(f"the key is larger than {LARGEST_KEY} characters", hint="is it the right file?")
    text = text.replace("\r\n", "\n")
    _refuse_others(text)
    key = _opened(text, passphrase)
    if not isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey):
        raise Invalid("ssh can't use this kind of key", hint=_KINDS)
    if isinstance(key, RSAPrivateKey) and key.key_size < _LEAST_RSA_BITS:
        raise Invalid(f"the RSA key has only {key.key_size} bits", hint="ssh takes none with less than 1024")
    try:
        kept = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    except (ValueError, UnsupportedAlgorithm):
        raise Invalid("ssh can't use a key over this curve", hint="it knows nistp256, nistp384, nistp521") from None
    digest = hashlib.sha256(base64.b64decode(public.split()[1])).digest()
    return PrivateKey(kept.decode("ascii"), "SHA256:" + base64.b64encode(digest).decode("ascii").rstrip("="))


def _refuse_others(text: str) -> None:
    """Say what a file is that is taken for a private key now and then."""
    if _PUBLIC.match(text.lstrip()):
        raise Invalid(
            "this is a public key, not the private one",
            hint="give the file without .pub; the public key belongs to the Git server",
        )
    if text.lstrip().startswith("PuTTY-User-Key-File"):
        raise Invalid("this is a key of PuTTY's own form", hint="export it with puttygen -O private-openssh-new")
    if not _OPENSSH.search(text) and not _PEM.search(text):
        raise Invalid(
            "this is not a private key", hint="give a file that begins with '-----BEGIN ... PRIVATE KEY-----'"
        )
    kind, rounds = _header(text)
    if kind == "ssh-dss" or "BEGIN DSA PRIVATE KEY" in text:
        raise Invalid("DSA keys are not safe, and ssh takes them no more", hint=_KINDS)
    if kind.startswith("sk-"):
        raise Invalid("this key needs the security key that it was made with, at hand", hint=_KINDS)
    if rounds > _MOST_ROUNDS:
        raise Invalid(
            f"the key's passphrase takes {rounds} rounds, more than {_MOST_ROUNDS}",
            hint="give it a passphrase with fewer: ssh-keygen -p -a 100",
        )


def _opened(text: str, passphrase: str | None) -> Any:
    """The key that `cryptography` reads."""
    try:
        key = _loaded(text, None)
    except TypeError:  # it has a passphrase
        if not passphrase:
            raise Invalid("the key has a passphrase", hint="give a file with it: --passphrase-path") from None
    else:
        if passphrase:
            raise Invalid("the key has no passphrase, but one was given", hint="leave out --passphrase-path")
        return key
    try:
        return _loaded(text, passphrase.encode())
    except Invalid:
        raise Invalid("the passphrase does not open the key", hint="try it with 'ssh-keygen -y -f'") from None


def _loaded(text: str, passphrase: bytes | None) -> Any:
    """Raises TypeError if a passphrase is needed and there is none, Invalid for all else."""
    found = _OPENSSH.search(text)
    try:
        if found:
            return serialization.load_ssh_private_key(found[0].encode() + b"\n", passphrase)
        return serialization.load_pem_private_key(text.encode(), passphrase)
    except ValueError:
        raise Invalid("the private key can't be read", hint="is the file damaged? 'ssh-keygen -y -f' tells") from None
    except UnsupportedAlgorithm:
        raise Invalid("the key is of a kind or encrypted in a way that can't be read", hint=_KINDS) from None


def _header(text: str) -> tuple[str, int]:
    """Of a key in OpenSSH's form (PROTOCOL.key): its kind and the rounds of its passphrase, 0 without one; else ""."""
    found = _OPENSSH.search(text)
    if found is None:
        return "", 0
    try:
        data = base64.b64decode("".join(found[1].split()), validate=True)
        rest = data.removeprefix(_MAGIC)
        _, rest = _string(rest)
        _, rest = _string(rest)
        options, rest = _string(rest)
        public, _ = _string(rest[4:])
        kind, _ = _string(public)
        rounds = int.from_bytes(_string(options)[1][:4], "big") if options else 0
        return kind.decode("ascii"), rounds
    except (binascii.Error, struct.error, UnicodeDecodeError):
        raise Invalid("the private key can't be read", hint="is the file damaged? 'ssh-keygen -y -f' tells") from None


def _string(data: bytes) -> tuple[bytes, bytes]:
    """The string at the beginning (RFC 4251, 5), and what comes after it."""
    (length,) = struct.unpack_from(">I", data)
    return data[4 : 4 + length], data[4 + length :]
