"""Whatever happens to an installation, what a fixed snapshot shows never changes; what is listed can be had."""

from __future__ import annotations

import asyncio
import hashlib
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from entrepot.app import App, open_app
from entrepot.core.answers import Ask, Document, SendFile
from entrepot.core.errors import (
    Conflict,
    EntrepotError,
    FileNotListed,
    InvalidBatch,
    NeverSynced,
    NotFound,
    SnapshotNotFound,
    UpstreamInvalid,
)
from entrepot.core.model import FileStatus, Listed, SourceType
from entrepot.core.snapshots import Cut, parse_snapshot, resolve
from entrepot.db import repositories as db_repositories
from entrepot.db import sources as db_sources
from entrepot.db.transactions import DatabaseHistory
from entrepot.ecosystems.r import packages as r_packages
from entrepot.operations import repositories, serving
from entrepot.operations.packages import Upload, add_files, archive_package, remove_package
from entrepot.operations.serving import OpenView
from entrepot.operations.setup import ensure_defaults
from entrepot.operations.sources import create_source
from entrepot.operations.view import DatabaseView, fetch
from entrepot.settings import Settings
from tests.support.archives import make_source_package
from tests.support.fake_cran import FakeCran
from tests.support.server import Clock, sync

NAMES = ("alpha", "beta", "gamma")
VERSIONS = ("1.0", "1.1", "1.10", "2.0-1")
LOCALS = ("internal", "extra")
META = ("src/contrib/Meta/archive.rds", "src/contrib/Meta/current.rds")
Version = tuple[str, str]


def rows_of(view: DatabaseView) -> list[Listed]:
    """All that a view shows."""
    names = dict.fromkeys(brief.package for status in FileStatus for brief in view.in_brief(status))
    return [row for name in names for row in view.of_package(name)]


@dataclass(frozen=True, slots=True)
class Shown:
    """What a snapshot shows: its files, the hashes known of them, and the index entries that are complete."""

    files: frozenset[tuple[int, str, str, FileStatus]]
    hashes: dict[int, str]
    entries: dict[str, str]

    @classmethod
    def of(cls, view: DatabaseView) -> Shown:
        rows = rows_of(view)
        return cls(
            frozenset((row.file.id, row.file.package, row.file.version, row.status) for row in rows),
            {row.file.id: row.file.md5 for row in rows if row.file.md5},
            {
                row.file.package: r_packages.stanza(row.file, tell_sha256=view.tells_sha256(row.file))
                for row in view.current()
                if row.file.fields is not None
            },
        )

    def goes_on_as(self, now: Shown) -> bool:
        """Whether nothing was lost or changed, though something may have been learnt."""
        return (
            self.files == now.files
            and self.hashes.items() <= now.hashes.items()
            and self.entries.items() <= now.entries.items()
        )


