"""The dialect of Python package indexes (PyPA specifications: Simple repository API, core metadata, file names)."""
