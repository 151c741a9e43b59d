"""A snapshot of a source as an index for a resolver on this machine, which so asks nobody else.

It answers what our dialect does, in a form that can't lead to a build: all wheels have a metadata document, read out of
them where none is offered, and an sdist is told as a wheel whose metadata is what the sdist binds itself to. An sdist
that does not say what it needs counts as one that needs nothing; whoever takes it looks into `unknown` afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from pydantic_core import from_json, to_json

from entrepot.app import App
from entrepot.core.answers import Answer, Ask, Document, SendFile
from entrepot.core.errors import FileNotListed
from entrepot.core.model import Listed, PackageName, Source
from entrepot.core.snapshots import Cut
from entrepot.ecosystems.python import pypi, simple
from entrepot.ecosystems.python.names import is_canonical, normalize, parse_file_name
from entrepot.operations.loopback import HiddenIndex, Reply
from entrepot.operations.needs import metadata_of_wheel, needs_of_sdist
from entrepot.operations.serving import patiently
from entrepot.operations.view import DatabaseView

_SDISTS = (".tar.gz", ".zip")
_STAND_IN = "py3-none-any.whl"
_NARROWS = re.compile(r"[<!~]|==")
"""In a Requires-Python: it may exclude a Python that is newer than its least."""
File = Mapping[str, Any]
"""A file as a page in JSON tells it (PEP 691)."""


class StandIn(NamedTuple):
    """What a made-up wheel stands for: an sdist. Its metadata is that of a wheel of that version where there is one."""

    sdist: str
    version: str
    wheel: str | None


class ResolverIndex(HiddenIndex):
    """The index of one resolution.

    Of what was asked for until now: `missing` are the projects that the snapshot lacks, `unknown` says of versions
    (project, version) why nobody knows what they need, `pythons` has the Requires-Python of all files of a version
    where each may exclude a newer Python.
    """

    def __init__(self, app: App, source: Source, cut: Cut, *, only_binary: bool) -> None:
        super().__init__()
        self._app, self._source, self._cut = app, source, cut
        self._only_binary = only_binary
        self._stand_ins: dict[tuple[PackageName, str], StandIn] = {}
        self.missing: dict[PackageName, FileNotListed] = {}
        self.unknown: dict[tuple[PackageName, str], str] = {}
        self.pythons: dict[tuple[PackageName, str], frozenset[str]] = {}

    def failure(self, said: str, *, any_will_do: bool) -> Exception | None:
        """What stopped a resolver that ends with `said`: the error of a URL in it, else the first error if that
        will do."""
        failures = list(self._failures.items())
        named = (error for path, error in failures if path in said)
        return next(named, failures[0][1] if failures and any_will_do else None)

    def _reply(self, parts: list[str]) -> Reply:
        match parts:
            case ["simple", name, ""]:
                return Reply.of(200, simple.JSON, self._page(normalize(name)))
            case ["packages", name, file] if file.endswith(pypi.METADATA):
                return Reply.of(200, "text/plain", self._metadata(normalize(name), file.removesuffix(pypi.METADATA)))
        raise FileNotListed("the index of a resolution has pages of projects and metadata of wheels")

    # --- pages -----------------------------------------------------------------------------------------------------

    def _page(self, project: PackageName) -> bytes:
        try:
            document = self._ask(f"simple/{project}", is_folder=True)
        except FileNotListed as error:
            self.missing.setdefault(project, error)
            raise
        assert isinstance(document, Document)
        page: dict[str, Any] = from_json(document.render().body)
        page["files"] = self._files(project, page["files"])
        return to_json(page)

    def _files(self, project: PackageName, files: Sequence[File]) -> list[File]:
        """The files of a page as the resolver shall see them."""
        versions: dict[str, list[File]] = {}
        for file in files:
            versions.setdefault(parse_file_name(project, file["filename"]).version, []).append(file)
        shown: list[File] = []
        for version, its in versions.items():
            self._note_pythons(project, version, its)
            wheels = [file for file in its if file["filename"].endswith(".whl")]
            sdist = next((file for file in its if is_canonical(version) and file["filename"].endswith(_SDISTS)), None)
            shown += [_with_metadata(file) for file in wheels]
            if sdist is not None and self._only_binary:
                shown.append(sdist)
            elif sdist is not None and not any(_is_for_all(file["filename"]) for file in wheels):
                shown.append(self._stand_in(project, version, sdist, wheels))
        return shown

    def _note_pythons(self, project: PackageName, version: str, files: Iterable[File]) -> None:
        bounds = frozenset(file.get("requires-python") or "" for file in files)
        if all(_NARROWS.search(bound) for bound in bounds):
            self.pythons[project, version] = bounds

    def _stand_in(self, project: PackageName, version: str, sdist: File, wheels: Sequence[File]) -> File:
        name = f"{project.replace('-', '_')}-{version}-{_STAND_IN}"
        wheel_name = next((file["filename"] for file in wheels if not _is_for_2(file["filename"])), None)
        self._stand_ins[project, name] = StandIn(sdist["filename"], version, wheel_name)
        kept = {key: sdist[key] for key in ("requires-python", "upload-time", "yanked") if key in sdist}
        return {
            **kept,
            "filename": name,
            "url": f"../../packages/{project}/{quote(name)}",
            "hashes": {},
            "core-metadata": True,
        }

    def _ask(self, tail: str, *, is_folder: bool = False) -> Answer:
        def ask() -> Answer:
            view = self._view()
            return pypi.answer(Ask(tail, accept=simple.JSON, is_folder=is_folder), view, told=view.tells_sha256)

        return patiently(ask)

    def _view(self) -> DatabaseView:
        return DatabaseView(self._app, [self._cut], {self._source.id: self._source})

    # --- metadata --------------------------------------------------------------------------------------------------

    def _metadata(self, project: PackageName, name: str) -> bytes:
        """The metadata of a wheel, or of one that stands for an sdist."""
        stand_in = self._stand_ins.get((project, name))
        if stand_in is not None and stand_in.wheel is None:
            return self._of_sdist(project, stand_in)
        name = stand_in.wheel if stand_in is not None and stand_in.wheel is not None else name
        try:
            document = self._listed(project, name + pypi.METADATA)
        except FileNotListed:
            return metadata_of_wheel(self._app, self._listed(project, name))
        return patiently(lambda: self._view().metadata(document.file))

    def _listed(self, project: PackageName, name: str) -> Listed:
        answer = self._ask(f"packages/{project}/{name}")
        assert isinstance(answer, SendFile)
        return answer.listed

    def _of_sdist(self, project: PackageName, stand_in: StandIn) -> bytes:
        needs = needs_of_sdist(self._app, self._listed(project, stand_in.sdist), version=stand_in.version)
        if needs.metadata is not None:
            return needs.metadata
        self.unknown[project, stand_in.version] = f"{stand_in.sdist}: {needs.why}"
        return f"Metadata-Version: 2.2\nName: {project}\nVersion: {stand_in.version}\n".encode()


def _with_metadata(file: File) -> File:
    return {key: value for key, value in file.items() if key != "dist-info-metadata"} | {"core-metadata": True}


def _is_for_all(name: str) -> bool:
    """Whether a wheel is for every platform and Python 3."""
    python, _, rest = "-".join(name.split("-")[-3:]).partition("-")
    return rest == "none-any.whl" and "py3" in python.split(".")


def _is_for_2(name: str) -> bool:
    """Whether a wheel is for Python 2 alone, which may need something else."""
    parts = name.split("-")
    return len(parts) >= 5 and all(python[2:3] == "2" for python in parts[-3].split("."))
