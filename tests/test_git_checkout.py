"""`git.checkout`: what a tree holds, and that no link in it leads out of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from entrepot.core.errors import BuildFailed
from entrepot.git.checkout import Checkout


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A tree with a package in a folder, and links and things of all kinds."""
    root, outside = tmp_path / "tree", tmp_path / "outside"
    (root / "packages/one").mkdir(parents=True)
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (root / "packages/one/DESCRIPTION").write_bytes(b"Package: one\r\n")
    (root / "packages/one/DESCRIPTION").chmod(0o600)
    (root / "out").symlink_to(outside)
    (root / "in").symlink_to("packages")
    (root / "secret").symlink_to(outside / "secret")
    (root / "nowhere").symlink_to("nowhere")
    os.mkfifo(root / "pipe")
    return Checkout(root, "0" * 40, 1, 1)


def test_folders(checkout: Checkout) -> None:
    """The root and what is below it."""
    assert checkout.folder("") == checkout.root
    assert checkout.folder("packages//one/") == checkout.root / "packages/one"


@pytest.mark.parametrize(
    "sub_dir",
    ["missing", "packages/missing", "packages/one/DESCRIPTION", "out", "in", "in/one", "..", "/", ".git", "pipe"],
)
def test_bad_folders(checkout: Checkout, sub_dir: str) -> None:
    """What isn't there, isn't a folder, or is a link or below one."""
    with pytest.raises(BuildFailed):
        checkout.folder(sub_dir)


def test_files(checkout: Checkout) -> None:
    """As they are; None for what isn't there."""
    assert checkout.read("packages/one/DESCRIPTION") == b"Package: one\r\n"
    assert checkout.read("packages/one/NAMESPACE") is None
    assert checkout.read("packages/two/NAMESPACE") is None


BAD_FILES = ["secret", "out/secret", "in/one/DESCRIPTION", "nowhere", "pipe", "packages", "", "../outside/secret"]


@pytest.mark.parametrize("path", BAD_FILES)
def test_bad_files(checkout: Checkout, path: str) -> None:
    """Nothing outside is read or written, and nothing that isn't a regular file."""
    with pytest.raises(BuildFailed):
        checkout.read(path)
    with pytest.raises(BuildFailed):
        checkout.replace(path, b"changed")
    assert (checkout.root.parent / "outside/secret").read_text() == "secret"


def test_a_file_that_is_too_large(checkout: Checkout) -> None:
    """It is refused, not cut."""
    assert checkout.read("packages/one/DESCRIPTION", limit=14) == b"Package: one\r\n"
    with pytest.raises(BuildFailed, match="more than 13 bytes"):
        checkout.read("packages/one/DESCRIPTION", limit=13)


def test_replace(checkout: Checkout) -> None:
    """A file is replaced and keeps its mode; a new one can be read by everybody; nothing else is left."""
    folder = checkout.root / "packages/one"
    checkout.replace("packages/one/DESCRIPTION", b"new")
    checkout.replace("packages/one/setup.cfg", b"[x]")
    assert {p.name: (p.read_bytes(), p.stat().st_mode & 0o777) for p in folder.iterdir()} == {
        "DESCRIPTION": (b"new", 0o600),
        "setup.cfg": (b"[x]", 0o644),
    }
    with pytest.raises(BuildFailed, match="no folder packages/two"):
        checkout.replace("packages/two/x", b"")
