"""Several checked uploads into one source of our own: what each becomes beside what is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.errors import EntrepotError, FileExists, InvalidBatch
from entrepot.core.model import File, FileStatus, PackageName, Source, TransactionId, seconds
from entrepot.db import files as db_files
from entrepot.db import owned as db_owned
from entrepot.db import transactions as db_transactions
from entrepot.operations.changing import Outcome, State, rules_of
from entrepot.operations.uploads import Checked


class Adding:
    """One transaction in the making; only inside `Database.write`.

    With `whole` it knows all files of the packages, not just those that the items may replace.
    """

    def __init__(
        self,
        app: App,
        connection: Connection,
        source: Source,
        items: Sequence[Checked],
        *,
        replace: bool,
        whole: bool = False,
    ) -> None:
        self.app, self.connection, self.source, self.replace = app, connection, source, replace
        self.items = items
        self.rules = rules_of(source)
        # Where nothing is archived for something newer, the other files of a project don't matter, however many.
        names = None if self.rules.has_archive or whole else {item.name for item in items}
        self.state = State(db_owned.visible_now(connection, source, {item.package for item in items}, names=names))
        self.next_id = db_files.next_id(connection)
        self.since = TransactionId(db_transactions.newest(connection) + 1)
        self.descriptions: list[tuple[int, str]] = []

    def record(self, *, actor: str, message: str, always: bool = False) -> Outcome:
        """Add all; `always` as for `State.record`.

        Raises:
            FileExists: one is there with other bytes; of several an InvalidBatch.
        """
        self.add_all()
        outcome = self.state.record(self.app, self.connection, self.source, actor=actor, message=message, always=always)
        if outcome.transaction is not None:
            db_files.add_descriptions(self.connection, self.descriptions)
        return outcome

    def leave_out(self, package: PackageName, version: str) -> None:
        """Take out the files of a version that are not among the items."""
        names = {item.name for item in self.items}
        for id_ in list(self.state.rows):
            file = self.state.files[id_]
            is_version = self.rules.order(file.version) == self.rules.order(version)
            if file.package == package and is_version and file.name not in names:
                del self.state.rows[id_]

    def add_all(self) -> None:
        """Add each item to what will be visible. Raises as `record`."""
        faults: list[tuple[str, EntrepotError]] = []
        for item in self.items:
            try:
                self._add(item)
            except EntrepotError as error:
                faults.append((item.upload.name, error))
        if faults:
            raise InvalidBatch.of(faults)

    def _add(self, item: Checked) -> None:
        mine = {id_: self.state.files[id_] for id_ in self.state.rows if self.state.files[id_].package == item.package}
        for id_, file in mine.items():
            if file.name != item.name:
                continue
            if file.sha256 == item.digests.sha256:
                self._bring_back(file, mine)
                return
            if not self.replace:
                raise self._exists(item)
            del self.state.rows[id_]
        self.state.begin(self._file(item), self._place(item, mine))

    def _place(self, item: Checked, mine: Mapping[int, File]) -> FileStatus:
        """What a new file becomes; where it is to be the only current one, the others go to the archive."""
        if not self.rules.has_archive:
            return FileStatus.CURRENT
        others = {id_: file for id_, file in mine.items() if file.name != item.name}
        newest = self.rules.newest
        if any(newest(file.version) > newest(item.version) for file in others.values()):
            return FileStatus.ARCHIVED
        for id_ in others:
            self.state.rows[id_] = FileStatus.ARCHIVED
        return FileStatus.CURRENT

    def _bring_back(self, file: File, mine: Mapping[int, File]) -> None:
        """The same bytes again: nothing to do, unless the package was archived and this is its highest version."""
        keys = {id_: self.rules.newest(other.version) for id_, other in mine.items()}
        if FileStatus.CURRENT not in (self.state.rows[id_] for id_ in mine) and keys[file.id] == max(keys.values()):
            self.state.rows[file.id] = FileStatus.CURRENT

    def _exists(self, item: Checked) -> FileExists:
        what = f"{item.package} {item.version}" if self.rules.has_archive else item.name
        return FileExists(
            f"{what} already exists in source {self.source.name!r} with other bytes",
            hint="raise its version, or use --replace",
            file=item.name,
        )

    def _file(self, item: Checked) -> File:
        file = File(
            id=self.next_id,
            source_id=self.source.id,
            package=item.package,
            version=item.version,
            name=item.name,
            size=item.size,
            md5=item.digests.md5,
            sha256=item.digests.sha256,
            sha256_since=self.since,
            published_at=seconds(self.app.clock()),
            fields=item.fields,
        )
        self.next_id += 1
        if item.description is not None:
            self.descriptions.append((file.id, item.description))
        return file
