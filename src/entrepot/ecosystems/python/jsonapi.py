"""The JSON API beside the Simple one: a project or one version of it, in the shape that the public index gives it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from packaging.metadata import parse_email
from packaging.utils import canonicalize_version
from packaging.version import InvalidVersion, Version
from pydantic_core import to_json

from entrepot.core.model import PackageName
from entrepot.ecosystems.python.names import LONGEST, parse_file_name
from entrepot.ecosystems.python.simple import ProjectView, Shown, time_text

Releases = Mapping[str, Sequence[Shown]]
"""Version -> its files; versions in ascending order."""

_TEXTS = {
    "author": "author",
    "author_email": "author_email",
    "description": "description",
    "description_content_type": "description_content_type",
    "download_url": "download_url",
    "home_page": "home_page",
    "license": "license",
    "license_expression": "license_expression",
    "maintainer": "maintainer",
    "maintainer_email": "maintainer_email",
    "summary": "summary",
}
_LISTS = {
    "dynamic": "dynamic",
    "license_files": "license_files",
    "provides_extra": "provides_extra",
    "requires_dist": "requires_dist",
}
_TYPES = {".egg": "bdist_egg", ".exe": "bdist_wininst", ".msi": "bdist_msi", ".rpm": "bdist_rpm", ".dmg": "bdist_dmg"}


def releases(view: ProjectView) -> Releases:
    """The files of each version, ascending; equal versions (1.0, 1.0.0) are one, under the spelling that came first."""
    found: dict[str, list[Shown]] = {}
    spelled: dict[str, str] = {}
    for shown in view.files:
        if shown.file.version:
            same = canonicalize_version(shown.file.version)
            found.setdefault(spelled.setdefault(same, shown.file.version), []).append(shown)
    return dict(sorted(found.items(), key=lambda release: version_key(release[0])))


def find_version(known: Releases, version: str) -> str | None:
    """A version as `known` spells it; None if it has none that equals `version`."""
    if len(version) > LONGEST:
        return None
    wanted = canonicalize_version(version)
    return next((each for each in known if canonicalize_version(each) == wanted), None)


def latest_version(known: Releases) -> str | None:
    """The highest that is final and not wholly yanked; else the highest pre-release that isn't, else the highest."""

    def rank(version: str) -> tuple[bool, bool, bool, Version]:
        is_version, parsed = version_key(version)
        return is_version, not _is_yanked(known[version]), not parsed.is_prerelease, parsed

    return max(known, key=rank, default=None)


def version_key(version: str) -> tuple[bool, Version]:
    """For sorting: what is no version (PEP 440) comes before all that are."""
    try:
        return True, Version(version)
    except InvalidVersion:
        return False, Version("0")


def _is_yanked(files: Sequence[Shown]) -> bool:
    return all(shown.entry.yanked is not None for shown in files)


def described_by(files: Sequence[Shown]) -> Shown | None:
    """The file of a version whose metadata document tells of all of it: a wheel, else another; None if none has one."""
    offered = [shown for shown in files if shown.metadata is not None]
    return next((shown for shown in offered if shown.file.name.endswith(".whl")), next(iter(offered), None))


def render_project(view: ProjectView, known: Releases, latest: str, metadata: bytes | None, files_at: str) -> bytes:
    """`/pypi/{project}/json`: about the latest version, with the files of all. Links begin with `files_at`, as
    clients of this API don't resolve relative ones."""
    folder = f"{files_at}{view.project}/"
    told = {version: [_file(shown, folder) for shown in files] for version, files in known.items()}
    return _render(view, latest, known[latest], metadata, {"releases": told, "urls": told[latest]})


def render_version(
    view: ProjectView, version: str, files: Sequence[Shown], metadata: bytes | None, files_at: str
) -> bytes:
    """`/pypi/{project}/{version}/json`: about one version, with its files."""
    folder = f"{files_at}{view.project}/"
    return _render(view, version, files, metadata, {"urls": [_file(shown, folder) for shown in files]})


def _render(
    view: ProjectView, version: str, files: Sequence[Shown], metadata: bytes | None, told: Mapping[str, Any]
) -> bytes:
    last = max(shown.file.id for shown in view.files)
    info = _info(view, version, files, metadata)
    return to_json({"info": info, "last_serial": last, **told, "vulnerabilities": []})


def _info(view: ProjectView, version: str, files: Sequence[Shown], metadata: bytes | None) -> dict[str, Any]:
    raw: Mapping[str, Any] = parse_email(metadata)[0] if metadata is not None else {}
    yanked = _is_yanked(files)
    reasons = (shown.entry.yanked for shown in files if shown.entry.yanked)
    conditions = (shown.entry.requires_python for shown in files if shown.entry.requires_python)
    info = {ours: raw.get(theirs) for ours, theirs in _TEXTS.items()}
    info |= {ours: raw.get(theirs) or None for ours, theirs in _LISTS.items()}
    info |= {
        "bugtrack_url": None,
        "classifiers": raw.get("classifiers", []),
        "docs_url": None,
        "downloads": {"last_day": -1, "last_month": -1, "last_week": -1},
        "keywords": ",".join(raw.get("keywords", [])) or None,
        "name": raw.get("name") or (view.about.name if view.about else view.project),
        "package_url": None,
        "platform": ",".join(raw.get("platforms", [])) or None,
        "project_url": None,
        "project_urls": raw.get("project_urls") or None,
        "release_url": None,
        "requires_python": raw.get("requires_python") or next(conditions, None),
        "version": version,
        "yanked": yanked,
        "yanked_reason": next(reasons, None) if yanked else None,
    }
    return dict(sorted(info.items()))


def _file(shown: Shown, folder: str) -> dict[str, Any]:
    file, entry = shown.file, shown.entry
    whole = time_text(file.published_at)
    return {
        "comment_text": None,
        "digests": dict(sorted((shown.hashes | ({"md5": file.md5} if file.md5 else {})).items())),
        "downloads": -1,
        "filename": file.name,
        "has_sig": bool(entry.has_signature),
        "md5_digest": file.md5,
        "packagetype": _package_type(file.package, file.name),
        "python_version": _python_version(file.package, file.name),
        "requires_python": entry.requires_python,
        "size": file.size,
        "upload_time": whole.removesuffix("Z") if whole else None,
        "upload_time_iso_8601": shown.upload_time,
        "url": folder + quote(file.name),
        "yanked": entry.yanked is not None,
        "yanked_reason": entry.yanked or None,
    }


def _package_type(project: PackageName, name: str) -> str:
    kind = parse_file_name(project, name).kind
    if kind == "wheel":
        return "bdist_wheel"
    return "sdist" if kind == "sdist" else _TYPES.get(name[name.rfind(".") :], "bdist_dumb")


def _python_version(project: PackageName, name: str) -> str:
    """The tag of a wheel (`py3`), the version in the name of an egg or installer (`2.7`), else `source`."""
    stem, _, suffix = name.rpartition(".")
    if suffix == "whl":
        tags = stem.split("-")
        return tags[-3] if len(tags) >= 5 else "any"
    tag = next((part[2:] for part in stem.split("-")[2:] if part.startswith("py")), "")
    if tag:
        return tag
    return "source" if parse_file_name(project, name).kind == "sdist" else "any"
