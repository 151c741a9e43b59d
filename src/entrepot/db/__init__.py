"""The catalogue: SQLAlchemy Core over SQLite or PostgreSQL, one module per noun."""
