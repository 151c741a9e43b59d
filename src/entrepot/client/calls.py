"""What the parts of the client ask of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from entrepot.client.shapes import Page
from entrepot.core.errors import InvalidName


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
