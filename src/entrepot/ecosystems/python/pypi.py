"""Answers a client of a Python package index from a view of it."""

from __future__ import annotations

from collections.abc import Callable

from entrepot.core.answers import Answer, Ask, View
from entrepot.core.errors import FileNotListed
from entrepot.core.model import File
from entrepot.ecosystems.python import simple

choose = simple.choose


def answer(ask: Ask, view: View, *, told: Callable[[File], bool]) -> Answer:
    """What is at `ask.tail` of the repository that `view` shows; `told` says of which files the SHA-256 is told.

    Raises:
        FileNotListed: the repository has no such path, project, version or file.
    """
    raise FileNotListed(f"a Python repository has nothing at {ask.tail[:200]!r}")
