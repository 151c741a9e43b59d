"""The English texts of all pages: one file of TOML for each page, in `texts/`.

A text is named by its file and its key, `packages.title`. `{name}` stands for a value, and what is between backticks is
code. What is counted has two texts, `packages.found.one` and `packages.found.other`, with `{count}` in them.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from entrepot.web.ui.showing import number, shown

_FOLDER = Path(__file__).parent / "texts"
_CODE = re.compile(r"`([^`]+)`")


def text(key: str, **values: object) -> Markup:
    """A text with its values, as a page shows it. Raises KeyError: there is no such text."""
    written = _CODE.sub(r"<code>\1</code>", str(escape(all_texts()[key])))
    return Markup(written.format_map({name: escape(shown(value)) for name, value in values.items()}))


def counted(key: str, count: int, **values: object) -> Markup:
    """A text about so many."""
    return text(f"{key}.{'one' if count == 1 else 'other'}", count=number(count), **values)


@lru_cache(maxsize=1)
def all_texts() -> Mapping[str, str]:
    """All texts by key."""
    return {
        key: value
        for file in sorted(_FOLDER.glob("*.toml"))
        for key, value in _flat(file.stem, tomllib.loads(file.read_text()))
    }


def _flat(prefix: str, found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in found.items():
        if isinstance(value, dict):
            yield from _flat(f"{prefix}.{name}", value)
        else:
            yield f"{prefix}.{name}", str(value)
