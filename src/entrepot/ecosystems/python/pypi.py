"""Answers a client of a Python package index from a view of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from pydantic_core import to_json

from entrepot.core.answers import About, Answer, Ask, Document, Index, LargeDocument, MovedTo, SendFile, View
from entrepot.core.errors import FileNotListed, NotAcceptable
from entrepot.core.model import File, Listed, PackageName, Sha256
from entrepot.ecosystems.python import jsonapi, simple
from entrepot.ecosystems.python.entry import unpack
from entrepot.ecosystems.python.names import is_file_name, is_name, normalize, parse_file_name
from entrepot.ecosystems.python.simple import ProjectView, Shown

METADATA = ".metadata"
_FORMAT = 1
"""Of what is rendered, for the names of documents; the program's version counts besides."""
_TEXT = "text/plain; charset=utf-8"
_MEDIA_TYPES = {".whl": "application/zip", ".zip": "application/zip", ".tar.gz": "application/gzip"}
_MEDIA_TYPES[".tgz"] = _MEDIA_TYPES[".tar.gz"]

choose = simple.choose


def answer(ask: Ask, view: View, *, told: Callable[[File], bool]) -> Answer:
    """What is at `ask.tail` of the repository that `view` shows; `told` says of which files the SHA-256 is told.

    Raises:
        FileNotListed: the repository has no such path, project, version or file.
        NotAcceptable: the client takes no form of an index that there is.
        Unlearned: as the view does.
    """
    match ask.tail.split("/"):
        case ["simple"]:
            return _list(ask, view) if ask.is_folder else MovedTo("simple/")
        case ["simple", name]:
            project = _project(name)
            if name != project or not ask.is_folder:
                return MovedTo(f"simple/{project}/")
            return _page(ask, view, project, told)
        case ["packages", name, file] if not ask.is_folder and is_name(name):
            return _file(view, normalize(name), file)
        case ["pypi", name, "json"]:
            project = _project(name)
            if name != project or ask.is_folder:
                return MovedTo(f"pypi/{project}/json")
            return _json(ask, view, project, None, told)
        case ["pypi", name, version, "json"]:
            project = _project(name)
            if not is_file_name(version):
                raise FileNotListed(f"{version[:100]!r} can't be a version", package=project)
            if name != project or ask.is_folder:
                return MovedTo(f"pypi/{project}/{version}/json")
            return _json(ask, view, project, version, told)
    raise FileNotListed(
        f"a Python repository has nothing at {ask.tail[:200]!r}",
        hint="the index of projects is at simple/, a project's page at simple/NAME/",
    )


def _project(name: str) -> PackageName:
    """The normal form of a name. What can't be one is not listed: a redirect would repeat it."""
    if not is_name(name):
        raise FileNotListed(
            f"{name[:100]!r} can't name a project",
            hint="use ASCII letters, digits, '.', '_' and '-'",
            package=name[:100],
        )
    return normalize(name)


def _list(ask: Ask, view: View) -> LargeDocument:
    form, serial = _form(ask), view.names_serial()
    if form == simple.JSON:
        return LargeDocument(
            "simple.json", form, lambda: simple.render_list_json(view.names(), serial), varies=True, serial=serial
        )
    media_type = _content_type(form)
    return LargeDocument(
        "simple.html", media_type, lambda: simple.render_list_html(view.names()), varies=True, serial=serial
    )


def _form(ask: Ask) -> str:
    form = choose(ask.accept)
    if not form:
        raise NotAcceptable(f"an index is to be had as {simple.JSON}, {simple.HTML} or {simple.TEXT_HTML}")
    return form


def _content_type(form: str) -> str:
    return "text/html; charset=utf-8" if form == simple.TEXT_HTML else form


def _page(ask: Ask, view: View, project: PackageName, told: Callable[[File], bool]) -> Document:
    form = _form(ask)
    shown = _shown(view, project, told)
    is_json = form == simple.JSON
    render = simple.render_project_json if is_json else simple.render_project_html
    return Document(
        _key("json" if is_json else "html", shown),
        _content_type(form),
        lambda: Index(render(shown)),
        compress=True,
        is_own_key=True,
        varies=True,
    )


