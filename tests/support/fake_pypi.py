"""An index of Python packages on loopback that keeps files like the real one and misbehaves on demand.

    with FakePypi() as pypi:
        pypi.add(*wheel("demo", "1.0"), uploaded=datetime(2023, 5, 1, tzinfo=UTC))
        pypi.fail(pypi.page("demo"), "cut", times=1)
        ... pypi.upstream ...
        assert pypi.count(pypi.page("demo")) == 2

Paths have no slash at the beginning. What is changed shows at once.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.parser import BytesHeaderParser
from enum import StrEnum
from html import escape
from typing import Any, Self

from packaging.utils import canonicalize_name, parse_sdist_filename, parse_wheel_filename

from tests.support.fake_server import EPOCH, FakeServer

LIST = "simple/"
JSON, HTML = "application/vnd.pypi.simple.v1+json", "text/html; charset=utf-8"


class Form(StrEnum):
    """How an upstream answers, whatever is asked for: of mirrors there are all of these."""

    JSON = "JSON"
    HTML = "HTML"
    HTML_WITH_TIMES = "HTML with data-upload-time"
    HTML_WITH_API = "HTML beside /pypi/{project}/json"


@dataclass(frozen=True, slots=True)
class Upload:
    """One file of an index and what is told of it.

    `uploaded` is None where nobody gives a time; `has_metadata` says whether the metadata is offered beside the file,
    `metadata_hash` what the page tells as its hash.
    """

    project: str
    name: str
    data: bytes
    uploaded: datetime | None
    requires_python: str | None = None
    yanked: str | None = None
    metadata: bytes = b""
    has_metadata: bool = True
    metadata_hash: str = ""
    provenance: str | None = None
    sha256: str = ""

    @property
    def path(self) -> str:
        return f"files/{self.sha256[:4]}/{self.name}"

    @property
    def time(self) -> str | None:
        """PEP 700: UTC, with as many digits as there are."""
        return self.uploaded.astimezone(UTC).isoformat().replace("+00:00", "Z") if self.uploaded else None

    @property
    def version(self) -> str:
        parse = parse_wheel_filename if self.name.endswith(".whl") else parse_sdist_filename
        return str(parse(self.name)[1])


@dataclass(slots=True)
class Project:
    """A project: its files by name, in the order in which they came, and its status (PEP 792)."""

    name: str
    uploads: dict[str, Upload] = field(default_factory=dict)
    status: str = "active"
    reason: str | None = None


class FakePypi(FakeServer):
    """An index at `upstream`, in one of the forms that mirrors have."""

    def __init__(self, form: Form = Form.JSON) -> None:
        super().__init__()
        self.form = form
        self.serial = 0
        self._projects: dict[str, Project] = {}
        self._publish_list()

    @property
    def upstream(self) -> str:
        return f"{self.url}/simple"

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    def add(
        self,
        name: str,
        data: bytes,
        *,
        uploaded: datetime | None = EPOCH,
        project: str | None = None,
        **told: Any,
    ) -> Upload:
        """A new file; `told` are more facts of `Upload`. The same name again takes the place of the file before."""
        metadata = _metadata(name, data)
        found = BytesHeaderParser().parsebytes(metadata)
        project = project or found["Name"] or name.partition("-")[0]
        upload = Upload(
            project,
            name,
            data,
            uploaded,
            requires_python=found["Requires-Python"],
            metadata=metadata,
            has_metadata=name.endswith(".whl"),
            metadata_hash=hashlib.sha256(metadata).hexdigest(),
            sha256=hashlib.sha256(data).hexdigest(),
        )
        upload = replace(upload, **told)
        is_new = canonicalize_name(project) not in self._projects
        self._project(project).uploads[name] = upload
        self._publish(project)
        if is_new:
            self._publish_list()
        return upload

    def change(self, name: str, **facts: Any) -> Upload:
        """Tell other facts of a file, such as `yanked`."""
        project, upload = self._of(name)
        project.uploads[name] = changed = replace(upload, **facts)
        self._publish(project.name)
        return changed

    def remove(self, name: str) -> None:
        """Delete a file."""
        project, upload = self._of(name)
        del project.uploads[name]
        self._forget(upload)
        self._publish(project.name)

    def remove_project(self, name: str) -> None:
        """Delete a project: its page is gone."""
        project = self._projects.pop(canonicalize_name(name))
        for upload in project.uploads.values():
            self._forget(upload)
        with self._lock:
            self._files.pop(self.page(name), None)
            self._files.pop(self.api(name), None)
        self._publish_list()

    def tell_status(self, name: str, status: str, reason: str | None = None) -> None:
        project = self._project(name)
        project.status, project.reason = status, reason
        self._publish(name)

    def add_empty(self, *names: str) -> None:
        """Projects without files."""
        for name in names:
            self._project(name)
            self._publish(name)
        self._publish_list()

    @staticmethod
    def page(name: str) -> str:
        return f"simple/{canonicalize_name(name)}/"

    @staticmethod
    def api(name: str) -> str:
        return f"pypi/{canonicalize_name(name)}/json"

    def uploads(self, name: str) -> list[Upload]:
        """The files of a project in the order in which they came."""
        return list(self._projects[canonicalize_name(name)].uploads.values())

    def upload(self, name: str) -> Upload:
        """The file of that name."""
        return self._of(name)[1]

    @property
    def names(self) -> list[str]:
        return sorted(self._projects)

    def _project(self, name: str) -> Project:
        return self._projects.setdefault(canonicalize_name(name), Project(name))

    def _of(self, name: str) -> tuple[Project, Upload]:
        for project in self._projects.values():
            if name in project.uploads:
                return project, project.uploads[name]
        raise KeyError(name)

    def _forget(self, upload: Upload) -> None:
        with self._lock:
            self._files.pop(upload.path, None)
            self._files.pop(f"{upload.path}.metadata", None)

    def _publish(self, name: str) -> None:
        """Show the project as it is now, with its files."""
        project = self._project(name)
        self.serial += 1
        for upload in project.uploads.values():
            self._forget(upload)
            self.put(upload.path, upload.data)
            if upload.has_metadata:
                self.put(f"{upload.path}.metadata", upload.metadata, headers={"Content-Type": "text/plain"})
        is_json = self.form is Form.JSON
        page = self._json_page(project) if is_json else self._html_page(project).encode()
        headers = {"Content-Type": JSON if is_json else HTML, "X-PyPI-Last-Serial": str(self.serial)}
        self.put(self.page(name), page, headers=headers)
        if self.form is Form.HTML_WITH_API:
            self.put(self.api(name), self._api(project), headers={"Content-Type": "application/json"})

    def _publish_list(self) -> None:
        names = [project.name for _, project in sorted(self._projects.items())]
        if self.form is Form.JSON:
            told: dict[str, Any] = {"meta": {"api-version": "1.4"}, "projects": [{"name": name} for name in names]}
            self.put(LIST, json.dumps(told).encode(), headers={"Content-Type": JSON})
        else:
            links = "".join(f'<a href="/{self.page(name)}">{escape(name)}</a><br/>\n' for name in names)
            self.put(LIST, _html("Simple index", links).encode(), headers={"Content-Type": HTML})

    def _json_page(self, project: Project) -> bytes:
        uploads = project.uploads.values()
        told: dict[str, Any] = {
            "meta": {"api-version": "1.4", "_last-serial": self.serial},
            "name": str(canonicalize_name(project.name)),
            "versions": _versions(uploads),
            "files": [_json_file(upload, f"../../{upload.path}") for upload in uploads],
        }
        if project.status != "active":
            told["project-status"] = {"status": project.status}
            told["project-status"] |= {"reason": project.reason} if project.reason else {}
        return json.dumps(told, indent=1).encode()

    def _html_page(self, project: Project) -> str:
        has_times = self.form is Form.HTML_WITH_TIMES
        links = (_html_link(upload, has_time=has_times) for upload in project.uploads.values())
        head = ""
        if project.status != "active":
            head = f'<meta name="pypi:project-status" content="{escape(project.status)}">'
        return _html(f"Links for {project.name}", "".join(links), head)

    def _api(self, project: Project) -> bytes:
        releases: dict[str, list[dict[str, Any]]] = {}
        for upload in project.uploads.values():
            releases.setdefault(upload.version, []).append(_api_file(upload, self.url))
        told = {"info": {"name": project.name}, "releases": releases, "last_serial": self.serial}
        return json.dumps(told).encode()


def _json_file(upload: Upload, url: str) -> dict[str, Any]:
    """PEP 691, 700, 714 and 740."""
    metadata = {"sha256": upload.metadata_hash} if upload.has_metadata else False
    return {
        "filename": upload.name,
        "url": url,
        "hashes": {"sha256": upload.sha256},
        "size": len(upload.data),
        "yanked": upload.yanked if upload.yanked else upload.yanked is not None,
        "core-metadata": metadata,
        "dist-info-metadata": metadata,
        **({"requires-python": upload.requires_python} if upload.requires_python else {}),
        **({"upload-time": upload.time} if upload.time else {}),
        **({"provenance": upload.provenance} if upload.provenance else {}),
    }


def _html_link(upload: Upload, *, has_time: bool) -> str:
    """PEP 503, 592, 714 and 740."""
    told = {
        "requires-python": upload.requires_python,
        "yanked": upload.yanked,
        "core-metadata": f"sha256={upload.metadata_hash}" if upload.has_metadata else None,
        "dist-info-metadata": f"sha256={upload.metadata_hash}" if upload.has_metadata else None,
        "provenance": upload.provenance,
        "upload-time": upload.time if has_time else None,
    }
    more = "".join(f' data-{name}="{escape(value)}"' for name, value in told.items() if value is not None)
    url = f"../../{upload.path}#sha256={upload.sha256}"
    return f'<a href="{url}"{more}>{escape(upload.name)}</a><br/>\n'


def _api_file(upload: Upload, base: str) -> dict[str, Any]:
    return {
        "filename": upload.name,
        "url": f"{base}/{upload.path}",
        "digests": {"sha256": upload.sha256, "md5": hashlib.md5(upload.data, usedforsecurity=False).hexdigest()},
        "size": len(upload.data),
        "upload_time_iso_8601": upload.time,
        "requires_python": upload.requires_python,
        "yanked": upload.yanked is not None,
        "yanked_reason": upload.yanked or None,
    }


def _html(title: str, body: str, head: str = "") -> str:
    return (
        f'<!DOCTYPE html>\n<html>\n<head><meta name="pypi:repository-version" content="1.4">{head}'
        f"<title>{escape(title)}</title></head>\n<body>\n<h1>{escape(title)}</h1>\n{body}</body>\n</html>\n"
    )


def _versions(uploads: Iterable[Upload]) -> list[str]:
    return list(dict.fromkeys(upload.version for upload in uploads))


def _metadata(name: str, data: bytes) -> bytes:
    """METADATA or PKG-INFO; nothing for bytes that are no distribution."""
    try:
        if name.endswith((".whl", ".zip")):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                path = next(path for path in archive.namelist() if path.endswith((".dist-info/METADATA", "/PKG-INFO")))
                return archive.read(path)
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            path = next(path for path in tar.getnames() if path.endswith("/PKG-INFO"))
            found = tar.extractfile(path)
            return found.read() if found else b""
    except (zipfile.BadZipFile, tarfile.TarError, StopIteration):
        return b""
