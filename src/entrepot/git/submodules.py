"""Submodules, level by level: what a repository says of them is looked at like what people give, and more narrowly."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from entrepot.core.errors import BuildFailed, EntrepotError, Invalid
from entrepot.core.giturls import GitUrl, parse_git_url
from entrepot.core.urls import shown
from entrepot.git.fetching import Fetch, Tree, fetch_tree
from entrepot.git.session import Session

MOST: Final = 100
"""Submodules of a checkout, on all levels together."""
_NAMED: Final = r"^submodule\..*\.(path|url)$"


@dataclass(frozen=True, slots=True)
class _Level:
    """A repository in the tree.

    Attributes:
        path: of its tree, below the main one's.
        above: the URLs of those that it is in, the main one first.
    """

    url: GitUrl
    tree: Tree
    path: str
    above: tuple[str, ...]


def fetch_submodules(session: Session, url: GitUrl, tree: Tree, *, levels: int) -> None:
    """Fetch what is in the tree, and what is in that, `levels` deep, each at one commit without history.

    Raises:
        BuildFailed: there are too many, one has no URL or one that isn't taken, or they lead in a circle.
        EntrepotError: see `GitClient.checkout`.
    """
    reached, count = [_Level(url, tree, "", ())], 0
    for _ in range(levels):
        below: list[_Level] = []
        for level in reached:
            count += len(level.tree.modules)
            if count > MOST:
                raise BuildFailed(f"{shown(url.text)} has more than {MOST} submodules")
            below += _fetch_level(session, level)
        if not below:
            return
        reached = below


def _fetch_level(session: Session, level: _Level) -> list[_Level]:
    if not level.tree.modules:
        return []
    urls = _urls(session, level.tree.checkout.root, level.tree.checkout.commit)
    return [_fetch(session, level, path, commit, urls.get(path)) for path, commit in level.tree.modules.items()]


def _fetch(session: Session, level: _Level, path: str, commit: str, text: str | None) -> _Level:
    whole = f"{level.path}/{path}".lstrip("/")
    try:
        if text is None:
            raise BuildFailed("no URL is given for it in .gitmodules")
        url = _url(level.url, text)
        _check_circle(level, url)
        session.log(f"submodule {whole}: {shown(url.text)} at {commit}")
        root = level.tree.checkout.folder(path)
        if any(root.iterdir()):
            raise BuildFailed("its folder is not empty")
        tree = fetch_tree(session, url, Fetch(commit, is_named=False), root)
    except EntrepotError as error:
        raise _of_submodule(whole, error) from error
    return _Level(url, tree, whole, (*level.above, level.url.text))


def _of_submodule(path: str, error: EntrepotError) -> EntrepotError:
    """The same error, saying where; a URL that isn't taken is the repository's fault here, not the caller's."""
    kind = BuildFailed if isinstance(error, Invalid) else type(error)
    return kind(f"submodule {path}: {error.message}", hint=None if isinstance(error, Invalid) else error.hint)


def _check_circle(level: _Level, url: GitUrl) -> None:
    """Raises BuildFailed: a repository has itself in it, by way of others or more than once.

    Once and directly is usual: another branch of the same repository.
    """
    above = (*level.above, level.url.text)
    if url.text in above[:-1] or above.count(url.text) > 1:
        circle = " -> ".join(shown(text) for text in (*above[above.index(url.text) :], url.text))
        raise BuildFailed(
            f"submodules lead in a circle: {circle}",
            hint=f"--recurse-submodules={max(1, len(above) - 1)} ends before it",
        )


def _url(parent: GitUrl, text: str) -> GitUrl:
    """A submodule's URL, which may be relative to that of the repository that it is in (gitmodules(5))."""
    if text.startswith(("./", "../")):
        parts = [part for part in parent.path.split("/") if part]
        rest = text
        while rest.startswith(("./", "../")):
            step, _, rest = rest.partition("/")
            if step == "..":
                if not parts:
                    raise BuildFailed("its relative URL leads too far up")
                parts.pop()
        root = "/" if parent.path.startswith("/") else ""
        text = parent.text[: len(parent.text) - len(parent.path)] + root + "/".join([*parts, rest])
    if text.lower().startswith("file:") or text.startswith("/"):
        raise BuildFailed("it is on the server's own disk (file://), where submodules are never taken from")
    return parse_git_url(text, allow_file=False)


def _urls(session: Session, root: Path, commit: str) -> dict[str, str]:
    """Path -> URL, as `.gitmodules` of that commit says."""
    file = root / ".gitmodules"
    if not file.is_symlink() and file.exists() and not stat.S_ISREG(file.lstat().st_mode):
        raise BuildFailed(".gitmodules is no file")
    if file.is_symlink() or not file.exists():
        return {}
    blob = f"{commit}:.gitmodules"
    answer = session.local(root, "config", "--null", "--no-includes", "--blob", blob, "--get-regexp", _NAMED)
    facts: dict[str, dict[str, str]] = {}
    for entry in answer.decode(errors="surrogateescape").split("\0"):
        key, _, value = entry.partition("\n")
        name, _, what = key.removeprefix("submodule.").rpartition(".")
        facts.setdefault(name, {})[what] = value
    return {fact["path"]: fact["url"] for fact in facts.values() if "path" in fact and "url" in fact}
