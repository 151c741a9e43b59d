"""One run of a Git builder: a look at its endpoint, then each commit or tag that waits, built and published.

What is new is written down before anything is built, and what came of an attempt in the transaction that publishes it.
So a run that is killed is begun again where it was, and nothing is published twice.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from entrepot.app import App
from entrepot.core.errors import BuildFailed, Cancelled, EntrepotError
from entrepot.core.gitbuilds import Builder, News, Trigger, Update, UpdateState, news_of_branch, news_of_tags
from entrepot.core.jobs import Log, Report
from entrepot.core.model import Source, SourceType
from entrepot.core.room import needs_room
from entrepot.db import builders as db_builders
from entrepot.db import sources as db_sources
from entrepot.git import operation as git_operation
from entrepot.git.checkout import Checkout
from entrepot.git.client import GitClient, Login, Refs
from entrepot.operations import credentials, publishing, pythonbuilds, rbuilds
from entrepot.operations.buildlogs import BuildLog
from entrepot.operations.builds import Ask, Build, Built, Named
from entrepot.operations.publishing import Attempted, Trying
from entrepot.operations.uploads import RULES, Checked, Upload, check, store
from entrepot.sandbox import places
from entrepot.sandbox.box import Sandbox, open_sandbox, workplace
from entrepot.sandbox.places import remove_tree
from entrepot.sandbox.task import Check, Limits
from entrepot.settings import Settings

_log = logging.getLogger(__name__)

BUILDING = "building-"
"""What names of folders of builds begin with."""
POLL = "git"
"""The actor of runs that a poll began."""


class Program(Protocol):
    """An interpreter that builds."""

    @property
    def path(self) -> Path: ...

    @property
    def version(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Language:
    """What differs between the types of sources that are built."""

    read_name: Named
    build: Build
    find: Callable[[Settings], Program]


LANGUAGES: Mapping[SourceType, Language] = {
    SourceType.GIT: Language(rbuilds.read_name, rbuilds.build_r, rbuilds.find_r),
    SourceType.GIT_PYTHON: Language(pythonbuilds.read_name, pythonbuilds.build_python, pythonbuilds.find_python),
}


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run did: its attempts in order, and the versions that went because their tags did."""

    package: str
    attempts: tuple[Attempted, ...]
    removed: tuple[str, ...]

    @property
    def failed(self) -> list[Attempted]:
        return [attempt for attempt in self.attempts if attempt.error is not None]


@dataclass(frozen=True, slots=True)
class _Run:
    """What each step of a run needs."""

    app: App
    builder: Builder
    source: Source
    login: Login | None
    actor: str
    report: Report
    log: Log
    step: str = ""
    number: int = 0
    total: int = 0

    def check(self) -> None:
        """Tell how far the run is. Raises Cancelled when it shall end."""
        self.report(self.step, self.number, self.total)


def sweep(data_dir: Path) -> None:
    """Remove what builds of processes that were killed left behind; for a server's or worker's start."""
    for left in (data_dir / "tmp").glob(f"{BUILDING}*"):
        remove_tree(left)
    git_operation.sweep(data_dir / "tmp")
    places.sweep()


def sandbox_of(settings: Settings) -> Sandbox:
    """What builds run in. Raises SandboxUnavailable."""
    git = settings.git
    limits = Limits(seconds=git.build_time, memory=git.build_memory, disk=git.build_disk, processes=git.build_processes)
    return open_sandbox(limits=limits, allow_unsandboxed=git.allow_unsandboxed)


def check_can_build(settings: Settings, type_: SourceType) -> str:
    """What builds packages of sources of that type, and in what, in one line.

    Raises:
        SandboxUnavailable, Unavailable, InvalidSettings: nothing does; the hint says what is to be installed or set.
    """
    sandbox = sandbox_of(settings)
    program = LANGUAGES[type_].find(settings)
    where = "in a sandbox" if sandbox.is_isolated else "WITHOUT a sandbox, as [git] allow_unsandboxed says"
    return f"{program.path} ({program.version}), {where}"


