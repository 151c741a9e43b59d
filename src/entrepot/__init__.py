"""Entrepot: the open package manager server for R and Python in an organisation."""

__version__ = "0.1.0"
