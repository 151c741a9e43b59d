"""Asks Git endpoints: which refs they have, and for the tree of a commit.

Everything is done by the program git, in processes that end with the question (`operation`), which know nothing of this
machine (`environment`). Repositories are not trusted: nothing in them is run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from entrepot.core.errors import BuildFailed
from entrepot.core.giturls import check_branch, check_tag, parse_git_url
from entrepot.core.jobs import Log
from entrepot.git.checkout import Checkout
from entrepot.git.fetching import Fetch, fetch_tree
from entrepot.git.login import Login
from entrepot.git.session import Session, Terms
from entrepot.git.submodules import fetch_submodules
from entrepot.sandbox.task import Check

__all__ = ["Checkout", "GitClient", "Login", "Refs", "Tag"]

LONGEST_LOOK: Final = 60.0
LONGEST_CHECKOUT: Final = 1200.0
"""Seconds."""
_OBJECT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag: its own id, which is the commit's if it is a lightweight one, and the commit that it names."""

    sha: str
    commit: str


@dataclass(frozen=True, slots=True)
class Refs:
    """What an endpoint has: the name of its default branch, if it says so, and its branches and tags."""

    head: str | None
    branches: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, Tag] = field(default_factory=dict)


class GitClient:
    """Holds nothing but what all questions have in common.

    Args:
        scratch: where temporary folders are made, for the time of a question.
        known_hosts: the administrator's file of host keys, which then are the only ones; None: see `recorded_hosts`.
        recorded_hosts: file in which a host's first key is recorded.
        allow_file: whether file:// URLs are taken.
        max_checkout: bytes of a tree with its history and submodules.
    """

    def __init__(
        self, *, scratch: Path, known_hosts: Path | None, recorded_hosts: Path, allow_file: bool, max_checkout: int
    ) -> None:
        self._terms = Terms(scratch, known_hosts, recorded_hosts, max_checkout)
        self._allow_file = allow_file

    def refs(self, url: str, login: Login | None, *, log: Log, check: Check) -> Refs:
        """What the endpoint has now.

        Raises:
            Invalid: the URL isn't taken.
            EndpointUnavailable: it does not answer, or not within a minute.
            EndpointRefused: it wants another login, or its host key isn't the known one.
            BuildFailed: there is no repository, or anything else.
            Unavailable: git or ssh isn't installed.
        """
        endpoint = parse_git_url(url, allow_file=self._allow_file)
        with Session(self._terms, endpoint, login, seconds=LONGEST_LOOK, log=log, check=check) as session:
            return _refs(session.ask(endpoint, "ls-remote", "--symref", "--", endpoint.text))

    def checkout(
        self,
        url: str,
        login: Login | None,
        *,
        branch: str | None,
        tag: str | None,
        commit: str,
        depth: int,
        submodules: int,
        folder: Path,
        log: Log,
        check: Check,
    ) -> Checkout:
        """The tree of `commit` in `folder`, which is empty or isn't there; others may read it.

        Args:
            branch: which the commit is of; without it and a tag, the default branch.
            tag: which names the commit.
            depth: commits of history; 0: all, with all tags.
            submodules: levels of submodules that are fetched too.

        Raises:
            As `refs`, and BuildFailed: there is no such branch, tag or commit (any more); it is too large; submodules
            lead in a circle or to where they may not. What `folder` then holds is of no use.
        """
        endpoint = parse_git_url(url, allow_file=self._allow_file)
        if not _OBJECT.fullmatch(commit):
            raise BuildFailed(f"{commit[:80]!r} is no commit's id")
        wanted = Fetch(
            commit=commit,
            branch=None if branch is None else check_branch(branch),
            tag=None if tag is None else check_tag(tag),
            depth=depth,
        )
        with Session(
            self._terms, endpoint, login, seconds=LONGEST_CHECKOUT, log=log, check=check, folder=folder
        ) as session:
            tree = fetch_tree(session, endpoint, wanted, folder)
            if submodules > 0:
                fetch_submodules(session, endpoint, tree, levels=submodules)
            session.check_size()
            return tree.checkout


def _refs(answer: bytes) -> Refs:
    """What git-ls-remote(1) tells; names that are no text are left out."""
    head: str | None = None
    branches: dict[str, str] = {}
    tags: dict[str, str] = {}
    peeled: dict[str, str] = {}
    for line in answer.decode(errors="surrogateescape").split("\n"):
        sha, _, ref = line.partition("\t")
        if sha.startswith("ref: refs/heads/") and ref == "HEAD":
            head = sha.removeprefix("ref: refs/heads/")
        elif not _OBJECT.fullmatch(sha) or any("\ud800" <= c <= "\udfff" for c in ref):
            continue
        elif ref.startswith("refs/heads/"):
            branches[ref.removeprefix("refs/heads/")] = sha
        elif ref.startswith("refs/tags/"):
            name, is_peeled = ref.removeprefix("refs/tags/"), ref.endswith("^{}")
            (peeled if is_peeled else tags)[name.removesuffix("^{}")] = sha
    return Refs(head, branches, {name: Tag(sha, peeled.get(name, sha)) for name, sha in tags.items()})
