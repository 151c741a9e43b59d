"""Git sources: what is watched, what was found there, each attempt to build it; credentials; what a job is about."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    time = sa.DateTime(timezone=True)
    op.add_column(
        "jobs", sa.Column("subject", sa.BigInteger(), nullable=True, comment="what of the source it is about, by id")
    )
    op.create_table(
        "git_credentials",
        sa.Column("id", serial, nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False, comment="ssh or https"),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("username", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.Text(), nullable=True, comment="of the public key, as OpenSSH tells it"),
        sa.Column("secret", sa.Text(), nullable=False, comment="private key or password, encrypted"),
        sa.Column("created", time, nullable=False),
        sa.Column("changed", time, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_git_credentials")),
        sa.UniqueConstraint("kind", "name", name=op.f("uq_git_credentials_kind_name")),
    )
    op.create_table(
        "git_builders",
        sa.Column("id", serial, nullable=False),
        sa.Column("source_id", serial, nullable=False),
        sa.Column("name", sa.String(), nullable=True, comment="the package; NULL until its DESCRIPTION was read"),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("trigger", sa.String(length=10), nullable=False, comment="commits or tags"),
        sa.Column("branch", sa.Text(), nullable=True, comment="NULL: the endpoint's default branch"),
        sa.Column("sub_dir", sa.Text(), nullable=False),
        sa.Column("credential_id", serial, nullable=True),
        sa.Column("clone_depth", sa.Integer(), nullable=False, comment="0: the whole history"),
        sa.Column("submodules", sa.Integer(), nullable=False, comment="levels of submodules that are fetched"),
        sa.Column("build_vignettes", sa.Boolean(), nullable=False),
        sa.Column("created", time, nullable=False),
        sa.Column("deleted", time, nullable=True),
        sa.Column("fault", sa.Text(), nullable=True, comment="why its last poll failed"),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_git_builders_source_id")),
        sa.ForeignKeyConstraint(["credential_id"], ["git_credentials.id"], name=op.f("fk_git_builders_credential_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_git_builders")),
    )
    op.create_index(
        "uq_git_builders_live_name",
        "git_builders",
        ["source_id", "name"],
        unique=True,
        sqlite_where=sa.text("deleted IS NULL"),
        postgresql_where=sa.text("deleted IS NULL"),
    )
    op.create_table(
        "git_updates",
        sa.Column("id", serial, nullable=False),
        sa.Column("builder_id", serial, nullable=False),
        sa.Column("tag", sa.Text(), nullable=True, comment="NULL: a commit of the branch"),
        sa.Column("sha", sa.String(length=64), nullable=False, comment="the commit; of an annotated tag, the tag's"),
        sa.Column("seen", time, nullable=False, comment="when the poll that found it began"),
        sa.Column("made", sa.BigInteger(), nullable=True, comment="time of the tag or commit, seconds since 1970"),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due", time, nullable=True, comment="not to be tried again before"),
        sa.Column("version", sa.String(), nullable=True, comment="the version that it has, as built"),
        sa.ForeignKeyConstraint(["builder_id"], ["git_builders.id"], name=op.f("fk_git_updates_builder_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_git_updates")),
    )
    op.create_index("ix_git_updates_builder", "git_updates", ["builder_id", "id"], unique=False)
    op.create_table(
        "git_attempts",
        sa.Column("transaction_id", serial, autoincrement=False, nullable=False),
        sa.Column("builder_id", serial, nullable=False),
        sa.Column("name", sa.String(), nullable=True, comment="the package, as far as it was known"),
        sa.Column("tag", sa.Text(), nullable=True),
        sa.Column("sha", sa.String(length=64), nullable=True),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("started", time, nullable=False),
        sa.Column("finished", time, nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("log", sa.LargeBinary(), nullable=False, comment="UTF-8, zlib"),
        sa.ForeignKeyConstraint(["transaction_id"], ["transactions.id"], name=op.f("fk_git_attempts_transaction_id")),
        sa.ForeignKeyConstraint(["builder_id"], ["git_builders.id"], name=op.f("fk_git_attempts_builder_id")),
        sa.PrimaryKeyConstraint("transaction_id", name=op.f("pk_git_attempts")),
    )
    op.create_index("ix_git_attempts_builder", "git_attempts", ["builder_id", "transaction_id"], unique=False)
