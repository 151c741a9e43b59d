"""Curated and pinned sources: what they show of a mirror, and the proposals by which that changes."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "curations",
        sa.Column("source_id", serial, autoincrement=False, nullable=False),
        sa.Column("base_id", serial, nullable=False, comment="the mirror whose files it shows"),
        sa.Column("include", sa.JSON(), nullable=False, comment="kinds of dependencies that every package brings"),
        sa.Column(
            "shows_archive", sa.Boolean(), nullable=False, comment="whether it shows what the mirror had archived"
        ),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_curations_source_id")),
        sa.ForeignKeyConstraint(["base_id"], ["sources.id"], name=op.f("fk_curations_base_id")),
        sa.PrimaryKeyConstraint("source_id", name=op.f("pk_curations")),
    )
    op.create_table(
        "pins",
        sa.Column("source_id", serial, autoincrement=False, nullable=False),
        sa.Column("since", serial, autoincrement=False, nullable=False),
        sa.Column(
            "snapshot", sa.String(length=20), nullable=False, comment="as it was named: YYYY-MM-DD or a transaction id"
        ),
        sa.Column("upto", sa.BigInteger(), nullable=False, comment="the mirror's transaction that it stands for"),
        sa.Column(
            "at",
            sa.BigInteger(),
            nullable=True,
            comment="mirrors read by the project: the time that it stands for, seconds since 1970",
        ),
        sa.Column("request", sa.LargeBinary(), nullable=False, comment="what is asked for from then on: JSON, zlib"),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_pins_source_id")),
        sa.ForeignKeyConstraint(["since"], ["transactions.id"], name=op.f("fk_pins_since")),
        sa.PrimaryKeyConstraint("source_id", "since", name=op.f("pk_pins")),
    )
    op.create_table(
        "proposals",
        sa.Column("id", serial, nullable=False),
        sa.Column("source_id", serial, nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("action", sa.String(length=10), nullable=False),
        sa.Column(
            "base", sa.BigInteger(), nullable=False, comment="newest transaction of the source when it was made, or 0"
        ),
        sa.Column("snapshot", sa.String(length=20), nullable=False),
        sa.Column("upto", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=True),
        sa.Column("asked", sa.String(length=64), nullable=False, comment="SHA-256 of what was asked for"),
        sa.Column("digest", sa.String(length=64), nullable=False, comment="SHA-256 of what the source would show"),
        sa.Column("request", sa.LargeBinary(), nullable=False, comment="as in pins"),
        sa.Column("target", sa.LargeBinary(), nullable=False, comment="[[file id, status], ...]: JSON, zlib"),
        sa.Column("report", sa.LargeBinary(), nullable=False, comment="what people are told: JSON, zlib"),
        sa.Column("counts", sa.JSON(), nullable=False, comment="kind of change -> how many"),
        sa.Column("committed", sa.BigInteger(), nullable=True, comment="the transaction that applied it"),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_proposals_source_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proposals")),
    )
    op.create_index("ix_proposals_source", "proposals", ["source_id", "id"], unique=False)
