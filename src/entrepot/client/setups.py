"""The client's methods for what is pasted into other programs."""

from __future__ import annotations

from typing import TypedDict, cast

from entrepot.client.calls import Calls, part


class Block(TypedDict):
    """`file` is empty where the text is typed somewhere."""

    title: str
    file: str
    language: str
    text: str


class Setup(TypedDict):
    repository_url: str
    blocks: list[Block]


class SetupCalls(Calls):
    """A part of `Client`."""

    def setup(self, repo: str, **wish: str | None) -> Setup:
        """What to paste; `environment`, `os`, `distribution`, `snapshot` and `bioc_version` as in `docs/api.md`."""
        return cast(Setup, self._call("GET", f"/repos/{part(repo)}/setup", query=wish))
