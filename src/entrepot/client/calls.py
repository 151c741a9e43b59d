"""What the parts of the client ask of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from entrepot.client.shapes import Page
from entrepot.core.errors import InvalidName

V = TypeVar("V")
PAGE_LIMIT = 1000
"""The most rows that the server sends in one answer."""
LONG_TIMEOUT = 900.0
"""Seconds for what may have to ask an upstream a thousand questions first."""


class Calls:
    """Base of the parts; `Client` has the methods."""

    if TYPE_CHECKING:

        def _call(
            self,
            method: str,
            path: str,
            *,
            query: Mapping[str, str | None] | None = None,
            body: object = None,
            timeout: float | None = None,
        ) -> Any: ...

        def _form(self, path: str, fields: Mapping[str, str]) -> Any: ...

        def _upload(
            self,
            path: str,
            fields: Mapping[str, str],
            files: Sequence[Path],
            on_progress: Callable[[int, int], None] | None,
        ) -> Any: ...

        def _all(self, path: str, **query: str | None) -> list[Any]: ...

        def _page(self, path: str, *, limit: int, page: int, **query: str | None) -> Page: ...


def part(name: str) -> str:
    """A name as one segment of a path."""
    if name in ("", ".", ".."):
        raise InvalidName(f"'{name}' is not a name", hint="give the name of something that exists", name=name)
    return quote(name, safe="")


def given(**fields: V | None) -> dict[str, V]:
    """The fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}
