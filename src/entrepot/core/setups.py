"""What people paste into the settings of a client, so that it uses a repository."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of text for one place.

    Attributes:
        title: what it does, on one line.
        file: where it goes; empty where it is typed somewhere.
        language: for highlighting: r, toml, ini, yaml, json, dockerfile, shell, text.
        text: without a line end at its end.
    """

    title: str
    file: str
    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Setup:
    """All blocks for one environment, and the URL of the repository that they lead to."""

    repository_url: str
    blocks: tuple[Block, ...]
