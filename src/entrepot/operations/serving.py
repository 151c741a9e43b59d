"""A repository at a snapshot: opened as a view, answered by its ecosystem, files found or fetched."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.access import INSIDE, Access
from entrepot.core.answers import Answer, Ask, Document, LargeDocument, Unlearned, View
from entrepot.core.errors import FileNotListed, NeverSynced, RepositoryNotFound, UpstreamUnavailable
from entrepot.core.model import (
    File,
    Repository,
    RepositoryType,
    Source,
    SourceType,
    TransactionId,
)
from entrepot.core.platforms import BinaryAsk
from entrepot.core.snapshots import AsOfTransaction, Cut, Latest, Snapshot, parse_snapshot, resolve
from entrepot.db import repositories as db_repositories
from entrepot.db import sources as db_sources
from entrepot.db import transactions as db_transactions
from entrepot.db.engine import catalogue_version
from entrepot.db.sources import MirrorState
from entrepot.db.transactions import DatabaseHistory
from entrepot.documents import Draft, Rendered
from entrepot.ecosystems.python import pypi
from entrepot.ecosystems.r import bioconductor, cran, useragent
from entrepot.ecosystems.r.bioconductor import Asked
from entrepot.operations import bioconductor as versions
from entrepot.operations import shelves
from entrepot.operations.access import admit
from entrepot.operations.shelves import Shelf
from entrepot.operations.view import DatabaseView
from entrepot.storage import Key


class Answerer(Protocol):
    def __call__(self, ask: Ask, view: View, *, told: Callable[[File], bool]) -> Answer: ...


@dataclass(frozen=True, slots=True)
class Ecosystem:
    """How a type of repository answers.

    `choose` tells which of the forms of an index an Accept header takes; None where the path alone decides.
    `binary_ask` reads what binary packages are asked for below `__linux__`, None where there is no such place.
    """

    answer: Answerer
    choose: Callable[[str], str] | None = None
    binary_ask: Callable[..., BinaryAsk] | None = None


ECOSYSTEMS: dict[RepositoryType, Ecosystem] = {
    RepositoryType.R: Ecosystem(cran.answer, binary_ask=useragent.binary_ask),
    RepositoryType.BIOCONDUCTOR: Ecosystem(bioconductor.answer, binary_ask=useragent.binary_ask),
    RepositoryType.PYTHON: Ecosystem(pypi.answer, choose=pypi.choose),
}


@dataclass(frozen=True, slots=True)
class OpenView:
    """A repository at a snapshot. `is_fixed` if what it shows can never change; `changed` is when it last did.

    `version` is the catalogue's when the view was opened: at another one the same URL may have other answers.
    `shelves` are its binary packages (`operations.shelves`). `config` is the configuration in force of a repository of
    Bioconductor.
    """

    repository: Repository
    version: int
    cuts: tuple[Cut, ...]
    is_fixed: bool
    changed: datetime | None
    times: Mapping[TransactionId, datetime]
    filled: int
    view: DatabaseView
    sources: Mapping[int, Source]
    shelves: tuple[Shelf, ...] = ()
    config: bytes = b""

    @property
    def key(self) -> str:
        """Names what the view shows: two snapshots with one key have the same answers.

        The times are in it because the cache outlives the database: after a backup was restored, ids are given anew.
        """
        cuts = (
            f"{cut.source_id}@{cut.upto}@{self.times[cut.upto].timestamp() if cut.upto in self.times else 0}"
            + (f"@{cut.at}" if cut.at is not None else "")
            for cut in self.cuts
        )
        return f"{self.repository.type.value}:" + ",".join(cuts)


ROUNDS = 8
"""How many things one question may have to wait for, one after the other."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Resolved:
    """A repository at a snapshot, as far as that is the same for all who open it; at a version of the catalogue."""

    version: int
    repository: Repository
    cuts: tuple[Cut, ...]
    sources: Mapping[int, Source]
    times: Mapping[TransactionId, datetime]
    filled: int
    shelves: tuple[Shelf, ...]
    config: bytes


