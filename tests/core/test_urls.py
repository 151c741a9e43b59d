"""`core.urls`: what of a URL people may see."""

from __future__ import annotations

import pytest

from entrepot.core.urls import shown


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://cran.example/x", "https://cran.example/x"),
        ("https://me:secret@cran.example:8080/x", "https://***@cran.example:8080/x"),
        ("postgresql://u:se/c?r#e@t@host/db", "postgresql://***@host/db"),
        ("https://host/file?token=secret#part", "https://host/file?***"),
        ("file:///srv/a@b/files", "file:///srv/a@b/files"),
        ("sqlite:////srv/entrepot.db", "sqlite:////srv/entrepot.db"),
        ("http://[", "http://["),
    ],
)
def test_shown(url: str, expected: str) -> None:
    """User, password and query never show, whatever characters are in them; the rest stays readable."""
    assert shown(url) == expected
