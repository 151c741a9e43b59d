"""R's serialisation format ("R Internals", 1.8), read and written in plain Python.

`rdata` from PyPI was weighed: it makes a pandas frame for each of archive.rds's 25,000 data frames, far too slow.
"""

from __future__ import annotations

from entrepot.ecosystems.r.rdsread import Elements, read
from entrepot.ecosystems.r.rdsvalues import RValue, RVector, data_frame
from entrepot.ecosystems.r.rdswrite import NA_STRING, Strings, Writer, reals, string, string_each, write, write_matrix

__all__ = [
    "NA_STRING",
    "Elements",
    "RValue",
    "RVector",
    "Strings",
    "Writer",
    "data_frame",
    "read",
    "reals",
    "string",
    "string_each",
    "write",
    "write_matrix",
]