def open_view(app: App, repo: str, snapshot: str, *, who: Callable[[], Access], asked: Asked | None = None) -> OpenView:
    """The repository `repo` (by name) at `latest`, a date or a transaction id.

    Args:
        who: tells who asks; called for a repository that is closed, or that there is none of. `inside` where somebody
            else saw to it that they may.
        asked: of a repository of Bioconductor, the version or the part of one to show; without it there are no
            packages. Others pass over it.

    Raises:
        Unauthenticated, Forbidden: they may not read it, and are not told whether there is one of that name.
        RepositoryNotFound, SnapshotNotFound
        BioconductorVersionNotFound: `asked` is for none of the repository's versions.
        NeverSynced: nothing is known of what is asked for.
    """
    key = repo, snapshot, app.today(), asked
    with app.db.read() as connection:
        version = catalogue_version(connection)
        app.db.saw(version)
        resolved: _Resolved | None = app.snapshots.find(key)
        if resolved is not None and not app.db.is_fresh(resolved.version):
            resolved = None
        repository = resolved.repository if resolved is not None else None
        if repository is None or repository.is_closed:
            # A closed one each time, as a name that nobody has: how long a refusal takes tells them not apart.
            repository = db_repositories.named(connection, repo)
        if repository is None or repository.is_closed:
            admit(connection, app, who(), repository, repo)
        wanted = parse_snapshot(snapshot)
        if repository is None:
            raise RepositoryNotFound(f"there is no repository named {repo[:100]!r}")
        if resolved is None:
            resolved = _resolve(app, connection, repository, wanted, version, asked)
            app.snapshots.put(key, resolved)
    is_moving = any(source.is_read_by_project for source in resolved.sources.values())
    return OpenView(
        resolved.repository,
        version,
        resolved.cuts,
        is_fixed=not isinstance(wanted, Latest),
        changed=None if is_moving else max(resolved.times.values(), default=None),
        times=resolved.times,
        filled=resolved.filled,
        view=DatabaseView(app, resolved.cuts, resolved.sources, resolved.shelves),
        sources=resolved.sources,
        shelves=resolved.shelves,
        config=resolved.config,
    )


def inside() -> Access:
    """Who asks where nobody outside does, or somebody who was let in before."""
    return INSIDE


def _resolve(
    app: App, connection: Connection, repository: Repository, wanted: Snapshot, version: int, asked: Asked | None
) -> _Resolved:
    config = b""
    if repository.type is RepositoryType.BIOCONDUCTOR:
        history, cuts, config = versions.resolve_version(app, connection, repository, wanted, asked)
    else:
        subscriptions = db_repositories.all_subscriptions(connection, repository.id)
        history = DatabaseHistory(connection, subscriptions)
        cuts = resolve(
            wanted,
            subscriptions,
            history,
            today=app.today(),
            reaches_back=not db_repositories.had_owner(connection, repository.name),
        )
    mirrors = db_sources.mirror_states(connection, {cut.files_of for cut in cuts})
    sources = {cut.source_id: history.source(cut.source_id) for cut in cuts}
    if isinstance(wanted, Latest):
        _check_any_synced(repository, sources, mirrors)
    upto = wanted.id if isinstance(wanted, AsOfTransaction) else history.newest()
    found = shelves.at_snapshot(connection, cuts, wanted, history, upto=upto, today=app.today())
    times = db_transactions.times(connection, [cut.upto for cut in cuts])
    filled = sum(mirror.filled for mirror in mirrors)
    return _Resolved(version, repository, cuts, sources, times, filled, found, config)


