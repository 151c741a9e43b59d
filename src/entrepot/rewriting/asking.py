"""Rewriting with what the servers themselves say: whether they are package managers, and what they serve."""

from __future__ import annotations

import base64
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple, Self
from urllib.parse import unquote

from entrepot.rewriting.rules import Decision, Mode, decide, needs_asking
from entrepot.rewriting.served import Served, read_status
from entrepot.rewriting.system import Host, this_host
from entrepot.rewriting.urls import Repository, parse

if TYPE_CHECKING:
    import urllib3

STATUS = "/__api__/status"
LARGEST = 4 * 1024**2
"""Bytes of an answer that are read."""
_MOST_KEPT = 500


class _Answer(NamedTuple):
    """What was found at an address; without `served` it is no package manager, or `fault` says why nobody knows."""

    served: Served | None
    fault: str | None
    until: float


class Rewriter:
    """Rewrites URLs; asks each server once in a while. May be used by several threads.

    Args:
        timeout: seconds for a connection, and without a byte of an answer.
        lifetime: seconds for which an answer counts; that a server was away counts for a tenth of it.
    """

    def __init__(self, *, timeout: float = 5.0, lifetime: float = 300.0, insecure: bool = False) -> None:
        self._timeout = timeout
        self._lifetime = lifetime
        self._insecure = insecure
        self._pool: urllib3.PoolManager | None = None
        self._answers: OrderedDict[str, _Answer] = OrderedDict()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        if self._pool is not None:
            self._pool.clear()

    def rewrite(self, url: str, mode: Mode = "auto", distribution: str | Host | None = None) -> Decision:
        """What a URL becomes.

        Of a server that is no package manager, or can't be asked, it stays as it is.

        Args:
            distribution: as people call it, or what a machine says of itself; None: this machine.
        """
        if mode == "none":
            return Decision(url, url, "nothing is rewritten")
        found = list(parse(url))
        if not found:
            return Decision(url, url, "it has not the form of a package manager's R repository")
        if not any(needs_asking(repository, mode) for repository in found):
            return Decision(url, url, "it installs source packages")
        for repository in found:
            answer = self._ask(repository)
            if answer.fault is not None:
                return Decision(url, url, "its server could not be asked", answer.fault)
            if answer.served is not None:
                name = answer.served.name_of(this_host() if distribution is None else distribution)
                return decide(repository, mode, name, answer.served)
        return Decision(url, url, "its server is no package manager")

    def _ask(self, repository: Repository) -> _Answer:
        address = repository.url._replace(path=repository.server + STATUS, query="", fragment="").geturl()
        with self._lock:
            kept = self._answers.get(address)
        if kept is not None and kept.until > time.monotonic():
            return kept
        served, fault = self._look(address, repository)
        answer = _Answer(served, fault, time.monotonic() + self._lifetime / (10 if fault else 1))
        with self._lock:
            self._answers[address] = answer
            while len(self._answers) > _MOST_KEPT:
                self._answers.popitem(last=False)
        return answer

    def _look(self, address: str, repository: Repository) -> tuple[Served | None, str | None]:
        """What is there, or why that can't be told."""
        import urllib3

        login, _, place = repository.url.netloc.rpartition("@")
        headers = {"Accept": "application/json", "User-Agent": "entrepot-rewriting"}
        if login:
            headers["Authorization"] = f"Basic {base64.b64encode(unquote(login).encode()).decode()}"
        shown = address.replace(repository.url.netloc, place, 1)
        try:
            response = self._connections().request("GET", shown, headers=headers, preload_content=False)
            body = response.read(LARGEST + 1, decode_content=True)
            if len(body) > LARGEST:
                response.close()
            response.release_conn()
        except urllib3.exceptions.HTTPError as error:
            return None, f"{shown} can't be asked: {_reason(error)}"
        if response.status in (401, 403):
            return None, f"{shown} asks for a login (HTTP {response.status})"
        if response.status >= 500 or response.status == 429:
            return None, f"{shown} can't answer now (HTTP {response.status})"
        return (read_status(body) if response.status == 200 and len(body) <= LARGEST else None), None

    def _connections(self) -> urllib3.PoolManager:
        import urllib3

        with self._lock:
            if self._pool is None:
                if self._insecure:
                    urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
                self._pool = urllib3.PoolManager(
                    cert_reqs="CERT_NONE" if self._insecure else "CERT_REQUIRED",
                    timeout=urllib3.Timeout(connect=self._timeout, read=self._timeout),
                    retries=urllib3.Retry(total=3, connect=1, read=0, redirect=3, status=0, raise_on_redirect=False),
                )
            return self._pool


def _reason(error: Exception) -> str:
    """The innermost reason, without the objects that it is told with."""
    inner = getattr(error, "reason", None)
    if isinstance(inner, Exception):
        return _reason(inner)
    return " ".join(str(error).rpartition(": ")[2].split()) or type(error).__name__