@dataclass
class World:
    """An installation over an upstream of its own, and all that was ever seen of it."""

    app: App
    cran: FakeCran
    clock: Clock
    folder: Path
    seen: dict[str, Shown] = field(default_factory=dict)
    published: dict[Version, bytes] = field(default_factory=dict)
    salt: int = 0

    # what can happen

    def wait(self, hours: int) -> None:
        self.clock.wait(hours=hours)

    def add(self, source: str, files: list[Version], replace: bool) -> None:
        """Add new bytes, of the same versions too."""
        uploads = [Upload(f"{name}_{version}.tar.gz", self._file(name, version)) for name, version in files]
        with suppress(Conflict, InvalidBatch):
            add_files(self.app, source, uploads, actor="test", replace=replace)

    def archive(self, source: str, name: str) -> None:
        with suppress(NotFound):
            archive_package(self.app, source, name, actor="test")

    def remove(self, source: str, name: str, scope: str) -> None:
        with suppress(NotFound):
            remove_package(self.app, source, name, scope=scope, actor="test")

    def upstream(self, changes: list[tuple[str, str, str, int]]) -> None:
        """Upstream publishes, replaces or takes off packages, dated some days ago."""
        for what, name, version, days_ago in changes:
            if what == "gone":
                self.cran.remove(name)
                continue
            data, day = self._package(name, version), self.clock.now - timedelta(days=days_ago)
            if (name, version) in self.published:
                self.cran.replace(name, version, data, day)
            else:
                self.cran.add(name, version, data, day)
            self.published[name, version] = data
        self.cran.publish()

    def sync(self) -> None:
        sync(self.app)

    def subscribe(self, source: str) -> None:
        with suppress(Conflict):
            repositories.subscribe(self.app, "cran", source, actor="test")

    def unsubscribe(self, source: str) -> None:
        with suppress(NotFound):
            repositories.unsubscribe(self.app, "cran", source, actor="test")

    def reorder(self, order: list[str]) -> None:
        now = {source.name for source in repositories.repository_info(self.app, "cran").sources}
        wanted = [name for name in order if name in now]
        repositories.reorder(self.app, "cran", wanted, actor="test")

    def download(self, number: int) -> None:
        """Somebody downloads a file of some snapshot."""
        snapshots = [*self.fixed(), "latest"]
        with suppress(EntrepotError):
            view = serving.open_view(self.app, "cran", snapshots[number % len(snapshots)], who=serving.inside).view
            rows = rows_of(view)
            if rows:
                self.bytes_of(rows[number % len(rows)])

    # what is seen

    def fixed(self) -> dict[str, tuple[Cut, ...]]:
        """Every fixed snapshot of the repository that can be used now."""
        found = {}
        today = self.app.today()
        with self.app.db.read() as connection:
            repository = db_repositories.get(connection, "cran")
            subscriptions = db_repositories.all_subscriptions(connection, repository.id)
            history = DatabaseHistory(connection)
            days = [(today - timedelta(n)).isoformat() for n in range(-1, 25)]
            for text in [*map(str, range(1, history.newest() + 1)), *days]:
                with suppress(SnapshotNotFound, NeverSynced):
                    found[text] = resolve(parse_snapshot(text), subscriptions, history, today=today)
        return found

    def check(self) -> None:
        """Every snapshot seen before shows what it showed; remember those that are new."""
        shown: dict[tuple[Cut, ...], Shown] = {}
        now: dict[str, Shown] = {}
        for text, cuts in self.fixed().items():
            if cuts not in shown:
                with self.app.db.read() as connection:
                    sources = db_sources.by_ids(connection, [cut.source_id for cut in cuts])
                shown[cuts] = Shown.of(DatabaseView(self.app, cuts, sources))
            now[text] = shown[cuts]
        for text, before in self.seen.items():
            assert text in now, f"{text} can't be used any more"
            assert before.goes_on_as(now[text]), f"{text}: {before} became {now[text]}"
        self.seen = now

    def check_index(self, text: str) -> None:
        """The index that is served, from the cache maybe, is what a new one would be."""
        opened = self._opened(text)
        if opened is None:
            return
        document = serving.answer(opened, Ask("src/contrib/PACKAGES"))
        assert isinstance(document, Document)
        rendered = serving.render(self.app, opened, document)
        assert rendered.body == document.render().body, text
        assert rendered.incomplete == sum(row.file.fields is None for row in opened.view.current())

    def check_files(self, text: str, *, all_: bool = False) -> None:
        """What is listed can be had, byte for byte as listed, under both of its paths; what isn't is refused.

        Of an old snapshot upstream may have replaced a file before anybody asked for it, unless `all_`.
        """
        opened = self._opened(text)
        if opened is None:
            return
        rows = rows_of(opened.view)
        listed = {(str(row.file.package), row.file.version): row for row in rows}
        for name in NAMES:
            for version in VERSIONS:
                row = listed.get((name, version))
                for path in (f"{name}_{version}.tar.gz", f"Archive/{name}/{name}_{version}.tar.gz"):
                    assert self._answered(opened, path) == (row.file.id if row else None), (text, path)
        for row in listed.values():
            self._check_download(row, all_)

    def _opened(self, text: str) -> OpenView | None:
        with suppress(NeverSynced):
            return serving.open_view(self.app, "cran", text, who=serving.inside)
        return None

    def _answered(self, opened: OpenView, path: str) -> int | None:
        try:
            answer = serving.answer(opened, Ask(f"src/contrib/{path}"))
        except FileNotListed:
            return None
        assert isinstance(answer, SendFile)
        return answer.listed.file.id

    def _check_download(self, row: Listed, must: bool) -> None:
        file = row.file
        try:
            data = self.bytes_of(row)
        except UpstreamInvalid:
            assert not must, file
            assert md5(self.published[file.package, file.version]) != file.md5
            return
        assert file.md5 in (None, md5(data)), file
        assert file.size in (None, len(data)), file

    def bytes_of(self, row: Listed) -> bytes:
        file = row.file
        if serving.stored_size(self.app, file) is not None:
            return b"".join(self.app.storage.stream(serving.Key.blob(file.sha256)))  # type: ignore[arg-type]

        async def fetched() -> bytes:
            flight = fetch(self.app, row)
            data = b"".join([chunk async for chunk in flight.chunks()])
            await flight.result()
            return data

        return asyncio.run(fetched())

    def _package(self, name: str, version: str) -> bytes:
        """Bytes and a size that nothing else has: of a replaced file in its archive, upstream tells the size alone."""
        self.salt += 1
        noise = random.Random(self.salt).randbytes(32 * self.salt)
        return make_source_package(name, version, fields={"Imports": f"i{self.salt}"}, files={"inst/noise": noise})

    def _file(self, name: str, version: str) -> Path:
        data = self._package(name, version)
        path = self.folder / f"upload{self.salt}"
        path.write_bytes(data)
        return path


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


