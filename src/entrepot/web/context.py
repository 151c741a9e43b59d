"""What the doors over HTTP share: what they work with, and the names that more than one of them knows."""

from __future__ import annotations

from dataclasses import dataclass

from entrepot.app import App
from entrepot.jobs.runner import Runner
from entrepot.web.door import Door

PREFIX = "/__api__"
UPLOADS = "upload-"
"""Beginning of the names of folders that hold what is just being received."""


@dataclass(frozen=True, slots=True)
class Context:
    """The application, the runner of its jobs, and what tells who asks."""

    app: App
    runner: Runner
    door: Door
