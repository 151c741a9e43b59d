"""Jobs that are tried again, cancelled and logged, and PostgreSQL's queue of them; the version of the catalogue."""

import sqlalchemy as sa
from alembic import op
from procrastinate.schema import SchemaManager

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    catalogue = op.create_table(
        "catalogue",
        sa.Column("id", serial, autoincrement=False, nullable=False, comment="always 1"),
        sa.Column(
            "version", sa.BigInteger(), nullable=False, comment="grows with every write that may change an answer"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue")),
    )
    op.bulk_insert(catalogue, [{"id": 1, "version": 0}])
    op.add_column("jobs", sa.Column("actor", sa.String(length=200), server_default="", nullable=False))
    op.add_column(
        "jobs",
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False, comment="how often it was begun"),
    )
    op.add_column(
        "jobs",
        sa.Column(
            "due",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="not to be begun before, as after a failure that is tried again",
        ),
    )
    op.add_column(
        "jobs",
        sa.Column(
            "is_cancelled",
            sa.Boolean(),
            server_default=sa.false(),
            nullable=False,
            comment="somebody asked for its end",
        ),
    )
    op.create_table(
        "job_lines",
        sa.Column("id", serial, nullable=False),
        sa.Column("job_id", serial, nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_lines_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_lines")),
    )
    op.create_index("ix_job_lines_job", "job_lines", ["job_id", "id"], unique=False)
    if op.get_bind().dialect.name == "postgresql":
        # That of 3.10: pyproject.toml holds procrastinate there until a migration of ours runs its next ones.
        # Without parameters, or the driver would take each % for one.
        plain = op.get_bind().execution_options(no_parameters=True)
        plain.exec_driver_sql(SchemaManager.get_schema())
