"""Git, run for one question: with the login where that is due, within its time and size, its faults in our words."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from entrepot.core.errors import EndpointRefused, Unavailable
from entrepot.core.giturls import GitUrl
from entrepot.core.jobs import Log
from entrepot.git import environment
from entrepot.git.faults import Asked, fault, too_large
from entrepot.git.login import Login
from entrepot.git.operation import Operation, Take, program
from entrepot.git.said import Mask, Said
from entrepot.sandbox.task import Check

_FOR_REFS, _FOR_TREES = 1024**3, 4 * 1024**3
"""Bytes of memory that a program may take: an endpoint may tell refs without an end."""
_SCHEMES = {"ssh": ("ssh",), "https": ("https", "http")}


@dataclass(frozen=True, slots=True)
class Terms:
    """What all questions have in common; see `GitClient`."""

    scratch: Path
    known_hosts: Path | None
    recorded_hosts: Path
    max_checkout: int


class Session:
    """A context manager.

    Args:
        main: the endpoint that the login is for: it is offered to the same scheme, host and port alone.
        folder: where trees come; it must not become too large. None: only refs are asked for.
    """

    def __init__(
        self,
        terms: Terms,
        main: GitUrl,
        login: Login | None,
        *,
        seconds: float,
        log: Log,
        check: Check,
        folder: Path | None = None,
    ) -> None:
        self._git = program("git", "git")
        if login is not None:
            login.check()
            if main.scheme not in _SCHEMES[login.kind]:
                raise EndpointRefused(
                    f"the credential is of the type {login.kind}, which {main.scheme}:// URLs don't take",
                    hint="give another credential with --credential, or none",
                )
        self.log, self._terms, self._main, self._login = log, terms, main, login
        self._mask = Mask([*(login.forms if login else ()), *environment.proxy_secrets()])
        self._seconds = seconds
        memory = _FOR_REFS if folder is None else _FOR_TREES
        self._operation = Operation(
            terms.scratch, seconds=seconds, file_size=terms.max_checkout, memory=memory, check=check
        )
        self._stack = ExitStack()
        self._agent: Path | None = None
        self._folder = folder

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self._operation)
            if self._login is not None and self._login.kind == "ssh":
                from entrepot.git.agent import agent  # here, because what reads keys takes long to load

                seconds = int(self._seconds) + 60
                self._agent = stack.enter_context(agent(self._operation, self._login.secret, seconds=seconds))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def ask(self, url: GitUrl, *arguments: str, root: Path | None = None) -> bytes:
        """What git says that asks an endpoint.

        Args:
            root: the tree of the repository that it fetches into.

        Raises:
            EntrepotError: see `GitClient.refs`.
        """
        is_ours = url.place == self._main.place
        login = self._login if is_ours else None
        ssh = self._ssh_command(url, is_ours=is_ours) if url.scheme == "ssh" else ""
        variables = environment.remote(self._operation.folder, url, login, ssh=ssh)
        return self._run(url, variables, arguments, root, None, login)

    def local(self, root: Path, *arguments: str, take: Take | None = None) -> bytes:
        """What git says in a repository of ours; it can't reach any other."""
        return self._run(self._main, environment.basic(self._operation.folder), arguments, root, take, None)

    def check_size(self, more: int = 0) -> None:
        """Raises BuildFailed: the folder has, with so many bytes more, too many."""
        limit = self._terms.max_checkout
        if self._folder is not None and _size(self._folder, limit) + more > limit:
            raise too_large(self._main.text, limit)

    @property
    def max_checkout(self) -> int:
        return self._terms.max_checkout

    def _run(
        self,
        url: GitUrl,
        variables: dict[str, str],
        arguments: tuple[str, ...],
        root: Path | None,
        take: Take | None,
        login: Login | None,
    ) -> bytes:
        if root is not None:
            variables |= {"GIT_DIR": str(root / ".git"), "GIT_WORK_TREE": str(root)}
        said = Said(self.log, self._mask)
        try:
            status, output = self._operation.run(
                [self._git, *arguments], variables, said=said.take, take=take, watch=self.check_size
            )
        finally:
            said.finish()
        if status == 0:
            return output
        self.check_size()  # what was ended for its size says other things, too
        lines = list(said.lines)
        if status == -signal.SIGXFSZ or any(f"signal {signal.SIGXFSZ:d}" in line for line in lines):
            raise too_large(url.text, self._terms.max_checkout)
        raise fault(lines, status, self._asked(url, login))

    def _asked(self, url: GitUrl, login: Login | None) -> Asked:
        hosts = "" if self._terms.known_hosts is None else str(self._terms.known_hosts)
        kind = "" if login is None else login.kind
        return Asked(url.text, url.scheme, kind, hosts, str(self._terms.recorded_hosts))

    def _ssh_command(self, url: GitUrl, *, is_ours: bool) -> str:
        hosts = self._operation.folder / "known_hosts"
        if not hosts.is_symlink():
            # ssh expands much in paths; this one has nothing to be expanded.
            hosts.symlink_to(self._hosts().absolute())
        return environment.ssh_command(
            program("ssh", "openssh-client"),
            hosts,
            is_strict=self._terms.known_hosts is not None,
            agent=self._agent if is_ours else None,
            user=self._login.username if is_ours and self._login is not None and not url.user else "",
            is_look=self._folder is None,
        )

    def _hosts(self) -> Path:
        if self._terms.known_hosts is not None:
            if not os.access(self._terms.known_hosts, os.R_OK):
                raise Unavailable(
                    f"the file of ssh host keys {self._terms.known_hosts} can't be read",
                    hint="[git] known_hosts names it",
                )
            return self._terms.known_hosts
        recorded = self._terms.recorded_hosts
        recorded.parent.mkdir(parents=True, exist_ok=True)
        recorded.touch(mode=0o600)
        return recorded


def _size(folder: Path, limit: int) -> int:
    """Bytes of all files below `folder`, and some for each; it stops counting beyond `limit`. Follows no links."""
    total, folders = 0, [folder]
    while folders and total <= limit:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(Path(entry.path))
                    total += entry.stat(follow_symlinks=False).st_size + 512
        except FileNotFoundError:
            continue  # git takes files away while we look
    return total
