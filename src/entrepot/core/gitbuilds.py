"""Git builders and what is found at their endpoints: which commit or tag is to be built, which version goes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from entrepot.core.model import PackageName

ATTEMPTS = 3
"""How often an update is built that fails, until something new comes or somebody asks for it again."""
RETRY_AFTER = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15), timedelta(hours=1))
"""Waits after the first, second, ... attempt that failed; the last one goes on, where the package isn't to blame."""


_VERSION = re.compile(r"v?[0-9]", re.ASCII)
_NUMBER = re.compile(r"[0-9]+", re.ASCII)


class Trigger(StrEnum):
    """What of an endpoint makes a new version of a package."""

    COMMITS = "commits"
    TAGS = "tags"


class UpdateState(StrEnum):
    """What became of a commit or tag.

    `IGNORED`: every attempt failed. `SUPERSEDED`: something newer took its place, before or after it was built. `GONE`:
    the tag isn't there any more. `KEPT`: it was built from another endpoint than the builder's present one.
    """

    WAITING = "waiting"
    BUILT = "built"
    IGNORED = "ignored"
    SUPERSEDED = "superseded"
    GONE = "gone"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Builder:
    """The watch on a Git endpoint and its build settings.

    Attributes:
        name: the package's; None until its DESCRIPTION was read.
        branch: None: the endpoint's default branch.
        sub_dir: where in the tree the package is; empty: at its root.
        clone_depth: commits that are fetched; 0: all.
        submodules: levels of submodules that are fetched.
        fault: why its last poll failed; None if it didn't.
    """

    id: int
    source_id: int
    name: PackageName | None
    url: str
    trigger: Trigger
    branch: str | None
    sub_dir: str
    credential_id: int | None
    clone_depth: int
    submodules: int
    build_vignettes: bool
    created: datetime
    fault: str | None = None

    @property
    def label(self) -> str:
        """What people are told it is called."""
        return self.name or f"#{self.id}"


@dataclass(frozen=True, slots=True)
class Update:
    """A commit or tag as it was found at an endpoint.

    Attributes:
        tag: None: a commit of the branch.
        sha: of the commit; of an annotated tag the tag object's, so that a tag that was made anew is something new.
        seen: when the poll that found it began.
        made: when the tag or commit was made, seconds since 1970; None until it was fetched.
        attempts: how often it was built and failed.
        due: not to be tried again before.
        version: that it has, as far as it was built.
    """

    id: int
    builder_id: int
    tag: str | None
    sha: str
    seen: datetime
    made: int | None
    state: UpdateState
    attempts: int
    due: datetime | None
    version: str | None

    @property
    def label(self) -> str:
        """Such as `tag v1.0` or `commit 1a2b3c4d5e`."""
        return f"tag {self.tag}" if self.tag is not None else f"commit {self.sha[:10]}"

    def is_due(self, now: datetime) -> bool:
        return self.state is UpdateState.WAITING and (self.due is None or self.due <= now)

    def is_newer_than(self, other: Update) -> bool:
        """Of two tags for one version: the one that was found later; of those found together the one made later."""
        return (self.seen, self.made or 0, self.id) > (other.seen, other.made or 0, other.id)


@dataclass(frozen=True, slots=True)
class News:
    """What a look at an endpoint changes.

    Attributes:
        new: (tag, sha) of what was not known, tag None for a commit.
        superseded: what waited and has something newer in its place.
        gone: whose tag isn't there any more.
        again: built once for a version that another tag had; it is that tag's turn now.
        confirmed: what was built from another endpoint, and is at this one too.
    """

    new: tuple[tuple[str | None, str], ...] = ()
    superseded: tuple[Update, ...] = ()
    gone: tuple[Update, ...] = ()
    again: tuple[Update, ...] = ()
    confirmed: tuple[Update, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.new or self.superseded or self.gone or self.again or self.confirmed)


def news_of_branch(head: str, updates: Sequence[Update]) -> News:
    """What is new at a branch: its head, unless that was the last commit that was found.

    Several commits since the last look are one update, and a branch that went back to an earlier commit has a new one.

    Args:
        updates: all of the builder, in the order in which they were found.
    """
    commits = [update for update in updates if update.tag is None]
    if commits and commits[-1].sha == head:
        return News()
    return News(
        new=((None, head),), superseded=tuple(update for update in commits if update.state is UpdateState.WAITING)
    )


def news_of_tags(tags: Mapping[str, str], updates: Sequence[Update]) -> News:
    """What is new among the tags, name -> sha: each by itself; a tag that moved is a new one.

    Args:
        updates: as for `news_of_branch`.
    """
    known: dict[str, Update] = {}
    for update in updates:
        if update.tag is not None and update.state is not UpdateState.GONE:
            known[update.tag] = update
    new = tuple((tag, tags[tag]) for tag in sorted(tags, key=_place) if tag not in known or known[tag].sha != tags[tag])
    moved = tuple(
        known[tag] for tag, _ in new if tag is not None and tag in known and known[tag].state is UpdateState.WAITING
    )
    gone = tuple(
        update
        for update in updates
        if update.tag is not None and update.tag not in tags and update.state is not UpdateState.GONE
    )
    freed = {update.version for update in gone if update.state is UpdateState.BUILT}
    again = tuple(
        update
        for tag, update in known.items()
        if tags.get(tag) == update.sha and update.state is UpdateState.SUPERSEDED and update.version in freed
    )
    confirmed = tuple(
        update for tag, update in known.items() if tags.get(tag) == update.sha and update.state is UpdateState.KEPT
    )
    return News(new, moved, gone, again, confirmed)


def _place(tag: str) -> tuple[bool, list[int], str]:
    """Where a tag comes: by its version's numbers, so that older versions are built first; then what is no version."""
    numbers = [int(digits[:18]) for digits in _NUMBER.findall(tag)]
    return not _VERSION.match(tag), numbers, tag


def wait_after(attempts: int) -> timedelta:
    """How long to wait after so many attempts that failed."""
    return RETRY_AFTER[min(attempts, len(RETRY_AFTER)) - 1]