def can_build(app: App, type_: SourceType) -> bool:
    """Whether packages of sources of that type can be built here; looked at anew each minute."""
    return app.can_build.get((type_, int(app.clock().timestamp() // 60)), lambda: _can_build(app.settings, type_))


def _can_build(settings: Settings, type_: SourceType) -> bool:
    try:
        check_can_build(settings, type_)
    except EntrepotError:
        return False
    return True


def git_of(app: App) -> GitClient:
    """How endpoints are asked."""
    git, data_dir = app.settings.git, app.settings.server.data_dir
    return GitClient(
        scratch=data_dir / "tmp",
        known_hosts=Path(git.known_hosts) if git.known_hosts else None,
        recorded_hosts=data_dir / "known_hosts",
        allow_file=git.allow_file,
        max_checkout=git.max_checkout,
    )


def has_news(app: App, builder: Builder, updates: Sequence[Update], *, check: Check) -> bool:
    """Look at an endpoint without writing anything: whether a run would have something to do, or to tell.

    Args:
        updates: all that is known of it.
    """
    try:
        refs = git_of(app).refs(builder.url, _login(app, builder), log=lambda _: None, check=check)
    except Cancelled:
        raise
    except EntrepotError as error:
        return error.message != builder.fault
    try:
        return bool(_news(builder, refs, updates)) or builder.fault is not None
    except BuildFailed as error:
        return error.message != builder.fault


def run(app: App, builder_id: int, *, actor: str, report: Report, log: Log) -> Ran | None:
    """Look at a builder's endpoint and build what waits; None if there is no such builder any more.

    Raises:
        Cancelled: by `report`; what was published stays.
        EntrepotError: the endpoint can't be looked at.
    """
    with app.db.read() as connection:
        builder = db_builders.by_id(connection, builder_id)
        if builder is None:
            return None
        source = db_sources.by_id(connection, builder.source_id)
    this = _Run(app, builder, source, None, actor, report, log, step=f"looking at {builder.url}")
    this.check()
    this, refs = _look(this)
    removed = _note(this, refs)
    attempts = tuple(_attempts(this, refs))
    with app.db.read() as connection:
        named = db_builders.by_id(connection, builder_id)
    return Ran((named or builder).label, attempts, removed)


def _login(app: App, builder: Builder) -> Login | None:
    return None if builder.credential_id is None else credentials.login_of(app, builder.credential_id)


# --- the endpoint --------------------------------------------------------------------------------------------------


def _look(this: _Run) -> tuple[_Run, Refs]:
    """The run with its login, and the refs of the endpoint; a failure is recorded before it is raised."""
    started, log = this.app.clock(), BuildLog(this.log)
    try:
        this = replace(this, login=_login(this.app, this.builder))
        refs = git_of(this.app).refs(this.builder.url, this.login, log=log, check=this.check)
        _news(this.builder, refs, [])
    except Cancelled:
        raise
    except EntrepotError as error:
        log(f"{this.builder.url} could not be looked at: {error.message}")
        publishing.record_fault(
            this.app,
            this.builder,
            error,
            log.text,
            started=started,
            actor=this.actor,
            always=this.actor != POLL,
        )
        raise
    return this, refs


def _news(builder: Builder, refs: Refs, updates: Sequence[Update]) -> News:
    """Raises BuildFailed: the branch isn't there."""
    if builder.trigger is Trigger.TAGS:
        return news_of_tags({name: tag.sha for name, tag in refs.tags.items()}, updates)
    branch = _branch(builder, refs)
    if branch is None or branch not in refs.branches:
        what = f"has no branch {branch!r}" if branch else "has no commit yet"
        raise BuildFailed(f"{builder.url} {what}", hint="`entrepot edit git-builder --branch` names another one")
    return news_of_branch(refs.branches[branch], updates)


def _branch(builder: Builder, refs: Refs) -> str | None:
    return builder.branch or refs.head


def _note(this: _Run, refs: Refs) -> tuple[str, ...]:
    """Write down what is new; the versions that are removed, since their tags are gone."""
    with this.app.db.read() as connection:
        updates = db_builders.updates(connection, [this.builder.id])[this.builder.id]
    if not _news(this.builder, refs, updates) and this.builder.fault is None:
        return ()
    with this.app.db.write() as connection:
        # Anew: two runs at once would find the same twice.
        updates = db_builders.updates(connection, [this.builder.id])[this.builder.id]
        news = _news(this.builder, refs, updates)
        now = this.app.clock()
        for tag, sha in news.new:
            db_builders.add_update(connection, this.builder.id, tag=tag, sha=sha, seen=now)
        for update in news.superseded:
            db_builders.change_update(connection, update.id, state=UpdateState.SUPERSEDED, due=None)
        for update in news.confirmed:
            db_builders.change_update(connection, update.id, state=UpdateState.BUILT)
        for update in news.again:
            db_builders.change_update(connection, update.id, state=UpdateState.WAITING, attempts=0, due=None)
        if this.builder.fault is not None:
            db_builders.change(connection, this.builder.id, fault=None)
        return publishing.remove_gone(this.app, connection, this.builder, this.source, news.gone, actor=this.actor)


# --- attempts ------------------------------------------------------------------------------------------------------


def _attempts(this: _Run, refs: Refs) -> Iterator[Attempted]:
    """Try each update that is due, once."""
    with this.app.db.read() as connection:
        updates = db_builders.updates(connection, [this.builder.id])[this.builder.id]
    now = this.app.clock()
    due = [update for update in updates if update.is_due(now)]
    for number, update in enumerate(due):
        step = replace(this, step=f"{update.label} of {this.builder.url}", number=number, total=len(due))
        step.check()
        yield _attempt(step, refs, update)


def _attempt(this: _Run, refs: Refs, update: Update) -> Attempted:
    """Build and publish one update. A failure is an outcome like another one; only Cancelled is raised."""
    log = BuildLog(this.log)
    trying = Trying(this.app, this.builder, this.source, update, this.actor, this.app.clock(), log)
    log(f"{trying.where}, {this.builder.url}")
    try:
        with work_folder(this.app) as folder, needs_room("the package could not be built"):
            checkout = _checkout(this, refs, update, folder / "tree", log)
            trying = replace(trying, update=replace(update, made=checkout.made))
            built = _build(this, _ask(this, update, checkout), folder / "built", log)
            checked = _checked(this.source, built)
            store(this.app, checked)
            return publishing.publish(trying, checked)
    except Cancelled:
        raise
    except EntrepotError as error:
        log(f"failed: {error.message}" + (f" ({error.hint})" if error.hint else ""))
        return publishing.record_failure(trying, error)
    except Exception:
        # Recorded all the same, or what waits would be tried again at once, for ever.
        _log.exception("building %s of %s failed", update.label, this.builder.url)
        unexpected = BuildFailed("an error of the server that nobody expected", hint="its log has the details")
        log(f"failed: {unexpected.message}")
        return publishing.record_failure(trying, unexpected)


@contextmanager
def work_folder(app: App) -> Iterator[Path]:
    """A folder for one attempt; whoever builds run as may read below it."""
    folder = Path(tempfile.mkdtemp(prefix=BUILDING, dir=workplace(app.settings.server.data_dir)))
    try:
        folder.chmod(0o755)
        yield folder
    finally:
        remove_tree(folder)


def _checkout(this: _Run, refs: Refs, update: Update, folder: Path, log: Log) -> Checkout:
    builder = this.builder
    tag = refs.tags.get(update.tag) if update.tag is not None else None
    if update.tag is not None and (tag is None or tag.sha != update.sha):
        raise BuildFailed(f"{update.label} is not at {builder.url} any more")
    return git_of(this.app).checkout(
        builder.url,
        this.login,
        branch=_branch(builder, refs) if update.tag is None else None,
        tag=update.tag,
        commit=update.sha if tag is None else tag.commit,
        depth=builder.clone_depth,
        submodules=builder.submodules,
        folder=folder,
        log=log,
        check=this.check,
    )


def _ask(this: _Run, update: Update, checkout: Checkout) -> Ask:
    """What is to be built, with a version above all that the source ever had."""
    builder, source = this.builder, this.source
    ask = Ask(
        checkout,
        builder.sub_dir,
        builder.name,
        update.tag,
        # With a clock that is ahead no later commit could come next.
        stamp=max(0, min(checkout.time, int(this.app.clock().timestamp()))),
        newest=None,
        build_vignettes=builder.build_vignettes,
    )
    name = builder.name
    if name is None:
        name = LANGUAGES[source.type].read_name(ask)
        if name is None:
            return ask
        name = publishing.learn_name(this.app, builder, name)
    with this.app.db.read() as connection:
        ever = db_builders.versions_ever(connection, source, name)
    return replace(ask, name=name, newest=max(ever, key=RULES[source.type].rank, default=None))


def _build(this: _Run, ask: Ask, folder: Path, log: Log) -> Built:
    folder.mkdir()
    sandbox = sandbox_of(this.app.settings)
    if not sandbox.is_isolated:
        log("this is built without a sandbox: [git] allow_unsandboxed")
    return LANGUAGES[this.source.type].build(this.app, sandbox, ask, folder, log=log, check=this.check)


def _checked(source: Source, built: Built) -> list[Checked]:
    """What was built, checked as uploads are. Raises InvalidArchive, Invalid, InvalidBatch, BuildFailed."""
    checked = check([Upload(path.name, path) for path in built.files], RULES[source.type])
    for item in checked:
        if item.package != built.package:
            raise BuildFailed(f"the build gave a package named {item.package!r}, not {built.package!r}")
    return checked
