"""What the doors over HTTP share: what they work with, and the names that more than one of them knows."""

from __future__ import annotations

from dataclasses import dataclass

from entrepot.app import App
from entrepot.jobs.runner import Runner

PREFIX = "/__api__"
UPLOADS = "upload-"
"""Beginning of the names of folders that hold what is just being received."""


@dataclass(frozen=True, slots=True)
class Context:
    """The application, the runner of its jobs and the administrator's token."""

    app: App
    runner: Runner
    token: str
