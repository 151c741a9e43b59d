"""Where the rules of system requirements come from: a folder, an archive or a Git repository, read as a whole."""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cronsim import CronSim
from pydantic_core import to_json

from entrepot.app import App
from entrepot.core.errors import EntrepotError, Invalid, InvalidArchive, UpstreamInvalid, UpstreamLacksFile
from entrepot.core.jobs import Log, Report
from entrepot.core.urls import shown
from entrepot.db import jobs as db_jobs
from entrepot.db import sysreqs as db_sysreqs
from entrepot.db.jobs import Job
from entrepot.db.sysreqs import RulesRead
from entrepot.ecosystems.archives.tar import Tar
from entrepot.ecosystems.archives.zips import Zip
from entrepot.ecosystems.r import rdsunpack, sysreqs
from entrepot.operations.building import git_of

JOB = "sysreqs"
LARGEST_ARCHIVE = 64 * 1024**2
LARGEST_UNPACKED = 256 * 1024**2
MOST_FILES = 100_000
MOST_FAULTS = 1000
_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".zip")

Open = Callable[[str], bytes]


@dataclass(frozen=True, slots=True)
class Read:
    """What reading the rules brought: how many there are, the faults, and whether anything is other than before."""

    told: RulesRead
    rules: int
    is_new: bool


def request(app: App, *, actor: str) -> Job:
    """The job that reads the rules: the one that waits or runs already, else a new one.

    Raises:
        Invalid: the settings name no rules.
    """
    _origin(app)
    with app.db.write(shows=False) as connection:
        job, _ = db_jobs.request(connection, kind=JOB, source_id=None, payload={}, actor=actor, now=app.clock())
        return job


def is_due(app: App) -> bool:
    """Whether the schedule wants the rules to be read now: they never were, or not since it last said so."""
    settings = app.settings.sysreqs
    if not settings.rules or not settings.sync_schedule:
        return False
    with app.db.read() as connection:
        jobs, _ = db_jobs.page(connection, kind=JOB, limit=1, offset=0)
    return not jobs or (
        bool(jobs[0].finished) and next(CronSim(settings.sync_schedule, jobs[0].created)) <= app.clock()
    )


def read(app: App, *, report: Report, log: Log) -> Read:
    """Read all rules and use them from now on; nothing is written where they are as before.

    Raises:
        Invalid: the settings name no rules, or something in which there are none.
        UpstreamUnavailable, UpstreamInvalid, BuildFailed: they can't be fetched.
        Cancelled: by `report`.
    """
    origin = _origin(app)
    report("reading rules", 0, 0)
    files = _read(app, origin, report=report, log=log)
    if not files:
        raise Invalid(f"there are no rules in {shown(origin)}", hint="[sysreqs] rules: the folder of *.json files")
    if len(files) > sysreqs.MOST_RULES:
        raise Invalid(f"{shown(origin)} has {len(files)} rules, more than {sysreqs.MOST_RULES}")
    rules, faults = sysreqs.read_rules(files)
    for fault in faults[:MOST_FAULTS]:
        log(f"fault: {fault}")
    if not rules:
        raise Invalid(f"none of the {len(files)} rules in {shown(origin)} can be used: {faults[0]}")
    told = _told(origin, app.clock(), rules, faults[:MOST_FAULTS])
    with app.db.write(shows=False) as connection:
        before = db_sysreqs.find(connection)
        is_new = before is None or before.digest != told.digest
        if is_new:
            db_sysreqs.replace(connection, told, rules)
    return Read(told, len(rules), is_new)


def _told(origin: str, now: datetime, rules: dict[str, Any], faults: list[str]) -> RulesRead:
    said = to_json([shown(origin), sorted(rules.items()), faults])
    return RulesRead(shown(origin), now, hashlib.sha256(said).hexdigest(), tuple(faults))


def _origin(app: App) -> str:
    origin: str = app.settings.sysreqs.rules
    if not origin:
        raise Invalid(
            "there are no rules of system requirements to read",
            hint="set [sysreqs] rules to a folder, an archive or a Git URL that has them",
        )
    return origin


