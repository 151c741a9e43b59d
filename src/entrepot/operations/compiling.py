"""One run of a build target: each package whose binary is missing or out of date is built, dependencies first.

What came of a build is written in the transaction that shows its binary. So a run that is killed is begun again with
the rows as they were, and what was published is not built again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.errors import (
    BuildFailed,
    Cancelled,
    Conflict,
    EntrepotError,
    InvalidArchive,
    NotFound,
    Unavailable,
    UpstreamInvalid,
    UpstreamUnavailable,
)
from entrepot.core.jobs import Log, Report
from entrepot.core.model import Listed, PackageName, TransactionId
from entrepot.core.platforms import ANY, System
from entrepot.core.room import needs_room
from entrepot.core.targets import BUILT, FAILED, BinaryBuild, Target, inputs_of
from entrepot.db import targets as db_targets
from entrepot.ecosystems.r import paths
from entrepot.operations import binaries, building
from entrepot.operations.binaryplans import Key, Node, Plan, make_plan
from entrepot.operations.buildlogs import BuildLog
from entrepot.operations.gathering import Gathering
from entrepot.operations.rbinaries import FoundR, Making, Place, place_of
from entrepot.operations.uploads import Checked, Upload, checked_binary
from entrepot.sandbox.places import remove_tree
from entrepot.settings import Settings
from entrepot.storage import Key as StoreKey

_log = logging.getLogger(__name__)
_MOST_LIBRARY = 2000
"""Packages in the library of one build."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """What came of one package: its binary's transaction, or why there is none.

    `status` is built, failed or skipped.
    """

    source: str
    package: PackageName
    version: str
    status: str
    transaction: TransactionId | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run did: what it tried or skipped, in order, and how many packages had what they need."""

    target: Target
    done: tuple[Compiled, ...]
    ready: int

    def of(self, status: str) -> list[Compiled]:
        return [each for each in self.done if each.status == status]


@dataclass(slots=True)
class _Run:
    """What each step of a run needs, and what it found so far.

    `ready` are packages with a binary: a listed one, or what the store has of one that was built now. `blocked` are the
    others, with the reason.
    """

    app: App
    target: Target
    place: Place
    found: FoundR
    folder: Path
    plan: Plan
    actor: str
    report: Report
    log: Log
    step: str = "looking at the packages"
    number: int = 0
    ready: dict[Key, Listed | StoreKey] = field(default_factory=dict)
    blocked: dict[Key, str] = field(default_factory=dict)
    unfetched: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Tell how far the run is. Raises Cancelled when it shall end."""
        self.report(self.step, self.number, len(self.plan.nodes))

    def source(self, node: Node) -> str:
        return self.plan.sources[node.key.source_id].name


def run(app: App, target_id: int, *, actor: str, report: Report, log: Log) -> Ran | None:
    """Bring the binaries of a target's sources, and of all that they need, up to date; None if it was deleted.

    Raises:
        Cancelled: by `report`; what was published stays.
        EntrepotError: nothing can be built now; it is written down as the target's fault.
    """
    with app.db.read() as connection:
        target = db_targets.by_id(connection, target_id)
    if target is None:
        return None
    try:
        with building.work_folder(app) as folder, needs_room("binary packages could not be built"):
            return _run(app, target, folder, actor=actor, report=report, log=log)
    except Cancelled:
        raise
    except EntrepotError as error:
        _finish(app, target, fault=error.message + (f"; {error.hint}" if error.hint else ""))
        raise


def _run(app: App, target: Target, folder: Path, *, actor: str, report: Report, log: Log) -> Ran:
    def check() -> None:
        report(f"looking at R for {target.name}", 0, 0)

    check()
    place = open_place(app.settings, target)
    found = place.ask(folder, check=check)
    _check_r(target, found)
    log(f"R {found.version} on {found.arch}, for {target.distribution}")
    gathering = Gathering(app, folder, "packages that nobody has read", log, check)
    plan = make_plan(app, target, found.packages, gathering, log=log)
    this = _Run(app, target, place, found, folder, plan, actor, report, log)
    done = _all(this)
    ran = Ran(target, tuple(done), len(this.ready))
    _finish(app, target, fault=_fault(this), r_version=found.version, seen=plan.upto)
    return ran


def open_place(settings: Settings, target: Target) -> Place:
    """Where a target's packages are built. Raises SandboxUnavailable, Invalid."""
    return place_of(settings, target, None if target.command else building.sandbox_of(settings))


def _check_r(target: Target, found: FoundR) -> None:
    """Raises Unavailable: the R is another one than the target was made for."""
    if (found.minor, found.arch) != (target.r_minor, target.arch):
        raise Unavailable(
            f"R of the build target {target.name} is {found.version} on {found.arch} now; it was made for "
            f"{target.r_minor} on {target.arch}",
            hint="make another build target for it, and delete this one",
        )


