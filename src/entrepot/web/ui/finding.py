"""What the two pages with a search have in common: answers of the API's searches, and the part that scripts ask for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from entrepot.web.ui.asking import Refused
from entrepot.web.ui.paths import Value
from entrepot.web.ui.turns import Turn

PART = "x-part"
"""Header of a script's request for the part of a page that a search changes."""


@dataclass(frozen=True, slots=True)
class Hits:
    """A page of packages that were found, and how many there are; `is_limited`: there may be more that nobody looked
    for. `refused` is why there are none."""

    rows: list[Any]
    total: int
    is_limited: bool = False
    refused: Refused | None = None

    @property
    def status(self) -> int:
        return self.refused.status if self.refused is not None else 200


async def hits(turn: Turn, repo: str, **query: Value) -> Hits:
    """What a repository's search finds. What is wrong with the query is told; all else raises Refused."""
    try:
        answer = await turn.api.answer("GET", ["repos", repo, "search"], query)
    except Refused as refused:
        if refused.status in (422, 503):
            return Hits([], 0, refused=refused)
        raise
    rows = json.loads(answer.body)
    total = int(answer.headers.get("x-total-count", len(rows)))
    return Hits(rows, total, answer.headers.get("x-search-limited") == "true")


def answered(turn: Turn, template: str, part: str, status: int, values: Mapping[str, Any]) -> Response:
    """The page, or the part of it that is asked for."""
    if PART in turn.request.headers:
        return turn.fragment(part, **values)
    return turn.page(template, status=status, **values)