@contextmanager
def world(meta: int) -> Iterator[World]:
    """A new installation; its upstream has both, one or none of the documents of `META`."""
    with tempfile.TemporaryDirectory() as folder, FakeCran() as cran:
        for path in META[meta:]:
            cran.fail(path, "404")
        cran.publish()
        values = {
            "server": {"data_dir": Path(folder) / "data"},
            "cran": {"upstream": cran.url, "sync_schedule": ""},
        }
        clock = Clock()
        app = open_app(Settings.model_validate(values), clock)
        try:
            ensure_defaults(app)
            for name in LOCALS:
                create_source(app, name, type_=SourceType.LOCAL)
            yield World(app, cran, clock, Path(folder))
        finally:
            app.close()


names, sources = st.sampled_from(NAMES), st.sampled_from(LOCALS)
files = st.tuples(names, st.sampled_from(VERSIONS))
changes = st.tuples(st.sampled_from(["new", "new", "gone"]), names, st.sampled_from(VERSIONS), st.integers(0, 20))
EVENTS = st.one_of(
    st.tuples(st.just("wait"), st.integers(1, 40)),
    st.tuples(st.just("add"), sources, st.lists(files, min_size=1, max_size=2, unique=True), st.booleans()),
    st.tuples(st.just("archive"), sources, names),
    st.tuples(st.just("remove"), sources, names, st.sampled_from(["all", "current", *VERSIONS])),
    st.tuples(st.just("upstream"), st.lists(changes, min_size=1, max_size=4)),
    st.tuples(st.just("sync")),
    st.tuples(st.just("sync")),
    st.tuples(st.just("subscribe"), st.sampled_from([*LOCALS, "cran"])),
    st.tuples(st.just("unsubscribe"), st.sampled_from([*LOCALS, "cran"])),
    st.tuples(st.just("reorder"), st.permutations([*LOCALS, "cran"])),
    st.tuples(st.just("download"), st.integers(0, 1000)),
)


@settings(max_examples=25, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate])
@given(st.lists(EVENTS, min_size=3, max_size=12), st.sampled_from([2, 2, 1, 0]))
def test_fixed_snapshots_hold_and_listed_files_can_be_had(events: list[tuple[Any, ...]], meta: int) -> None:
    """After any events each fixed snapshot shows what it first showed, and every listed file is the one it lists."""
    with world(meta) as here:
        for name, *arguments in events:
            getattr(here, name)(*arguments)
            here.check()
            here.check_index("latest")
        different = {repr(shown): text for text, shown in here.seen.items()}
        for text in ["latest", *different.values()]:
            here.check_index(text)
            here.check_files(text)
        here.check()
        here.sync()
        here.check_files("latest", all_=meta == len(META))
