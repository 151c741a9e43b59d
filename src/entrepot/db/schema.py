"""The tables. Visibility is by half-open intervals of transactions: a row is seen at cut n if since <= n < until."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)

from entrepot.core.changes import ChangeKind
from entrepot.core.model import FileStatus


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time; SQLite keeps no zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


STATUS_CODES: dict[FileStatus, int] = {FileStatus.CURRENT: 0, FileStatus.ARCHIVED: 1}
STATUSES: dict[int, FileStatus] = {code: status for status, code in STATUS_CODES.items()}

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_N_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Serial = BigInteger().with_variant(Integer(), "sqlite")

sources = Table(
    "sources",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("name", String(100), nullable=False),
    Column("type", String(30), nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("deleted", UtcDateTime),
    Column("version", String(20), comment="of a source of one Bioconductor version"),
    Index(
        "uq_sources_live_name",
        "name",
        unique=True,
        sqlite_where=text("deleted IS NULL"),
        postgresql_where=text("deleted IS NULL"),
    ),
)

repositories = Table(
    "repositories",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("name", String(100), nullable=False),
    Column("type", String(30), nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("created", UtcDateTime, nullable=False),
    Column("deleted", UtcDateTime),
    Column("authenticated", Boolean, nullable=False, server_default=false(), comment="whether reading needs a token"),
    Index(
        "uq_repositories_live_name",
        "name",
        unique=True,
        sqlite_where=text("deleted IS NULL"),
        postgresql_where=text("deleted IS NULL"),
    ),
)

transactions = Table(
    "transactions",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=False),
    Column("time", UtcDateTime, nullable=False),
    Column("day", Date, nullable=False),
    Column("source_id", Serial, ForeignKey("sources.id")),
    Column("repository_id", Serial, ForeignKey("repositories.id")),
    Column("actor", String(200), nullable=False),
    Column("message", Text, nullable=False),
    Index("ix_transactions_source", "source_id", "id"),
    Index("ix_transactions_source_day", "source_id", "day", "id"),
    Index("ix_transactions_repository", "repository_id", "id"),
)

change_counts = Table(
    "change_counts",
    metadata,
    Column("transaction_id", Serial, ForeignKey("transactions.id"), primary_key=True, autoincrement=False),
    *(Column(kind.value, Integer, nullable=False) for kind in ChangeKind),
    comment="what transactions did to packages; up to the last of these, those that are missing did nothing",
)

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("repository_id", Serial, ForeignKey("repositories.id"), primary_key=True, autoincrement=False),
    Column("since", Serial, ForeignKey("transactions.id"), primary_key=True, autoincrement=False),
    Column("source_id", Serial, ForeignKey("sources.id"), primary_key=True, autoincrement=False),
    Column("position", Integer, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("version", String(20), comment="the Bioconductor version that is wanted of the source"),
    Index("ix_subscriptions_source", "source_id"),
)

parts = Table(
    "parts",
    metadata,
    Column("source_id", Serial, ForeignKey("sources.id"), primary_key=True, autoincrement=False),
    Column("owner_id", Serial, ForeignKey("sources.id"), nullable=False, comment="the source that it is part of"),
    Column("path", String(100), nullable=False, comment="3.18/bioc, or a platform: linux/bookworm/4.2/x86_64"),
    UniqueConstraint("owner_id", "path"),
)

files = Table(
    "files",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=False),
    Column("source_id", Serial, ForeignKey("sources.id"), nullable=False),
    Column("package", String, nullable=False),
    Column("version", String, nullable=False),
    Column("name", String, nullable=False),
    Column("size", BigInteger),
    Column("md5", String(32)),
    Column("sha256", String(64)),
    Column("sha256_since", BigInteger, comment="first transaction of the source whose indexes tell the SHA-256"),
    Column("published", BigInteger, comment="seconds since 1970, UTC"),
    Column("fields", Text, comment="index entry in the ecosystem's text form; NULL until the metadata was read"),
    Index("ix_files_package", "source_id", "package"),
)

visibility = Table(
    "visibility",
    metadata,
    Column("file_id", Serial, ForeignKey("files.id"), primary_key=True, autoincrement=False),
    Column("since", BigInteger, primary_key=True, autoincrement=False),
    Column("until", BigInteger, nullable=False),
    Column("source_id", Serial, nullable=False),
    Column("status", SmallInteger, nullable=False, comment="0 current, 1 archived"),
    Column("begins", BigInteger, comment="sources read by the project: seen at times from here on, seconds since 1970"),
    Column("ends", BigInteger, comment="and before this; NULL while it goes on"),
    Index("ix_visibility_until", "source_id", "status", "until", "since"),
    Index("ix_visibility_since", "source_id", "since"),
    sqlite_with_rowid=False,
)

descriptions = Table(
    "descriptions",
    metadata,
    Column("file_id", Serial, ForeignKey("files.id"), primary_key=True, autoincrement=False),
    Column("body", LargeBinary, nullable=False, comment="the package's own metadata document, UTF-8, zlib"),
)

mirrors = Table(
    "mirrors",
    metadata,
    Column("source_id", Serial, ForeignKey("sources.id"), primary_key=True, autoincrement=False),
    Column("upstream", Text, nullable=False),
    Column("validators", JSON, nullable=False, comment="document -> [ETag, Last-Modified] of the newest sync"),
    Column(
        "filled", BigInteger, nullable=False, server_default="0", comment="how often missing metadata was filled in"
    ),
    Column("synced_from", UtcDateTime, comment="when the newest successful sync began"),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("error_code", String(60)),
    Column("error", Text),
    Column("next_try", UtcDateTime),
    Column("facts", JSON, comment="validators of what else upstream tells of its packages (package_facts)"),
)

package_facts = Table(
    "package_facts",
    metadata,
    Column("source_id", Serial, ForeignKey("sources.id"), primary_key=True, autoincrement=False),
    Column("package", String, primary_key=True),
    Column("version", String, primary_key=True),
    Column("title", Text),
    Column("system_requirements", Text, comment="as DESCRIPTION has it; NULL: none"),
    sqlite_with_rowid=False,
)

bioconductor_configs = Table(
    "bioconductor_configs",
    metadata,
    Column("since", Serial, ForeignKey("transactions.id"), primary_key=True, autoincrement=False),
    Column("source_id", Serial, ForeignKey("sources.id"), nullable=False),
    Column("body", LargeBinary, nullable=False, comment="upstream's config.yaml from then on, zlib"),
)

requirement_rules = Table(
    "requirement_rules",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=False, comment="always 1"),
    Column("origin", Text, nullable=False, comment="where they were read"),
    Column("read", UtcDateTime, nullable=False),
    Column("digest", String(64), nullable=False, comment="SHA-256 of the rules"),
    Column("rules", LargeBinary, nullable=False, comment="file's name -> rule: JSON, zlib"),
    Column("faults", JSON, nullable=False, comment="a line for each file that could not be used"),
)

build_targets = Table(
    "build_targets",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("name", String(100), nullable=False),
    Column("distribution", String(40), nullable=False),
    Column("r", Text, nullable=False, comment="R's program, where the builds run"),
    Column("r_version", String(20), nullable=False, comment="as it was told when the target was made: 4.2.2"),
    Column("arch", String(20), nullable=False),
    Column("command", Text, nullable=False, comment="what runs a shell on another system; empty: this machine"),
    Column("repository", String(100), nullable=False, comment="name of the R repository that libraries come from"),
    Column("sources", JSON, comment="ids of the sources that are built; NULL: all that can be"),
    Column("created", UtcDateTime, nullable=False),
    Column("deleted", UtcDateTime),
    Column("seen", BigInteger, nullable=False, comment="newest transaction that its last whole run saw"),
    Column("fault", Text, comment="why its last run could build nothing"),
    Index(
        "uq_build_targets_live_name",
        "name",
        unique=True,
        sqlite_where=text("deleted IS NULL"),
        postgresql_where=text("deleted IS NULL"),
    ),
)

binary_builds = Table(
    "binary_builds",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("target_id", Serial, ForeignKey("build_targets.id"), nullable=False),
    Column("source_id", Serial, ForeignKey("sources.id"), nullable=False, comment="the source that lists the package"),
    Column("package", String, nullable=False),
    Column("version", String, nullable=False),
    Column("platform", String(100), nullable=False, comment="as in parts.path"),
    Column("inputs", String(64), nullable=False, comment="SHA-256 of what a build of it depends on"),
    Column("linking", JSON, nullable=False, comment="package of LinkingTo -> version that it was built with"),
    Column("status", String(10), nullable=False, comment="built or failed"),
    Column("exit_code", Integer),
    Column("error", Text),
    Column("started", UtcDateTime, nullable=False),
    Column("finished", UtcDateTime, nullable=False),
    Column("transaction_id", Serial, ForeignKey("transactions.id"), comment="that shows the binary"),
    Column("log", LargeBinary, nullable=False, comment="UTF-8, zlib"),
    Index("ix_binary_builds_package", "source_id", "package", "id"),
    Index("ix_binary_builds_target", "target_id", "source_id", "package", "id"),
    Index("ix_binary_builds_transaction", "transaction_id"),
)

catalogue = Table(
    "catalogue",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=False, comment="always 1"),
    Column("version", BigInteger, nullable=False, comment="grows with every write that may change an answer"),
)

projects = Table(
    "projects",
    metadata,
    Column("source_id", Serial, ForeignKey("sources.id"), primary_key=True, autoincrement=False),
    Column("package", String, primary_key=True, comment="normalised"),
    Column("about", JSON, nullable=False, comment="what upstream tells of it besides its files"),
    Column("etag", Text),
    Column("last_modified", Text),
    Column("serial", BigInteger, comment="upstream's own count of changes"),
    Column("checked", BigInteger, nullable=False, comment="when the newest reading began, seconds since 1970"),
    Column("is_dated", Boolean, nullable=False, comment="upstream gives the time of some file"),
    Column("is_there", Boolean, nullable=False, comment="upstream has a page of it"),
    sqlite_with_rowid=False,
)

name_lists = Table(
    "name_lists",
    metadata,
    Column("source_id", Serial, ForeignKey("sources.id"), primary_key=True, autoincrement=False),
    Column("since", BigInteger, primary_key=True, autoincrement=False, comment="transaction that changed the names"),
    Column("total", BigInteger, nullable=False, comment="how many names there are from then on"),
)

names = Table(
    "names",
    metadata,
    Column("source_id", Serial, ForeignKey("sources.id"), primary_key=True, autoincrement=False),
    Column("package", String().with_variant(String(collation="C"), "postgresql"), primary_key=True),
    Column("since", BigInteger, primary_key=True, autoincrement=False),
    Column("until", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

origins = Table(
    "origins",
    metadata,
    Column("file_id", Serial, ForeignKey("files.id"), primary_key=True, autoincrement=False),
    Column("url", Text, nullable=False, comment="where upstream has the file"),
)

metadata_files = Table(
    "metadata_files",
    metadata,
    Column("file_id", Serial, ForeignKey("files.id"), primary_key=True, autoincrement=False),
    Column("sha256", String(64), nullable=False, comment="of the metadata document that was read out of the file"),
    Column("since", BigInteger, nullable=False, comment="first transaction of the source whose indexes tell it"),
)

curations = Table(
    "curations",
    metadata,
    Column("source_id", Serial, ForeignKey("sources.id"), primary_key=True, autoincrement=False),
    Column("base_id", Serial, ForeignKey("sources.id"), nullable=False, comment="the mirror whose files it shows"),
    Column("include", JSON, nullable=False, comment="kinds of dependencies that every package brings"),
    Column("shows_archive", Boolean, nullable=False, comment="whether it shows what the mirror had archived"),
)

pins = Table(
    "pins",
    metadata,
    Column("source_id", Serial, ForeignKey("sources.id"), primary_key=True, autoincrement=False),
    Column("since", Serial, ForeignKey("transactions.id"), primary_key=True, autoincrement=False),
    Column("snapshot", String(20), nullable=False, comment="as it was named: YYYY-MM-DD or a transaction id"),
    Column("upto", BigInteger, nullable=False, comment="the mirror's transaction that it stands for"),
    Column("at", BigInteger, comment="mirrors read by the project: the time that it stands for, seconds since 1970"),
    Column("request", LargeBinary, nullable=False, comment="what is asked for from then on: JSON, zlib"),
)

proposals = Table(
    "proposals",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("source_id", Serial, ForeignKey("sources.id"), nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("action", String(10), nullable=False),
    Column("base", BigInteger, nullable=False, comment="newest transaction of the source when it was made, or 0"),
    Column("snapshot", String(20), nullable=False),
    Column("upto", BigInteger, nullable=False),
    Column("at", BigInteger),
    Column("asked", String(64), nullable=False, comment="SHA-256 of what was asked for"),
    Column("digest", String(64), nullable=False, comment="SHA-256 of what the source would show"),
    Column("request", LargeBinary, nullable=False, comment="as in pins"),
    Column("target", LargeBinary, nullable=False, comment="[[file id, status], ...]: JSON, zlib"),
    Column("report", LargeBinary, nullable=False, comment="what people are told: JSON, zlib"),
    Column("counts", JSON, nullable=False, comment="kind of change -> how many"),
    Column("committed", BigInteger, comment="the transaction that applied it"),
    Index("ix_proposals_source", "source_id", "id"),
)

git_credentials = Table(
    "git_credentials",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("kind", String(10), nullable=False, comment="ssh or https"),
    Column("name", String(100), nullable=False),
    Column("username", Text),
    Column("fingerprint", Text, comment="of the public key, as OpenSSH tells it"),
    Column("secret", Text, nullable=False, comment="private key or password, encrypted"),
    Column("created", UtcDateTime, nullable=False),
    Column("changed", UtcDateTime, nullable=False),
    UniqueConstraint("kind", "name"),
)

git_builders = Table(
    "git_builders",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("source_id", Serial, ForeignKey("sources.id"), nullable=False),
    Column("name", String, comment="the package; NULL until its DESCRIPTION was read"),
    Column("url", Text, nullable=False),
    Column("trigger", String(10), nullable=False, comment="commits or tags"),
    Column("branch", Text, comment="NULL: the endpoint's default branch"),
    Column("sub_dir", Text, nullable=False),
    Column("credential_id", Serial, ForeignKey("git_credentials.id")),
    Column("clone_depth", Integer, nullable=False, comment="0: the whole history"),
    Column("submodules", Integer, nullable=False, comment="levels of submodules that are fetched"),
    Column("build_vignettes", Boolean, nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("deleted", UtcDateTime),
    Column("fault", Text, comment="why its last poll failed"),
    Index(
        "uq_git_builders_live_name",
        "source_id",
        "name",
        unique=True,
        sqlite_where=text("deleted IS NULL"),
        postgresql_where=text("deleted IS NULL"),
    ),
)

git_updates = Table(
    "git_updates",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("builder_id", Serial, ForeignKey("git_builders.id"), nullable=False),
    Column("tag", Text, comment="NULL: a commit of the branch"),
    Column("sha", String(64), nullable=False, comment="the commit; of an annotated tag, the tag's"),
    Column("seen", UtcDateTime, nullable=False, comment="when the poll that found it began"),
    Column("made", BigInteger, comment="time of the tag or commit, seconds since 1970"),
    Column("state", String(10), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due", UtcDateTime, comment="not to be tried again before"),
    Column("version", String, comment="the version that it has, as built"),
    Index("ix_git_updates_builder", "builder_id", "id"),
)

git_attempts = Table(
    "git_attempts",
    metadata,
    Column("transaction_id", Serial, ForeignKey("transactions.id"), primary_key=True, autoincrement=False),
    Column("builder_id", Serial, ForeignKey("git_builders.id"), nullable=False),
    Column("name", String, comment="the package, as far as it was known"),
    Column("tag", Text),
    Column("sha", String(64)),
    Column("status", String(10), nullable=False),
    Column("started", UtcDateTime, nullable=False),
    Column("finished", UtcDateTime, nullable=False),
    Column("error", Text),
    Column("log", LargeBinary, nullable=False, comment="UTF-8, zlib"),
    Index("ix_git_attempts_builder", "builder_id", "transaction_id"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("kind", String(30), nullable=False),
    Column("payload", JSON, nullable=False),
    Column("source_id", Serial, ForeignKey("sources.id")),
    Column("subject", BigInteger, comment="what of the source it is about, by id"),
    Column("state", String(10), nullable=False),
    Column("step", String(100), nullable=False, server_default=""),
    Column("done", BigInteger, nullable=False, server_default="0"),
    Column("total", BigInteger, nullable=False, server_default="0"),
    Column("result", JSON),
    Column("error", JSON),
    Column("worker", String(200)),
    Column("heartbeat", UtcDateTime),
    Column("created", UtcDateTime, nullable=False),
    Column("started", UtcDateTime),
    Column("finished", UtcDateTime),
    Column("actor", String(200), nullable=False, server_default=""),
    Column("attempts", Integer, nullable=False, server_default="0", comment="how often it was begun"),
    Column("due", UtcDateTime, comment="not to be begun before, as after a failure that is tried again"),
    Column("is_cancelled", Boolean, nullable=False, server_default=false(), comment="somebody asked for its end"),
    Index("ix_jobs_state", "state"),
)

job_lines = Table(
    "job_lines",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("job_id", Serial, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("time", UtcDateTime, nullable=False),
    Column("text", Text, nullable=False),
    Index("ix_job_lines_job", "job_id", "id"),
)
