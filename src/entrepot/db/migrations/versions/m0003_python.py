"""Indexes that are read project by project: their names, what was read when, where files are, and metadata of files."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    # Nothing looks for files by their hash, and its random order made each write touch hundreds of pages.
    op.drop_index("ix_files_sha256", table_name="files")
    op.add_column(
        "visibility",
        sa.Column(
            "begins",
            sa.BigInteger(),
            nullable=True,
            comment="sources read by the project: seen at times from here on, seconds since 1970",
        ),
    )
    op.add_column(
        "visibility",
        sa.Column("ends", sa.BigInteger(), nullable=True, comment="and before this; NULL while it goes on"),
    )
    op.create_table(
        "projects",
        sa.Column("source_id", serial, autoincrement=False, nullable=False),
        sa.Column("package", sa.String(), nullable=False, comment="normalised"),
        sa.Column("about", sa.JSON(), nullable=False, comment="what upstream tells of it besides its files"),
        sa.Column("etag", sa.Text(), nullable=True),
        sa.Column("last_modified", sa.Text(), nullable=True),
        sa.Column("serial", sa.BigInteger(), nullable=True, comment="upstream's own count of changes"),
        sa.Column(
            "checked", sa.BigInteger(), nullable=False, comment="when the newest reading began, seconds since 1970"
        ),
        sa.Column("is_dated", sa.Boolean(), nullable=False, comment="upstream gives the time of some file"),
        sa.Column("is_there", sa.Boolean(), nullable=False, comment="upstream has a page of it"),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_projects_source_id")),
        sa.PrimaryKeyConstraint("source_id", "package", name=op.f("pk_projects")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "names",
        sa.Column("source_id", serial, autoincrement=False, nullable=False),
        sa.Column("package", sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=False),
        sa.Column("since", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_names_source_id")),
        sa.PrimaryKeyConstraint("source_id", "package", "since", name=op.f("pk_names")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "name_lists",
        sa.Column("source_id", serial, autoincrement=False, nullable=False),
        sa.Column(
            "since",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="transaction that changed the names",
        ),
        sa.Column("total", sa.BigInteger(), nullable=False, comment="how many names there are from then on"),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_name_lists_source_id")),
        sa.PrimaryKeyConstraint("source_id", "since", name=op.f("pk_name_lists")),
    )
    op.create_table(
        "origins",
        sa.Column("file_id", serial, autoincrement=False, nullable=False),
        sa.Column("url", sa.Text(), nullable=False, comment="where upstream has the file"),
        sa.ForeignKeyConstraint(["file_id"], ["files.id"], name=op.f("fk_origins_file_id")),
        sa.PrimaryKeyConstraint("file_id", name=op.f("pk_origins")),
    )
    op.create_table(
        "metadata_files",
        sa.Column("file_id", serial, autoincrement=False, nullable=False),
        sa.Column(
            "sha256",
            sa.String(length=64),
            nullable=False,
            comment="of the metadata document that was read out of the file",
        ),
        sa.Column(
            "since", sa.BigInteger(), nullable=False, comment="first transaction of the source whose indexes tell it"
        ),
        sa.ForeignKeyConstraint(["file_id"], ["files.id"], name=op.f("fk_metadata_files_file_id")),
        sa.PrimaryKeyConstraint("file_id", name=op.f("pk_metadata_files")),
    )
