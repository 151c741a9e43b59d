"""A key for ssh that is in memory alone: in an ssh-agent of its own, which ends with the operation.

It gets the key over its socket (draft-miller-ssh-agent, 3.2), so the key is never in a file or on a command line.
"""

from __future__ import annotations

import base64
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from entrepot.core.errors import EndpointRefused, Unavailable
from entrepot.git.operation import Operation, program, search_path

_ADD_CONSTRAINED: Final = 25
_LIFETIME: Final = 1
_SUCCESS: Final = 6
_MAGIC: Final = b"openssh-key-v1\0"
_FIELDS: Final = {b"ssh-ed25519": 2, b"ssh-rsa": 6}
"""Strings of a private key behind its type; of ECDSA ones there are three."""
_PATIENCE: Final = 10.0


@contextmanager
def agent(operation: Operation, key: str, *, seconds: int) -> Iterator[Path]:
    """The socket of an agent that has `key` for at most so many seconds.

    Raises:
        EndpointRefused: the key can't be read.
        Unavailable: there is no agent.
    """
    message = _message(key, seconds)
    path = operation.folder / "agent"
    command = [program("ssh-agent", "openssh-client"), "-D", "-t", str(seconds), "-a", str(path)]
    process = operation.start(command, {"PATH": search_path(), "HOME": str(operation.folder)})
    try:
        with _connected(operation, process, path) as connection:
            connection.sendall(message)
            answer = connection.recv(64)
        if len(answer) < 5 or answer[4] != _SUCCESS:
            raise EndpointRefused("ssh-agent does not take the key", hint="import a key of another type")
        yield path
    except OSError as error:
        raise Unavailable(f"ssh-agent does not answer: {error.strerror or error}") from error
    finally:
        process.kill()
        process.wait()
        path.unlink(missing_ok=True)


def _connected(operation: Operation, process: subprocess.Popen[bytes], path: Path) -> socket.socket:
    until = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < until:
        operation.look()
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(_PATIENCE)
        try:
            connection.connect(str(path))
            return connection
        except OSError:
            connection.close()
        time.sleep(0.005)
    raise Unavailable("ssh-agent does not start")


def _message(key: str, seconds: int) -> bytes:
    body = bytes([_ADD_CONSTRAINED]) + identity(key) + bytes([_LIFETIME]) + struct.pack(">I", seconds)
    return struct.pack(">I", len(body)) + body


def identity(key: str) -> bytes:
    """A private key as agents take it: type, fields, comment. It is how OpenSSH's own form has it (PROTOCOL.key).

    Raises:
        EndpointRefused: it isn't a key of a known type, without passphrase.
    """
    try:
        is_openssh = "BEGIN OPENSSH PRIVATE KEY" in key
        load = serialization.load_ssh_private_key if is_openssh else serialization.load_pem_private_key
        plain = load(key.encode(), None).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        return _private_part(base64.b64decode(b"".join(plain.splitlines()[1:-1])))
    except (ValueError, TypeError, UnsupportedAlgorithm, struct.error):
        # Without the cause: what it says may be a part of the key.
        raise EndpointRefused(
            "the ssh key can't be read, or is of a type that isn't taken", hint="import it again"
        ) from None


def _private_part(data: bytes) -> bytes:
    if not data.startswith(_MAGIC):
        raise ValueError
    at = len(_MAGIC)
    for _ in range(3):  # cipher, way to its key, options of that
        _, at = _string(data, at)
    _, at = _string(data, at + 4)  # behind the number of keys: the public one
    private, _ = _string(data, at)
    kind, end = _string(private, 8)  # behind two numbers, by which a passphrase is checked
    for _ in range(_FIELDS.get(kind, 3) + 1):  # and a comment
        _, end = _string(private, end)
    return private[8:end]


def _string(data: bytes, at: int) -> tuple[bytes, int]:
    (length,) = struct.unpack_from(">I", data, at)
    end = at + 4 + length
    if end > len(data):
        raise ValueError
    return data[at + 4 : end], end