def _key(what: str, shown: ProjectView, *more: object) -> str:
    """A name for all that a rendering shows: by facts, since ids are given anew after a backup was restored."""
    facts = [
        (file.name, file.version, file.size, file.md5, sha256, metadata, file.published_at, file.fields)
        for file, _, sha256, metadata in shown.files
    ]
    whole = to_json((_FORMAT, what, shown.project, shown.about, more, facts))
    return "python:" + hashlib.blake2b(whole, digest_size=24).hexdigest()


def _shown(view: View, project: PackageName, told: Callable[[File], bool]) -> ProjectView:
    """The project as its page shows it."""
    files = [listed.file for listed in _files(view, project)]
    files.sort(key=lambda file: (file.published_at or 0, file.name))
    entries = [unpack(file.fields) for file in files]
    unnamed = [file for file, entry in zip(files, entries, strict=True) if entry.core_metadata is None]
    learnt = view.metadata_hashes(unnamed) if unnamed else {}
    shown = [
        Shown(file, entry, file.sha256 if told(file) else None, entry.core_metadata or learnt.get(file.id))
        for file, entry in zip(files, entries, strict=True)
    ]
    return ProjectView(project, view.about(project) or About(project), shown)


def _files(view: View, project: PackageName) -> Sequence[Listed]:
    files = view.of_package(project)
    if not files and view.about(project) is None:
        raise FileNotListed(f"this repository has no project {project!r} at this snapshot", package=project)
    return files


def _file(view: View, project: PackageName, name: str) -> SendFile:
    """A file, or a metadata document beside one, by the file's exact name."""
    files = {listed.file.name: listed for listed in _files(view, project)}
    if name in files:
        return SendFile(files[name], _media_type(name), kind=parse_file_name(project, name).kind)
    described = files.get(name.removesuffix(METADATA)) if name.endswith(METADATA) else None
    if described is None:
        raise FileNotListed(
            f"this repository has no file {name[:200]!r} of {project} at this snapshot",
            hint=f"simple/{project}/ lists its {len(files)}",
            package=project,
        )
    file = described.file
    sha256 = unpack(file.fields).core_metadata or view.metadata_hashes([file]).get(file.id)
    if sha256 is None:
        raise FileNotListed(
            f"this repository offers no metadata of {file.name!r} apart from the file itself", package=project
        )
    return SendFile(described._replace(file=metadata_file(file, sha256)), _TEXT)


def metadata_file(file: File, sha256: Sha256) -> File:
    """A file's metadata document as a file of its own, which the store has by its hash."""
    return file._replace(name=file.name + METADATA, sha256=sha256, md5=None, size=None)


def _media_type(name: str) -> str:
    kinds = (kind for suffix, kind in _MEDIA_TYPES.items() if name.endswith(suffix))
    return next(kinds, "application/octet-stream")


def _json(ask: Ask, view: View, project: PackageName, version: str | None, told: Callable[[File], bool]) -> Document:
    shown = _shown(view, project, told)
    known = jsonapi.releases(shown)
    wanted = jsonapi.latest_version(known) if version is None else jsonapi.find_version(known, version)
    if wanted is None:
        raise FileNotListed(
            f"this repository has no version {version[:100]!r} of {project} at this snapshot"
            if version is not None
            else f"no file of {project} tells its version in its name",
            hint=f"it has {len(known)}, the highest is {list(known)[-1]}" if known else None,
            package=project,
        )
    files = known[wanted]
    described = jsonapi.described_by(files)
    # Now rather than when it is rendered: it may have to be learnt first.
    metadata = (
        view.metadata(metadata_file(described.file, described.metadata))
        if described is not None and described.metadata is not None
        else None
    )

    def render() -> Index:
        if version is None:
            return Index(jsonapi.render_project(shown, known, wanted, metadata, ask.files_at))
        return Index(jsonapi.render_version(shown, wanted, files, metadata, ask.files_at))

    last = max((each.file.id for each in shown.files), default=0)
    key = _key("jsonapi", shown, last, wanted if version is not None else None, ask.files_at)
    return Document(key, "application/json", render, compress=True, is_own_key=True, has_url=True, serial=view.serial())
