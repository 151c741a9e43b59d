"""The tables of usage statistics. Rows are counts: nothing in them tells who downloaded, or from where."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table

from entrepot.db.schema import Serial, metadata

KEY = ("day", "repository_id", "package", "version", "source_id", "kind", "client", "language")
"""What has one number of downloads, in the order in which all of them are exported (`core.usage.Counted`)."""

downloads = Table(
    "downloads",
    metadata,
    Column("repository_id", Serial, primary_key=True, autoincrement=False),
    Column("package", String, primary_key=True),
    Column("day", Integer, primary_key=True, autoincrement=False, comment="UTC; days since 1970-01-01"),
    Column("version", String, primary_key=True, comment="empty where only packages could be told apart"),
    Column("source_id", Serial, primary_key=True, autoincrement=False),
    Column("kind", String(10), primary_key=True, comment="source, binary, wheel, sdist or other; empty as version"),
    Column("client", String(20), primary_key=True, comment="one of a short list of names"),
    Column("language", String(10), primary_key=True, comment="minor version of R or Python; empty: unknown"),
    Column("number", BigInteger, nullable=False),
    Index("ix_downloads_day", *KEY),
    sqlite_with_rowid=False,
)
"""By package, as one package's page reads them. Without references to repositories and sources: what was counted of
something that was deleted in the meantime is no reason to refuse all else."""

package_downloads = Table(
    "package_downloads",
    metadata,
    Column("repository_id", Serial, primary_key=True, autoincrement=False),
    Column("day", Integer, primary_key=True, autoincrement=False, comment="UTC; days since 1970-01-01"),
    Column("package", String, primary_key=True),
    Column("number", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""The sums of `downloads` by package and day: what lists of many packages are made of."""
