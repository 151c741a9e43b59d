"""The key file: what credentials are encrypted with, and how the key is changed.

The file holds Fernet keys (AES-128-CBC with HMAC-SHA-256), one a line, the newest first: it encrypts, all decrypt.
There is more than one only while the key is being changed. The file is read at each use, so that nodes which share it
see a new key at once, and nothing keeps a key in memory for longer than it is needed.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from entrepot.core.errors import InvalidSettings

MARK = "encrypted:"
"""Beginning of every encrypted text, by which it is recognised."""
_MOST_BYTES = 4096
_LEFT_BEHIND = 60.0
"""Seconds after which a file beside the key's is one that a killed process left."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Encrypts and decrypts with the keys in the file `path`, which is made when it is first needed to encrypt.

    Every method raises `InvalidSettings` if the file can't be used.
    """

    path: Path

    @staticmethod
    def is_encrypted(text: str) -> bool:
        return text.strip().startswith(MARK)

    def encrypt(self, text: str) -> str:
        """`text` encrypted, as one line of ASCII."""
        return _encrypted(self._read(makes=True)[0], text)

    def decrypt(self, text: str) -> str:
        """What `encrypt` was given.

        Raises:
            InvalidSettings: no key of the file fits, or the text is not what `encrypt` gave.
        """
        return _decrypted(self._read(makes=False), text, self.path)

    def rotation(self) -> Rotation:
        """Begin to change the key, or go on where that was broken off: a new key is in the file, and the old one too.

        The caller sees to it that no other process does this at the same time.
        """
        known = self._read(makes=True)
        if len(known) == 1:
            known = [Fernet.generate_key(), *known]
            self._replace(known)
        return Rotation(self, tuple(known))

    def _read(self, *, makes: bool) -> list[bytes]:
        """The keys, the newest first; `makes`: a file that isn't there is made."""
        try:
            mode, data = _content(self.path)
        except FileNotFoundError:
            if not makes:
                raise self._unusable("it is not there") from None
            self._make()
            return self._read(makes=False)
        except OSError as error:
            raise self._unusable((error.strerror or "").lower()) from None
        if mode & 0o077:
            raise InvalidSettings(
                f"the key file {self.path} can be read by other users of this machine",
                hint=f"chmod 600 {self.path}; if others may have read it, run 'entrepot rotate-key' afterwards",
            )
        lines = data.split()
        try:
            for line in lines:
                Fernet(line)
        except ValueError:
            lines = []
        if not lines:
            raise InvalidSettings(
                f"the key file {self.path} holds no key",
                hint="put back the one that credentials were encrypted with, or remove it and import them again",
            )
        return lines

    def _make(self) -> None:
        """Make a key; of several processes that do so at once, one succeeds and all use its key."""
        try:
            aside = self._write_aside([Fernet.generate_key()])
            try:
                with suppress(FileExistsError):
                    os.link(aside, self.path)
                _flush(self.path.parent)
            finally:
                aside.unlink(missing_ok=True)
        except OSError as error:
            raise self._unusable((error.strerror or "").lower()) from None

    def _replace(self, known: Sequence[bytes]) -> None:
        """Put these keys in place of those in the file, at once and to stay."""
        try:
            place = self.path.resolve()  # a symbolic link stays one
            aside = self._write_aside(known)
            try:
                aside.replace(place)
                _flush(place.parent)
            except BaseException:
                aside.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise self._unusable((error.strerror or "").lower(), "changed") from None

    def _write_aside(self, known: Sequence[bytes]) -> Path:
        """The keys in a new file beside the key file."""
        place = self.path.resolve()
        for left in place.parent.glob(f".{place.name}.*"):
            with suppress(FileNotFoundError):
                if time.time() - left.stat().st_mtime > _LEFT_BEHIND:
                    left.unlink()
        aside = place.with_name(f".{place.name}.{secrets.token_hex(8)}")
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                if os.geteuid() == 0:
                    # A command that root runs must not take the key away from the server's user.
                    owner = (place if place.exists() else place.parent).stat()
                    os.fchown(descriptor, owner.st_uid, owner.st_gid)
                file.write(b"\n".join(known) + b"\n")
                file.flush()
                os.fsync(descriptor)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
        return aside

    def _unusable(self, why: str, what: str = "used") -> InvalidSettings:
        return InvalidSettings(
            f"the key file {self.path} can't be {what}: {why}",
            hint="it belongs to the server's user, with mode 600; [server] encryption_key says where it is",
        )


@dataclass(frozen=True, slots=True)
class Rotation:
    """A change of the key that has begun: what was encrypted is to be renewed, then comes `finish`.

    Both keys are in the file until then, so that everything stays readable wherever this is broken off.
    """

    keys: Keys
    _known: tuple[bytes, ...] = field(repr=False)

    def renewed(self, text: str) -> str:
        """`text`, as `Keys.encrypt` gave it, encrypted with the new key.

        Raises:
            InvalidSettings: no key of the file fits.
        """
        return _encrypted(self._known[0], _decrypted(self._known, text, self.keys.path))

    def finish(self) -> None:
        """Drop the old key from the file, unless a later change of the key has begun."""
        known = self.keys._read(makes=False)
        if len(known) > 1 and known[0] == self._known[0]:
            self.keys._replace(known[:1])


def _content(path: Path) -> tuple[int, bytes]:
    """Mode and content of a file, of the same one; nothing waits for what is no file. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is not a file")
        return stat.S_IMODE(mode), os.read(descriptor, _MOST_BYTES)
    finally:
        os.close(descriptor)


def _encrypted(key: bytes, text: str) -> str:
    return MARK + Fernet(key).encrypt(text.encode()).decode("ascii")


def _decrypted(known: Sequence[bytes], text: str, path: Path) -> str:
    try:
        token = text.strip().removeprefix(MARK).encode("ascii")
        return MultiFernet([Fernet(key) for key in known]).decrypt(token).decode()
    except (InvalidToken, UnicodeError):
        raise InvalidSettings(
            f"the key in {path} is not the one that this was encrypted with",
            hint="put back the right key file: nodes that share a database need the same one",
        ) from None


def _flush(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
