"""The key file: made once, kept to its owner, changed without a moment in which something can't be read."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest

from entrepot.core.errors import InvalidSettings
from entrepot.keys import Keys

TEXT = "correct horse battery staple"
MAKE = """
import sys, time
from pathlib import Path
from entrepot.keys import Keys
print("ready", flush=True)
sys.stdin.readline()
print(Keys(Path(sys.argv[1])).encrypt("text"))
"""


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path / "encryption.key")


def lines(keys: Keys) -> list[str]:
    return keys.path.read_text().split()


def test_what_is_encrypted_comes_back(keys: Keys) -> None:
    """Encrypted text is one line that is recognised, never twice the same, and decrypts to what it was."""
    one, two = keys.encrypt(TEXT), keys.encrypt(TEXT)
    assert one != two
    assert TEXT not in one
    assert one.isascii()
    assert one.isprintable()
    assert [keys.decrypt(text) for text in (one, two, f" {one}\n")] == [TEXT] * 3
    assert [keys.is_encrypted(text) for text in (one, f"\n{one}", TEXT, "")] == [True, True, False, False]
    assert keys.decrypt(keys.encrypt("grüße\n")) == "grüße\n"


def test_the_file_is_made_when_it_is_needed(keys: Keys) -> None:
    """One key that its owner alone can read, whatever the umask, and nothing beside it; decrypting makes none."""
    with pytest.raises(InvalidSettings, match="it is not there"):
        keys.decrypt("encrypted:x")
    assert list(keys.path.parent.iterdir()) == []
    before = os.umask(0)
    try:
        keys.encrypt(TEXT)
    finally:
        os.umask(before)
    assert list(keys.path.parent.iterdir()) == [keys.path]
    assert keys.path.stat().st_mode & 0o777 == 0o600
    assert len(lines(keys)) == 1


def test_processes_that_make_it_at_once_have_one_key(keys: Keys) -> None:
    """What each of them encrypted is readable with the one key that is left."""
    command = [sys.executable, "-c", MAKE, str(keys.path)]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) for _ in range(5)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
    made = [process.communicate(timeout=30)[0] for process in started]
    assert [keys.decrypt(text) for text in made] == ["text"] * 5
    assert list(keys.path.parent.iterdir()) == [keys.path]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_file_open_to_others_is_refused(keys: Keys, mode: int) -> None:
    """The error says what to do about it."""
    text = keys.encrypt(TEXT)
    keys.path.chmod(mode)
    for use in (lambda: keys.encrypt(TEXT), lambda: keys.decrypt(text), keys.rotation):
        with pytest.raises(InvalidSettings, match="can be read by other users") as met:
            use()
        assert met.value.hint
        assert "chmod 600" in met.value.hint
    keys.path.chmod(0o400)
    assert keys.decrypt(text) == TEXT


KEY = base64.urlsafe_b64encode(bytes(range(32)))


@pytest.mark.parametrize("content", [b"", b"\n", b"secret", b"\xff" * 44, KEY + b"\nrest"])
def test_a_file_without_keys_is_refused(keys: Keys, content: bytes) -> None:
    """Nothing is encrypted with half a key, and the content is not told."""
    keys.path.write_bytes(content)
    keys.path.chmod(0o600)
    with pytest.raises(InvalidSettings, match=r"encryption\.key holds no key$"):
        keys.encrypt(TEXT)


def test_a_place_that_can_not_be_used(tmp_path: Path) -> None:
    """A folder that isn't there, or a folder in place of the file, is one line."""
    with pytest.raises(InvalidSettings, match="can't be used: no such file or directory"):
        Keys(tmp_path / "none" / "key").encrypt(TEXT)
    (tmp_path / "folder").mkdir(0o700)
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name in ("folder", "pipe"):
        with pytest.raises(InvalidSettings, match="can't be used: it is not a file"):
            Keys(tmp_path / name).encrypt(TEXT)