def _fault(this: _Run) -> str | None:
    """Why the run has to be made again, though nothing changed here."""
    number = len(this.unfetched) + this.plan.unread
    if not number:
        return None
    named = f", such as {this.unfetched[0]}" if this.unfetched else ""
    return f"{number} packages could not be fetched{named}"


def _finish(
    app: App, target: Target, *, fault: str | None, r_version: str | None = None, seen: TransactionId | None = None
) -> None:
    """Write down what became of a run; without a fault it needs not be made again until something changes."""
    values: dict[str, object] = {"fault": fault}
    if fault is None and seen is not None:
        values["seen"] = seen
    if r_version is not None:
        values["r_version"] = r_version
    with app.db.write(shows=False) as connection:
        if db_targets.by_id(connection, target.id) is not None:
            db_targets.change(connection, target.id, **values)


# --- packages ------------------------------------------------------------------------------------------------------


def _all(this: _Run) -> list[Compiled]:
    with this.app.db.read() as connection:
        lasts = db_targets.last_builds(connection, this.target.id, this.plan.sources)
    done = []
    for number, node in enumerate(this.plan.nodes.values()):
        this.number = number
        this.check()
        came = _bring(this, node, lasts)
        if came is not None:
            done.append(came)
        if node.key not in this.ready:
            this.blocked.setdefault(node.key, "has no binary")
    for node in this.plan.circular:
        done.append(_skipped(this, node, "needs packages that need each other in a circle"))
    return done


def _bring(this: _Run, node: Node, lasts: Mapping[tuple[int, PackageName, str], BinaryBuild]) -> Compiled | None:
    """See that a package has a binary which is up to date; None if there was nothing to do."""
    file = node.listed.file
    inputs = inputs_of(file.id, this.target.r_minor, this.plan.linking(node))
    last = lasts.get((node.key.source_id, node.key.package, file.version))
    binary = this.plan.worlds.binary(node.listed, this.target.platforms)
    if last is not None and last.inputs == inputs and not last.is_built:
        this.blocked[node.key] = "failed before"
        return None
    if binary is not None and (last is None or last.inputs == inputs):
        this.ready[node.key] = binary
        return None
    if last is not None and last.inputs == inputs:
        this.blocked[node.key] = "has a binary that was removed"
        return None
    if node.fault is not None:
        return _skipped(this, node, node.fault)
    for key in this.plan.library(node):
        if key not in this.ready:
            why = this.blocked.get(key, "has no binary")
            return _skipped(this, node, f"needs {key.package}, which {why}")
    return _attempt(this, node, inputs, is_known=binary is not None or last is not None)


def _skipped(this: _Run, node: Node, reason: str) -> Compiled:
    this.blocked[node.key] = "was skipped"
    this.log(f"{node.label}: {reason}")
    return Compiled(this.source(node), node.key.package, node.listed.file.version, "skipped", reason=reason)


@dataclass(frozen=True, slots=True)
class _Trying:
    """An attempt that is under way."""

    node: Node
    inputs: str
    linking: Mapping[str, str]
    started: datetime
    log: BuildLog


def _attempt(this: _Run, node: Node, inputs: str, *, is_known: bool) -> Compiled:
    """Build and publish one package. A failure is an outcome like another one.

    Raises:
        Cancelled; SandboxUnavailable, Unavailable, OutOfSpace: nothing can be built now.
    """
    this.step = f"{node.label} of {this.source(node)}, for {this.target.name}"
    this.check()
    trying = _Trying(node, inputs, this.plan.linking(node), this.app.clock(), BuildLog(this.log))
    trying.log(f"{node.label} of source {this.source(node)}, for {this.target.platform.shown}, R {this.found.version}")
    folder = this.folder / "build"
    folder.mkdir(mode=0o755)
    try:
        checked, arch = _build(this, trying, folder)
        return _publish(this, trying, checked, arch, is_known=is_known)
    except BuildFailed as error:
        return _record_failure(this, trying, error)
    except (UpstreamUnavailable, UpstreamInvalid) as error:
        this.unfetched.append(node.label)
        return _skipped(this, node, f"can't be fetched: {error.message}")
    except EntrepotError:
        raise
    except Exception:
        # Recorded all the same, or it would be tried again at each run.
        _log.exception("building %s for %s failed", node.label, this.target.name)
        unexpected = BuildFailed("an error of the server that nobody expected", hint="its log has the details")
        return _record_failure(this, trying, unexpected)
    finally:
        remove_tree(folder)


