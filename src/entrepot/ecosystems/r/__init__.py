"""The R dialect: CRAN-like repositories."""
