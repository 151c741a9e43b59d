"""The tree of one commit of one repository: exactly that commit, and nothing in it is run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from entrepot.core.errors import BuildFailed
from entrepot.core.giturls import GitUrl
from entrepot.core.urls import shown
from entrepot.git.checkout import Checkout
from entrepot.git.faults import Gone, Unadvertised, too_large
from entrepot.git.session import Session

MOST_FILES: Final = 1_000_000
_MODULE: Final = b"160000"


@dataclass(frozen=True, slots=True)
class Fetch:
    """Which commit, how it is named, and how much of its history; see `GitClient.checkout`."""

    commit: str
    branch: str | None = None
    tag: str | None = None
    depth: int = 1
    is_named: bool = True
    """False: by its id alone, whatever branch it is of."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A checkout and the submodules in it: path -> commit."""

    checkout: Checkout
    modules: dict[str, str] = field(default_factory=dict)


def fetch_tree(session: Session, url: GitUrl, wanted: Fetch, root: Path) -> Tree:
    """Fetch a commit into `root`, which is empty or isn't there, and write its tree.

    Raises:
        EntrepotError: see `GitClient.checkout`.
    """
    root.mkdir(parents=True, exist_ok=True)
    root.chmod(0o755)
    form = "sha256" if len(wanted.commit) == 64 else "sha1"
    session.local(root, "init", "--quiet", "--template=", f"--object-format={form}")
    if wanted.is_named:
        _fetch_named(session, url, wanted, root)
    else:
        _fetch_commit(session, url, wanted, root)
    listed = _list(session, url, wanted.commit, root)
    session.check_size(listed.size)
    session.local(root, "checkout", "--quiet", "--force", "--detach", wanted.commit)
    time = _time(session, wanted.commit, root)
    made = _made(session, wanted.tag, root) if wanted.tag is not None else None
    return Tree(Checkout(root, wanted.commit, time, time if made is None else made), listed.modules)


def _fetch_named(session: Session, url: GitUrl, wanted: Fetch, root: Path) -> None:
    """By its branch or tag, so that these are there as well; if the branch moved on, by its id."""
    if wanted.tag is not None:
        ref = f"refs/tags/{wanted.tag}"
        refspecs, options = [f"+{ref}:{ref}"], ["--no-tags"]
    else:
        name = "HEAD" if wanted.branch is None else f"refs/heads/{wanted.branch}"
        ref = f"refs/remotes/origin/{wanted.branch or 'HEAD'}"
        refspecs, options = [f"+{name}:{ref}"], []
    if wanted.depth == 0:
        options = ["--no-tags"]
        refspecs.append("+refs/tags/*:refs/tags/*")
    _fetch(session, url, wanted.depth, options, refspecs, root)
    if wanted.tag is not None:
        _check_tag(session, url, wanted, root)
    elif not _has(session, wanted.commit, root):
        _fetch_commit(session, url, wanted, root)


def _fetch_commit(session: Session, url: GitUrl, wanted: Fetch, root: Path) -> None:
    try:
        _fetch(session, url, wanted.depth, ["--no-tags"], [wanted.commit], root)
    except Unadvertised:
        # Servers before Git's protocol 2 name what they give; it is in one of the branches, or nowhere.
        _fetch(session, url, 0, ["--no-tags"], ["+refs/heads/*:refs/remotes/origin/*"], root)
    except Gone:
        raise _gone(url, wanted.commit) from None
    if not _has(session, wanted.commit, root):
        raise _gone(url, wanted.commit)


def _fetch(session: Session, url: GitUrl, depth: int, options: list[str], refspecs: list[str], root: Path) -> None:
    if depth > 0:
        options = [*options, f"--depth={depth}"]
    elif (root / ".git/shallow").exists():
        options = [*options, "--unshallow"]
    fixed = ("--quiet", "--no-recurse-submodules", "--no-write-fetch-head", "--no-auto-maintenance", "--force")
    session.ask(url, "fetch", *fixed, *options, "--", url.text, *refspecs, root=root)


def _has(session: Session, commit: str, root: Path) -> bool:
    """Whether the commit was fetched."""
    return bool(session.local(root, "rev-list", "--ignore-missing", "--max-count=1", commit, "--"))


def _gone(url: GitUrl, commit: str) -> BuildFailed:
    return BuildFailed(
        f"{shown(url.text)} does not have the commit {commit} any more", hint="run the builder again for what it has"
    )


def _check_tag(session: Session, url: GitUrl, wanted: Fetch, root: Path) -> None:
    """Raises BuildFailed: the tag names another commit by now, or none."""
    try:
        answer = session.local(root, "rev-parse", "--verify", "--quiet", f"refs/tags/{wanted.tag}^{{commit}}")
    except BuildFailed:
        raise BuildFailed(f"the tag {wanted.tag} of {shown(url.text)} names no commit") from None
    named = answer.decode().strip()
    if named != wanted.commit:
        raise BuildFailed(f"the tag {wanted.tag} of {shown(url.text)} was moved from {wanted.commit} to {named}")


@dataclass(slots=True)
class _Listed:
    """What git-ls-tree(1) says of a tree, added up as it comes."""

    limit: int
    url: str
    size: int = 0
    files: int = 0
    modules: dict[str, str] = field(default_factory=dict)
    rest: bytes = b""

    def take(self, data: bytes) -> None:
        """Raises BuildFailed: the tree is too large."""
        *lines, self.rest = (self.rest + data).split(b"\0")
        for line in lines:
            facts, _, path = line.partition(b"\t")
            mode, _, sha, size = facts.split()
            if mode == _MODULE:
                self.modules[path.decode(errors="surrogateescape")] = sha.decode()
            self.size += 512 + (int(size) if size.isdigit() else 0)
            self.files += 1
        if self.size > self.limit:
            raise too_large(self.url, self.limit)
        if self.files > MOST_FILES:
            raise BuildFailed(f"{shown(self.url)}: the tree has more than {MOST_FILES:,} files")


def _list(session: Session, url: GitUrl, commit: str, root: Path) -> _Listed:
    """What is in the tree, before any of it is written: trees can be named again and again in each other."""
    listed = _Listed(session.max_checkout, url.text)
    session.local(root, "ls-tree", "-r", "-l", "-z", "--full-tree", commit, take=listed.take)
    return listed


def _time(session: Session, commit: str, root: Path) -> int:
    """When the commit was made, by its committer; seconds since 1970."""
    answer = session.local(root, "rev-list", "--max-count=1", "--timestamp", commit, "--")
    return max(0, int(answer.split()[0]))


def _made(session: Session, tag: str, root: Path) -> int | None:
    """When an annotated tag was made; None for others and those that don't say so."""
    answer = session.local(root, "for-each-ref", "--format=%(taggerdate:unix)", f"refs/tags/{tag}").strip()
    return int(answer) if answer.isdigit() else None