@pytest.mark.parametrize("text", ["encrypted:", "encrypted:gAAAAA", "encrypted:ü", "plain", KEY.decode()])
def test_what_was_not_encrypted_with_it(keys: Keys, text: str) -> None:
    """Another node's text, or none at all: an error that tells neither the text nor the key."""
    keys.encrypt(TEXT)
    with pytest.raises(InvalidSettings, match="is not the one that this was encrypted with") as met:
        keys.decrypt(text)
    told = f"{met.value.message} {met.value.hint} {met.value.payload}"
    assert text not in told.replace("encrypted with", "")
    assert lines(keys)[0] not in told


def test_another_file_is_seen_at_once(keys: Keys, tmp_path: Path) -> None:
    """A node whose file was put right, or changed by another node, needs no restart."""
    other = Keys(tmp_path / "other.key")
    text = other.encrypt(TEXT)
    keys.encrypt("x")
    other.path.replace(keys.path)
    assert keys.decrypt(text) == TEXT


def test_a_change_of_the_key(keys: Keys) -> None:
    """Everything is readable until the end; after it, what was renewed alone."""
    old = keys.encrypt(TEXT)
    first = lines(keys)
    rotation = keys.rotation()
    assert lines(keys)[1:] == first
    assert keys.path.stat().st_mode & 0o777 == 0o600
    renewed, meanwhile = rotation.renewed(old), keys.encrypt("new")
    assert [keys.decrypt(text) for text in (old, renewed, meanwhile)] == [TEXT, TEXT, "new"]
    rotation.finish()
    assert len(lines(keys)) == 1
    assert lines(keys) != first
    assert [keys.decrypt(text) for text in (renewed, meanwhile)] == [TEXT, "new"]
    with pytest.raises(InvalidSettings):
        keys.decrypt(old)
    assert list(keys.path.parent.iterdir()) == [keys.path]


def test_a_change_that_was_broken_off_goes_on(keys: Keys) -> None:
    """The next call takes the new key that is there, and its end is the end."""
    keys.encrypt(TEXT)
    broken_off = keys.rotation()
    both = lines(keys)
    again = keys.rotation()
    assert lines(keys) == both
    again.finish()
    assert lines(keys) == both[:1]
    broken_off.finish()
    assert lines(keys) == both[:1]


def test_a_late_end_leaves_the_next_change_alone(keys: Keys) -> None:
    """Whoever comes late to drop an old key drops none that the next change still needs."""
    keys.encrypt(TEXT)
    late, first = keys.rotation(), keys.rotation()
    first.finish()
    needed = keys.encrypt(TEXT)
    keys.rotation()
    late.finish()
    assert len(lines(keys)) == 2
    assert keys.decrypt(needed) == TEXT


def test_a_linked_file_stays_linked(keys: Keys, tmp_path: Path) -> None:
    """The file that a symbolic link names is changed; what a killed process left beside it goes."""
    real = tmp_path / "elsewhere" / "key"
    real.parent.mkdir()
    keys.path.symlink_to(real)
    left, fresh = real.parent / ".key.00", real.parent / ".key.11"
    Keys(real).encrypt(TEXT)
    left.write_text("left")
    os.utime(left, (1, 1))
    fresh.write_text("of a process that is at it")
    keys.rotation().finish()
    assert keys.path.is_symlink()
    assert sorted(real.parent.iterdir()) == [fresh, real]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_root_leaves_the_file_to_its_owner(keys: Keys) -> None:
    """A command that root runs makes and changes a file of the server's user."""
    os.chown(keys.path.parent, 4711, 4712)
    keys.encrypt(TEXT)
    owners = [(keys.path.stat().st_uid, keys.path.stat().st_gid)]
    os.chown(keys.path, 4713, 4714)
    keys.rotation().finish()
    owners.append((keys.path.stat().st_uid, keys.path.stat().st_gid))
    assert owners == [(4711, 4712), (4713, 4714)]


def test_nothing_shows_a_key(keys: Keys) -> None:
    """Neither the object nor a change that is under way has a key in its repr."""
    keys.encrypt(TEXT)
    rotation = keys.rotation()
    assert not any(line in f"{keys!r} {rotation!r} {rotation}" for line in lines(keys))
