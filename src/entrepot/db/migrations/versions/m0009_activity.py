"""What transactions did, counted; the builds that they record."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "change_counts",
        sa.Column("transaction_id", serial, nullable=False, autoincrement=False),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.Column("updated", sa.Integer(), nullable=False),
        sa.Column("archived", sa.Integer(), nullable=False),
        sa.Column("removed", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["transaction_id"], ["transactions.id"], name=op.f("fk_change_counts_transaction_id")),
        sa.PrimaryKeyConstraint("transaction_id", name=op.f("pk_change_counts")),
        comment="what transactions did to packages; up to the last of these, those that are missing did nothing",
    )
    op.create_index("ix_binary_builds_transaction", "binary_builds", ["transaction_id"], unique=False)
