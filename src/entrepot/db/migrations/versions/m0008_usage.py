"""Usage statistics: downloads by day, package, version and kind of client."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "downloads",
        sa.Column("repository_id", serial, nullable=False, autoincrement=False),
        sa.Column("package", sa.String(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False, autoincrement=False, comment="UTC; days since 1970-01-01"),
        sa.Column("version", sa.String(), nullable=False, comment="empty where only packages could be told apart"),
        sa.Column("source_id", serial, nullable=False, autoincrement=False),
        sa.Column(
            "kind",
            sa.String(length=10),
            nullable=False,
            comment="source, binary, wheel, sdist or other; empty as version",
        ),
        sa.Column("client", sa.String(length=20), nullable=False, comment="one of a short list of names"),
        sa.Column(
            "language",
            sa.String(length=10),
            nullable=False,
            comment="minor version of R or Python; empty: unknown",
        ),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            *("repository_id", "package", "day", "version", "source_id", "kind", "client", "language"),
            name=op.f("pk_downloads"),
        ),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_downloads_day",
        "downloads",
        ["day", "repository_id", "package", "version", "source_id", "kind", "client", "language"],
        unique=False,
    )
    op.create_table(
        "package_downloads",
        sa.Column("repository_id", serial, nullable=False, autoincrement=False),
        sa.Column("day", sa.Integer(), nullable=False, autoincrement=False, comment="UTC; days since 1970-01-01"),
        sa.Column("package", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("repository_id", "day", "package", name=op.f("pk_package_downloads")),
        sqlite_with_rowid=False,
    )