def _read(app: App, origin: str, *, report: Report, log: Log) -> dict[str, bytes]:
    """Rule files by their names."""
    if not app.settings.sysreqs.is_remote:
        path = Path(origin)
        if path.is_dir():
            return _of_folder(path)
        return _of_archive(origin, _read_file(path))
    if origin.lower().endswith(_ARCHIVES):
        fetched = app.fetch.get(origin, limit=LARGEST_ARCHIVE)
        if fetched is None or fetched.body is None:
            raise UpstreamLacksFile(f"there is nothing at {shown(origin)}", hint="check [sysreqs] rules")
        return _of_archive(origin, fetched.body)
    with tempfile.TemporaryDirectory(dir=app.settings.server.data_dir / "tmp") as scratch:
        folder = Path(scratch, "tree")
        _check_out(app, origin, folder, report=report, log=log)
        return _of_folder(folder)


def _check_out(app: App, url: str, folder: Path, *, report: Report, log: Log) -> None:
    """The newest commit of the default branch."""
    git = git_of(app)

    def check() -> None:
        report("reading rules", 0, 0)

    refs = git.refs(url, None, log=log, check=check)
    if refs.head is None or refs.head not in refs.branches:
        raise UpstreamInvalid(f"{shown(url)} has no default branch with a commit")
    git.checkout(
        url,
        None,
        branch=refs.head,
        tag=None,
        commit=refs.branches[refs.head],
        depth=1,
        submodules=0,
        folder=folder,
        log=log,
        check=check,
    )


def _read_file(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST_ARCHIVE:
            raise Invalid(f"{path} is larger than {LARGEST_ARCHIVE:,} bytes")
        return path.read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise Invalid(f"the rules in {path} can't be read: {reason}", hint="check [sysreqs] rules") from error


def _of_folder(folder: Path) -> dict[str, bytes]:
    """Links are not followed: a repository may be anybody's."""
    paths: list[str] = []
    for path in folder.rglob("*.json"):
        if path.is_file() and not path.is_symlink() and ".git" not in path.parts:
            paths.append(path.relative_to(folder).as_posix())
        if len(paths) > MOST_FILES:
            raise Invalid(f"{folder} has more than {MOST_FILES} files", hint="check [sysreqs] rules")
    return {name: _head(folder / path) for path, name in sysreqs.rule_files(paths).items()}


def _head(path: Path) -> bytes:
    """A file, or so much of it that it is seen to be too large."""
    try:
        with path.open("rb") as file:
            return file.read(sysreqs.LARGEST_RULE + 1)
    except OSError as error:
        raise Invalid(f"the rule {path.name} can't be read: {(error.strerror or str(error)).lower()}") from error


def _of_archive(origin: str, data: bytes) -> dict[str, bytes]:
    """Raises Invalid: no archive that can be read."""
    try:
        members = dict(_zip(data) if data.startswith(b"PK") else _tar(data))
    except EntrepotError as error:
        raise Invalid(f"{shown(origin)} is no archive that can be read: {error.message}") from error
    return {name: members[path] for path, name in sysreqs.rule_files(members).items()}


def _zip(data: bytes) -> Iterator[tuple[str, bytes]]:
    archive = Zip(lambda start, end: data[start:end], len(data), is_strict=False)
    left = LARGEST_UNPACKED
    for member in archive.members:
        if member.name.lower().endswith(".json"):
            left -= member.size
            if left < 0:
                raise InvalidArchive(f"it unpacks to more than {LARGEST_UNPACKED:,} bytes")
            yield member.name, archive.content(member, largest=LARGEST_UNPACKED)


def _tar(data: bytes) -> Iterator[tuple[str, bytes]]:
    tar = Tar(io.BytesIO(rdsunpack.unpack(data, LARGEST_UNPACKED)))
    for entry in tar:
        if entry.is_file and entry.path.lower().endswith(".json"):
            yield entry.path.removeprefix("./"), tar.content()
