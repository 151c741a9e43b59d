"""Curated PyPI sources."""

from __future__ import annotations

from entrepot.app import App
from entrepot.core.errors import Invalid
from entrepot.operations.drafting import Draft, State, Wish


def draft(app: App, state: State, wish: Wish) -> Draft:
    raise Invalid("later")
