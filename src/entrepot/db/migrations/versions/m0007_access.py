"""Closed repositories, tokens, sign-ins on their way, the audit log."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_SQLITE = """
CREATE TRIGGER audit_no_{what} BEFORE {what} ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END
"""
_POSTGRES = (
    """
CREATE FUNCTION audit_only_grows() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the audit log only grows'; END $$
""",
    """
CREATE TRIGGER audit_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
FOR EACH STATEMENT EXECUTE FUNCTION audit_only_grows()
""",
)


def upgrade() -> None:
    serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    time = sa.DateTime(timezone=True)
    op.add_column(
        "repositories",
        sa.Column(
            "authenticated",
            sa.Boolean(),
            nullable=False,
            server_default=sa.false(),
            comment="whether reading needs a token",
        ),
    )
    op.create_table(
        "tokens",
        sa.Column("id", serial, nullable=False),
        sa.Column("guid", sa.String(length=36), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False, comment="SHA-256 of the token"),
        sa.Column("start", sa.String(length=20), nullable=False, comment="the token's first characters, for lists"),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column(
            "via", sa.String(length=200), nullable=True, comment="name of the federation or sign-in that it comes from"
        ),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("grants", sa.JSON(), nullable=False, comment="scope -> ids of repositories or sources; null: all"),
        sa.Column("created", time, nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.Column("expires", time, nullable=True),
        sa.Column("revoked", time, nullable=True),
        sa.Column("revoked_by", sa.String(length=200), nullable=True),
        sa.Column("last_used", time, nullable=True),
        sa.Column("last_address", sa.String(length=64), nullable=True),
        sa.Column("parent_id", serial, nullable=True, comment="the token without which it isn't good any more"),
        sa.ForeignKeyConstraint(["parent_id"], ["tokens.id"], name=op.f("fk_tokens_parent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
        sa.UniqueConstraint("guid", name=op.f("uq_tokens_guid")),
        sa.UniqueConstraint("digest", name=op.f("uq_tokens_digest")),
    )
    op.create_index("ix_tokens_parent", "tokens", ["parent_id"], unique=False)
    op.create_index("ix_tokens_expires", "tokens", ["expires"], unique=False)
    _add_sign_ins(serial, time)
    op.create_table(
        "audit",
        sa.Column("id", serial, nullable=False, autoincrement=False),
        sa.Column("time", time, nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("token", sa.String(length=36), nullable=True, comment="guid of the token that was sent"),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=100), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False, comment="what it was done to"),
        sa.Column("outcome", sa.String(length=20), nullable=False, comment="begun, done, refused or failed"),
        sa.Column("status", sa.Integer(), nullable=False, comment="HTTP status of the answer; 0: there was none yet"),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column("began", serial, nullable=True, comment="id of the row that says that it began"),
        sa.Column("previous", sa.String(length=64), nullable=False, comment="hash of the row before"),
        sa.Column(
            "hash",
            sa.String(length=64),
            nullable=False,
            comment="SHA-256 of this row with the hash of the row before",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_time", "audit", ["time"], unique=False)
    op.create_index("ix_audit_actor", "audit", ["actor", "id"], unique=False)
    op.create_index("ix_audit_began", "audit", ["began"], unique=False)
    if op.get_bind().dialect.name == "sqlite":
        for what in ("UPDATE", "DELETE"):
            op.execute(_SQLITE.format(what=what))
    else:
        for statement in _POSTGRES:
            op.execute(statement)


def _add_sign_ins(serial: sa.types.TypeEngine[int], time: sa.DateTime) -> None:
    op.create_table(
        "sign_ins",
        sa.Column("state", sa.String(length=64), nullable=False, comment="SHA-256 of the parameter state"),
        sa.Column(
            "browser", sa.String(length=64), nullable=False, comment="SHA-256 of the cookie of the browser that began"
        ),
        sa.Column("nonce", sa.String(length=100), nullable=False),
        sa.Column("verifier", sa.String(length=128), nullable=False, comment="of PKCE"),
        sa.Column("next", sa.Text(), nullable=False, comment="the page to go on to"),
        sa.Column("expires", time, nullable=False),
        sa.PrimaryKeyConstraint("state", name=op.f("pk_sign_ins")),
    )
    op.create_table(
        "device_logins",
        sa.Column("id", serial, nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False, comment="SHA-256 of the device code"),
        sa.Column("user_code", sa.String(length=20), nullable=False),
        sa.Column("challenge", sa.String(length=128), nullable=False, comment="of PKCE, S256"),
        sa.Column(
            "state", sa.String(length=10), nullable=False, comment="waiting, approved, denied, given or redeemed"
        ),
        sa.Column("interval", sa.Integer(), nullable=False, comment="seconds between two polls"),
        sa.Column("created", time, nullable=False),
        sa.Column("expires", time, nullable=False),
        sa.Column("polled", time, nullable=True),
        sa.Column(
            "address",
            sa.String(length=64),
            server_default="",
            nullable=False,
            comment="where the program that asks is",
        ),
        sa.Column("token_id", serial, nullable=True, comment="the session of the person who approved"),
        sa.Column("identity", sa.String(length=64), nullable=True, comment="SHA-256 of the identity that was given"),
        sa.ForeignKeyConstraint(["token_id"], ["tokens.id"], name=op.f("fk_device_logins_token_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_device_logins")),
        sa.UniqueConstraint("code", name=op.f("uq_device_logins_code")),
        sa.UniqueConstraint("user_code", name=op.f("uq_device_logins_user_code")),
        sa.UniqueConstraint("identity", name=op.f("uq_device_logins_identity")),
    )
    op.create_table(
        "used_once",
        sa.Column("digest", sa.String(length=64), nullable=False, comment="SHA-256 of what may be used once"),
        sa.Column("expires", time, nullable=False, comment="after which it is refused anyway"),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_used_once")),
    )
