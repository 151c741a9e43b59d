"""A Python repository of ours on loopback, whole: for a program that we run and that may ask nobody else."""

from __future__ import annotations

from entrepot.app import App
from entrepot.core.answers import Answer, Ask, Document, SendFile
from entrepot.core.errors import FileNotListed, UpstreamUnavailable
from entrepot.ecosystems.python import pypi, simple
from entrepot.operations.loopback import HiddenIndex, Reply
from entrepot.operations.needs import stored
from entrepot.operations.serving import answer, inside, open_view, patiently


class RepositoryIndex(HiddenIndex):
    """`latest` of a repository.

    Files that the store lacks are fetched from upstream, as for any client.
    """

    def __init__(self, app: App, repository: str) -> None:
        super().__init__()
        self._app, self._repository = app, repository

    def failure(self) -> Exception | None:
        """The first thing that went wrong here, other than that something isn't listed."""
        return next(iter(list(self._failures.values())), None)

    def _reply(self, parts: list[str]) -> Reply:
        is_folder = not parts[-1:] or not parts[-1]
        tail = "/".join(parts).removesuffix("/")
        found = patiently(lambda: self._ask(tail, is_folder=is_folder))
        if isinstance(found, bytes):
            return Reply.of(200, "text/plain", found)
        if isinstance(found, Document):
            return Reply.of(200, found.media_type, found.render().body)
        if isinstance(found, SendFile):
            key = stored(self._app, found.listed)
            size = self._app.storage.size(key)
            if size is None:
                raise UpstreamUnavailable(f"{found.listed.file.name} went away while it was asked for")
            return Reply(200, found.media_type, size, self._app.storage.stream(key))
        raise FileNotListed("builds are given pages of projects, and files")

    def _ask(self, tail: str, *, is_folder: bool) -> Answer | bytes:
        """What the dialect answers; metadata documents are small, and learnt where nobody asked for them yet."""
        opened = open_view(self._app, self._repository, "latest", who=inside)
        found = answer(opened, Ask(tail, accept=simple.JSON, is_folder=is_folder))
        if isinstance(found, SendFile) and found.listed.file.name.endswith(pypi.METADATA):
            return opened.view.metadata(found.listed.file)
        return found
