"""The packages that come with R itself, which no repository gives."""

from __future__ import annotations

R = "R"
"""R itself, as the dependency fields of packages name it ("Writing R Extensions", 1.1.3)."""

BASE = frozenset(
    {
        "base",
        "compiler",
        "datasets",
        "grDevices",
        "graphics",
        "grid",
        "methods",
        "parallel",
        "splines",
        "stats",
        "stats4",
        "tcltk",
        "tools",
        "utils",
    }
)
"""The packages of priority "base": part of every R since 2.14, of R's own version, never in a repository.

"R FAQ", 5.1.1, and `installed.packages(priority = "base")`. Those of priority "recommended" (MASS, Matrix) also come
with most builds of R, but have versions of their own and are in CRAN as others are.
"""
