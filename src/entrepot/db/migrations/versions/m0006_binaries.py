"""Parts of sources (Bioconductor, binary packages), builds of binaries, system requirements, facts of packages."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    time = sa.DateTime(timezone=True)
    op.add_column(
        "sources",
        sa.Column("version", sa.String(length=20), nullable=True, comment="of a source of one Bioconductor version"),
    )
    op.add_column(
        "subscriptions",
        sa.Column(
            "version",
            sa.String(length=20),
            nullable=True,
            comment="the Bioconductor version that is wanted of the source",
        ),
    )
    op.add_column(
        "mirrors",
        sa.Column(
            "facts",
            sa.JSON(),
            nullable=True,
            comment="validators of what else upstream tells of its packages (package_facts)",
        ),
    )
    op.create_table(
        "parts",
        sa.Column("source_id", serial, autoincrement=False, nullable=False),
        sa.Column("owner_id", serial, nullable=False, comment="the source that it is part of"),
        sa.Column(
            "path",
            sa.String(length=100),
            nullable=False,
            comment="3.18/bioc, or a platform: linux/bookworm/4.2/x86_64",
        ),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_parts_source_id")),
        sa.ForeignKeyConstraint(["owner_id"], ["sources.id"], name=op.f("fk_parts_owner_id")),
        sa.PrimaryKeyConstraint("source_id", name=op.f("pk_parts")),
        sa.UniqueConstraint("owner_id", "path", name=op.f("uq_parts_owner_id_path")),
    )
    op.create_table(
        "package_facts",
        sa.Column("source_id", serial, autoincrement=False, nullable=False),
        sa.Column("package", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("system_requirements", sa.Text(), nullable=True, comment="as DESCRIPTION has it; NULL: none"),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_package_facts_source_id")),
        sa.PrimaryKeyConstraint("source_id", "package", "version", name=op.f("pk_package_facts")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "bioconductor_configs",
        sa.Column("since", serial, autoincrement=False, nullable=False),
        sa.Column("source_id", serial, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False, comment="upstream's config.yaml from then on, zlib"),
        sa.ForeignKeyConstraint(["since"], ["transactions.id"], name=op.f("fk_bioconductor_configs_since")),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_bioconductor_configs_source_id")),
        sa.PrimaryKeyConstraint("since", name=op.f("pk_bioconductor_configs")),
    )
    op.create_table(
        "requirement_rules",
        sa.Column("id", serial, autoincrement=False, nullable=False, comment="always 1"),
        sa.Column("origin", sa.Text(), nullable=False, comment="where they were read"),
        sa.Column("read", time, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False, comment="SHA-256 of the rules"),
        sa.Column("rules", sa.LargeBinary(), nullable=False, comment="file's name -> rule: JSON, zlib"),
        sa.Column("faults", sa.JSON(), nullable=False, comment="a line for each file that could not be used"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_requirement_rules")),
    )
    _add_builds(serial, time)


def _add_builds(serial: sa.types.TypeEngine[int], time: sa.DateTime) -> None:
    op.create_table(
        "build_targets",
        sa.Column("id", serial, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("distribution", sa.String(length=40), nullable=False),
        sa.Column("r", sa.Text(), nullable=False, comment="R's program, where the builds run"),
        sa.Column(
            "r_version", sa.String(length=20), nullable=False, comment="as it was told when the target was made: 4.2.2"
        ),
        sa.Column("arch", sa.String(length=20), nullable=False),
        sa.Column(
            "command", sa.Text(), nullable=False, comment="what runs a shell on another system; empty: this machine"
        ),
        sa.Column(
            "repository",
            sa.String(length=100),
            nullable=False,
            comment="name of the R repository that libraries come from",
        ),
        sa.Column(
            "sources", sa.JSON(), nullable=True, comment="ids of the sources that are built; NULL: all that can be"
        ),
        sa.Column("created", time, nullable=False),
        sa.Column("deleted", time, nullable=True),
        sa.Column("seen", sa.BigInteger(), nullable=False, comment="newest transaction that its last whole run saw"),
        sa.Column("fault", sa.Text(), nullable=True, comment="why its last run could build nothing"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_build_targets")),
    )
    op.create_index(
        "uq_build_targets_live_name",
        "build_targets",
        ["name"],
        unique=True,
        sqlite_where=sa.text("deleted IS NULL"),
        postgresql_where=sa.text("deleted IS NULL"),
    )
    op.create_table(
        "binary_builds",
        sa.Column("id", serial, nullable=False),
        sa.Column("target_id", serial, nullable=False),
        sa.Column("source_id", serial, nullable=False, comment="the source that lists the package"),
        sa.Column("package", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("platform", sa.String(length=100), nullable=False, comment="as in parts.path"),
        sa.Column("inputs", sa.String(length=64), nullable=False, comment="SHA-256 of what a build of it depends on"),
        sa.Column(
            "linking", sa.JSON(), nullable=False, comment="package of LinkingTo -> version that it was built with"
        ),
        sa.Column("status", sa.String(length=10), nullable=False, comment="built or failed"),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("started", time, nullable=False),
        sa.Column("finished", time, nullable=False),
        sa.Column("transaction_id", serial, nullable=True, comment="that shows the binary"),
        sa.Column("log", sa.LargeBinary(), nullable=False, comment="UTF-8, zlib"),
        sa.ForeignKeyConstraint(["target_id"], ["build_targets.id"], name=op.f("fk_binary_builds_target_id")),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_binary_builds_source_id")),
        sa.ForeignKeyConstraint(["transaction_id"], ["transactions.id"], name=op.f("fk_binary_builds_transaction_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_binary_builds")),
    )
    op.create_index("ix_binary_builds_package", "binary_builds", ["source_id", "package", "id"], unique=False)
    op.create_index(
        "ix_binary_builds_target", "binary_builds", ["target_id", "source_id", "package", "id"], unique=False
    )
