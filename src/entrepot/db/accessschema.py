"""The tables of who may: tokens, sign-ins on their way, and the audit log, which only grows."""

from __future__ import annotations

from sqlalchemy import JSON, Column, ForeignKey, Index, Integer, String, Table, Text

from entrepot.db.schema import Serial, UtcDateTime, metadata

tokens = Table(
    "tokens",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("guid", String(36), nullable=False, unique=True),
    Column("digest", String(64), nullable=False, unique=True, comment="SHA-256 of the token"),
    Column("start", String(20), nullable=False, comment="the token's first characters, for lists"),
    Column("kind", String(20), nullable=False),
    Column("via", String(200), comment="name of the federation or sign-in that it comes from"),
    Column("actor", String(200), nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("grants", JSON, nullable=False, comment="scope -> ids of repositories or sources; null: all"),
    Column("created", UtcDateTime, nullable=False),
    Column("created_by", String(200), nullable=False),
    Column("expires", UtcDateTime),
    Column("revoked", UtcDateTime),
    Column("revoked_by", String(200)),
    Column("last_used", UtcDateTime),
    Column("last_address", String(64)),
    Column("parent_id", Serial, ForeignKey("tokens.id"), comment="the token without which it isn't good any more"),
    Index("ix_tokens_parent", "parent_id"),
    Index("ix_tokens_expires", "expires"),
)

sign_ins = Table(
    "sign_ins",
    metadata,
    Column("state", String(64), primary_key=True, comment="SHA-256 of the parameter state"),
    Column("browser", String(64), nullable=False, comment="SHA-256 of the cookie of the browser that began"),
    Column("nonce", String(100), nullable=False),
    Column("verifier", String(128), nullable=False, comment="of PKCE"),
    Column("next", Text, nullable=False, comment="the page to go on to"),
    Column("expires", UtcDateTime, nullable=False),
)

device_logins = Table(
    "device_logins",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("code", String(64), nullable=False, unique=True, comment="SHA-256 of the device code"),
    Column("user_code", String(20), nullable=False, unique=True),
    Column("challenge", String(128), nullable=False, comment="of PKCE, S256"),
    Column("state", String(10), nullable=False, comment="waiting, approved, denied, given or redeemed"),
    Column("interval", Integer, nullable=False, comment="seconds between two polls"),
    Column("created", UtcDateTime, nullable=False),
    Column("expires", UtcDateTime, nullable=False),
    Column("polled", UtcDateTime),
    Column("address", String(64), nullable=False, server_default="", comment="where the program that asks is"),
    Column("token_id", Serial, ForeignKey("tokens.id"), comment="the session of the person who approved"),
    Column("identity", String(64), unique=True, comment="SHA-256 of the identity that was given"),
)

used_once = Table(
    "used_once",
    metadata,
    Column("digest", String(64), primary_key=True, comment="SHA-256 of what may be used once"),
    Column("expires", UtcDateTime, nullable=False, comment="after which it is refused anyway"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=False),
    Column("time", UtcDateTime, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("token", String(36), comment="guid of the token that was sent"),
    Column("address", String(64), nullable=False),
    Column("action", String(100), nullable=False),
    Column("subject", Text, nullable=False, comment="what it was done to"),
    Column("outcome", String(20), nullable=False, comment="begun, done, refused or failed"),
    Column("status", Integer, nullable=False, comment="HTTP status of the answer; 0: there was none yet"),
    Column("detail", Text, nullable=False, server_default=""),
    Column("began", Serial, comment="id of the row that says that it began"),
    Column("previous", String(64), nullable=False, comment="hash of the row before"),
    Column("hash", String(64), nullable=False, comment="SHA-256 of this row with the hash of the row before"),
    Index("ix_audit_time", "time"),
    Index("ix_audit_actor", "actor", "id"),
    Index("ix_audit_began", "began"),
)