def _build(this: _Run, trying: _Trying, folder: Path) -> tuple[Checked, str]:
    """The binary package, read and found to be what was asked for, and the architecture that it is for."""
    node = trying.node
    library = this.plan.library(node)
    if len(library) > _MOST_LIBRARY:
        raise BuildFailed(f"it needs more than {_MOST_LIBRARY:,} packages")
    needed = folder / "needed"
    needed.mkdir(mode=0o755)
    gathering = Gathering(this.app, needed, "the packages that it needs", trying.log, this.check)
    source = paths.file_name(node.key.package, node.listed.file.version)
    gathering.put(node.listed, source)
    names = [_put(this, gathering, key) for key in library]
    trying.log(f"with {len(names)} other packages in its library")
    making = Making(node.key.package, node.listed.file.version, needed, source, names)
    result = folder / source
    this.place.compile(making, result, log=trying.log, check=this.check)
    return _checked(this, node, result)


def _put(this: _Run, gathering: Gathering, key: Key) -> str:
    """A binary in the folder of a build: the name that it has there."""
    name = f"library-{key.package}.tar.gz"
    binary = this.ready[key]
    if isinstance(binary, StoreKey):
        gathering.put_stored(binary, name)
    else:
        gathering.put(binary, name)
    return name


def _checked(this: _Run, node: Node, result: Path) -> tuple[Checked, str]:
    """Raises BuildFailed: it isn't the binary package that was asked for."""
    name, version, target = node.key.package, node.listed.file.version, this.target
    if not result.stat().st_size:
        raise BuildFailed("R CMD INSTALL made no binary package")
    try:
        checked, package = checked_binary(Upload(result.name, result))
    except InvalidArchive as error:
        raise BuildFailed(f"what R CMD INSTALL made is not a binary package: {error.message}") from error
    if (package.name, package.version) != (name, version):
        raise BuildFailed(f"the build gave {package.name} {package.version}, not {name} {version}")
    told = FoundR(package.r, package.arch, {})
    if package.system is not System.LINUX or told.minor != target.r_minor or told.arch not in (target.arch, ANY):
        raise BuildFailed(
            f"the build gave a binary for R {package.r}, {package.arch}, not for {target.platform.shown}",
            hint="the R of the build target changed: make another one",
        )
    return checked, package.arch


# --- what became of it ---------------------------------------------------------------------------------------------


def _publish(this: _Run, trying: _Trying, checked: Checked, arch: str, *, is_known: bool) -> Compiled:
    """Show the binary and record the attempt, all at once."""
    node, target = trying.node, this.target
    platform = replace(target.platform, arch=arch)
    owner = this.plan.sources[node.key.source_id]
    said = f"built {node.label} for {platform.shown}"
    trying.log(said)

    def also(connection: Connection, transaction: TransactionId | None) -> None:
        if db_targets.by_id(connection, target.id) is None:
            raise NotFound(f"the build target {target.name} was deleted")
        _add_row(this, trying, connection, platform.path, BUILT, transaction=transaction)

    try:
        outcome = binaries.publish(
            this.app,
            owner,
            checked,
            platform,
            actor=this.actor or target.name,
            message=f"{said}, by {target.name}",
            replace=is_known,
            built_from=node.listed.file.id,
            also=also,
        )
    except (NotFound, Conflict) as error:
        return _skipped(this, node, f"is not published: {error.message}")
    this.ready[node.key] = StoreKey.blob(checked.digests.sha256)
    return Compiled(this.source(node), checked.package, checked.version, BUILT, outcome.transaction)


def _record_failure(this: _Run, trying: _Trying, error: BuildFailed) -> Compiled:
    node = trying.node
    trying.log(f"failed: {error.message}" + (f" ({error.hint})" if error.hint else ""))
    with this.app.db.write(shows=False) as connection:
        if db_targets.by_id(connection, this.target.id) is not None:
            _add_row(this, trying, connection, this.target.platform.path, FAILED, error=error)
    this.blocked[node.key] = "failed"
    return Compiled(this.source(node), node.key.package, node.listed.file.version, FAILED, reason=error.message)


def _add_row(
    this: _Run,
    trying: _Trying,
    connection: Connection,
    platform: str,
    status: str,
    *,
    transaction: TransactionId | None = None,
    error: BuildFailed | None = None,
) -> None:
    node = trying.node
    db_targets.add_build(
        connection,
        trying.log.text,
        target_id=this.target.id,
        source_id=node.key.source_id,
        package=node.key.package,
        version=node.listed.file.version,
        platform=platform,
        inputs=trying.inputs,
        linking=dict(trying.linking),
        status=status,
        exit_code=0 if error is None else error.payload.get("status"),
        error=None if error is None else error.message,
        started=trying.started,
        finished=this.app.clock(),
        transaction_id=transaction,
    )