def _check_any_synced(repository: Repository, sources: Mapping[int, Source], mirrors: Sequence[MirrorState]) -> None:
    """An index without packages would tell clients that there are none; they have to hear that it isn't known yet."""
    has_own = any(not source.is_mirror or source.is_read_by_project for source in sources.values())
    if not sources or has_own or any(mirror.synced_from is not None for mirror in mirrors):
        return
    reasons = "; ".join(mirror.error for mirror in mirrors if mirror.error)
    if any(source.type is SourceType.BIOCONDUCTOR_PART for source in sources.values()):
        raise NeverSynced(
            f"{', '.join(source.name for source in sources.values())} was never synced"
            + (f", the last try failed: {reasons}" if reasons else ""),
            hint="`entrepot list bioconductor versions` shows what is mirrored, `entrepot sync --type=bioconductor "
            "--version=...` mirrors a version",
        )
    raise NeverSynced(
        f"repository {repository.name!r} has no packages yet: its mirror was never synced"
        + (f", the last try failed: {reasons}" if reasons else ""),
        hint="`entrepot info` shows the state and the next try, `entrepot sync` tries now",
    )


def answer(opened: OpenView, ask: Ask) -> Answer:
    """What the repository's ecosystem answers.

    Raises:
        FileNotListed: nothing of that name is visible there.
    """
    ecosystem = ECOSYSTEMS.get(opened.repository.type)
    if ecosystem is None:
        raise FileNotListed(f"repositories of type {opened.repository.type.value} serve nothing in this version")
    told = opened.view.tells_sha256
    if opened.config:
        return bioconductor.answer(ask, opened.view, told=told, config=opened.config)
    return ecosystem.answer(ask, opened.view, told=told)


def chooser(opened: OpenView) -> Callable[[str], str] | None:
    """What tells the form of an index by the client's Accept; None where the path alone decides."""
    ecosystem = ECOSYSTEMS.get(opened.repository.type)
    return ecosystem.choose if ecosystem is not None else None


def binary_ask(opened: OpenView) -> Callable[..., BinaryAsk] | None:
    """What reads which binary packages a client wants; None where the repository has none."""
    ecosystem = ECOSYSTEMS.get(opened.repository.type)
    return ecosystem.binary_ask if ecosystem is not None else None


def part_asked(tail: str) -> Asked | None:
    """The part of Bioconductor that a path is in, for `open_view`; None of other paths."""
    return bioconductor.asked(tail) if tail.startswith(bioconductor.FOLDER) else None


def agent_form(agent: str) -> str:
    """What of a User-Agent decides which binary packages it is given."""
    found = useragent.read(agent)
    return f"{found.r} {found.arch}"


def patiently(ask: Callable[[], T]) -> T:
    """What `ask` gives, after waiting in this thread for what it needs and isn't known yet. Not on an event loop.

    `ask` opens its view itself: what was learnt is in a new one alone.

    Raises:
        UpstreamUnavailable, UpstreamInvalid: what is needed can't be learnt; and whatever `ask` raises.
    """
    for _ in range(ROUNDS):
        try:
            return ask()
        except Unlearned as unlearned:
            asyncio.run(unlearned.learn().result())
    raise UpstreamUnavailable("what upstream tells changes while it is read", hint="try again in a minute")


def document_key(opened: OpenView, document: Document | LargeDocument) -> str:
    """What an index is kept under: what its view shows, and its own name."""
    if isinstance(document, LargeDocument):
        return f"{opened.repository.type.value}:{opened.view.names_key()}/{document.key}"
    if document.is_own_key:
        return document.key
    return f"{opened.key}/{document.key}"


def render(app: App, opened: OpenView, document: Document) -> Rendered:
    """The bytes of an index: kept ones if nothing of what it shows has changed."""

    def make() -> Draft:
        index = document.render()
        return Draft(index.body, document.compress, index.incomplete)

    return app.documents.get(document_key(opened, document), filled=opened.filled, make=make)


def stored_size(app: App, file: File) -> int | None:
    """How many bytes of a file the store has; None if it doesn't have it."""
    return app.storage.size(Key.blob(file.sha256)) if file.sha256 else None
